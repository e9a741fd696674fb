"""A recorded image of every small generator."""

import pytest
from explain_helpers import SMALL, make_decoder, record


@pytest.fixture(scope="session", params=list(SMALL))
def recorded(request):
    """(decoder, recording) of every small generator."""
    decoder = make_decoder(request.param)
    return decoder, record(decoder)[0]


@pytest.fixture(scope="session")
def sparse():
    """(decoder, recording) of the small sparse generator, 64 pixels."""
    decoder = make_decoder("sparse")
    return decoder, record(decoder)[0]
