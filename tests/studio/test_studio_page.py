"""The studio in Chromium: every step looks at the pixels."""

import threading
import time

import pytest
from browser import chromium

from hcm_tf.runs.checkpoint import load
from hcm_tf.studio.api import Api
from hcm_tf.studio.engine import Engine
from hcm_tf.studio.server import Studio, listen

PIXELS = "document.getElementById('picture').toDataURL()"
IDLE = "document.getElementById('status').textContent.endsWith('.')"


@pytest.fixture
def opened(tiny_run):
    """(page, link without token, what the console complained of)."""
    studio = Studio(Api(Engine(load(tiny_run), "tiny")))
    with listen(studio, 0) as server, chromium() as browser:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page, complaints = browser.new_page(), []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: said.type == "error" and complaints.append(said.text),
        )
        base = f"http://127.0.0.1:{studio.port}/"
        page.goto(f"{base}#token={studio.token}")
        page.wait_for_selector("#units .unit canvas")
        until(page, IDLE)
        yield page, base, complaints
        server.shutdown()


def until(page, expression, seconds=20):
    """Waits; Playwright's own way to wait is eval, which the page forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"{expression}: never"
        page.wait_for_timeout(50)


def changed(page, before):
    end = time.monotonic() + 20
    while page.evaluate(PIXELS) == before:
        assert time.monotonic() < end, "the picture never changed"
        page.wait_for_timeout(50)
    until(page, IDLE)
    page.wait_for_timeout(300)
    return page.evaluate(PIXELS)


def test_draw_see_change_undo_and_link(opened):
    page, base, complaints = opened
    first = page.evaluate(PIXELS)
    page.click("#after")
    second = changed(page, first)
    assert "1.000000" in page.text_content("#residual")
    page.locator("#units .unit").first.click()
    page.wait_for_selector("#chosen:not([hidden])")
    page.mouse.move(0, 0)
    page.click("[data-do='0']")
    removed = changed(page, second)
    assert page.locator("#edits li").count() == 1
    page.click("#undo")
    assert changed(page, removed) == second
    page.click("#redo")
    assert changed(page, second) == removed
    page.click("#link")
    until(page, "location.hash.startsWith('#state=')")
    link = page.evaluate("location.hash")
    page.goto("about:blank")
    page.goto(base + link)
    page.wait_for_selector("#edits li")
    until(page, IDLE)
    page.wait_for_timeout(300)
    assert page.evaluate(PIXELS) == removed
    page.goto("about:blank")
    page.goto(base + "#state=broken")
    until(
        page,
        "document.getElementById('status').textContent === 'This link is damaged.'",
    )
    assert not complaints
