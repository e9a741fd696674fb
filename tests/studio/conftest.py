"""Studios of the tiny run, open in a browser."""

import pytest
from browser import chromium
from studio_pages import host, opened, serve

from hcm_tf.runs.checkpoint import load
from hcm_tf.studio import site
from hcm_tf.studio.engine import Engine


@pytest.fixture(scope="session")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def tiny_site(tiny_run, tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    site.write(directory, Engine(load(tiny_run), "tiny"))
    return directory


@pytest.fixture(params=["server", "browser"])
def studio_page(request, browser, tiny_run, tiny_site):
    """The studio of the tiny run, by a server and by the browser alone."""
    home = serve(tiny_run) if request.param == "server" else host(tiny_site)
    with home as address, opened(browser, address, accept_downloads=True) as page:
        page.home = request.param
        yield page
