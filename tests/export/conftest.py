"""The exports of the tiny run, made once."""

import pytest

from export import saved_model
from hcm_tf.runs import checkpoint


@pytest.fixture(scope="session")
def loaded(tiny_run):
    """The networks in Keras, which every export is compared with."""
    return checkpoint.load(tiny_run)


@pytest.fixture(scope="session")
def exported(tiny_run, tmp_path_factory):
    """Directory of version 1 of both SavedModels, by name."""
    out = tmp_path_factory.mktemp("models")
    generator, encoder = saved_model.export(tiny_run, out)
    return {"generator": generator, "encoder": encoder}
