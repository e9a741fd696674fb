"""Studios of the tiny run, open in a browser."""

import pytest
from browser import chromium
from studio_pages import host, opened, serve

from hcm_tf.runs.checkpoint import load
from hcm_tf.studio import site
from hcm_tf.studio.engine import Engine


@pytest.fixture(scope="module")  # While one runs, the process has an event loop, and
def browser():  # tests elsewhere can neither start another browser nor asyncio.
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def tiny_site(tiny_run, tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    site.write(directory, Engine(load(tiny_run), "tiny"))
    return directory


@pytest.fixture(scope="session")
def tiny_server(make_run):
    with serve(make_run()) as address:
        yield address


@pytest.fixture(scope="session")
def tiny_host(tiny_site):
    with host(tiny_site) as address:
        yield address


@pytest.fixture(params=["tiny_server", "tiny_host"])
def studio_page(request, browser):
    """The studio of the tiny run, by a server and by the browser alone."""
    address = request.getfixturevalue(request.param)
    with opened(browser, address, accept_downloads=True) as page:
        yield page


@pytest.fixture(scope="session")
def labelled_site(labelled_run, tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    site.write(directory, Engine(load(labelled_run), "labelled"))
    return directory


@pytest.fixture(scope="session")
def labelled_server(labelled_run):
    with serve(labelled_run) as address:
        yield address


@pytest.fixture(scope="session")
def labelled_host(labelled_site):
    with host(labelled_site) as address:
        yield address


@pytest.fixture(params=["labelled_server", "labelled_host"])
def labelled_page(request, browser):
    """The studio of a run that draws by labels, in both ways."""
    address = request.getfixturevalue(request.param)
    with opened(browser, address, accept_downloads=True) as page:
        yield page
