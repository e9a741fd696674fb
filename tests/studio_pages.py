"""Studios on loopback, by a server and without one, and pages that show them."""

import base64
import contextlib
import functools
import http.server
import io
import threading
import time

import numpy as np
import PIL.Image

from hcm_tf.runs.checkpoint import load
from hcm_tf.studio.api import Api
from hcm_tf.studio.engine import Engine
from hcm_tf.studio.server import Studio, listen

CELL = 8  # Pixels of the canvas for each of the picture.
PIXELS = "document.getElementById('picture').toDataURL()"


@contextlib.contextmanager
def serve(run_dir):
    """The address of the studio of a run, with its token in the fragment."""
    studio = Studio(Api(Engine(load(run_dir), "tiny"), run_dir))
    with listen(studio, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{studio.port}/", f"token={studio.token}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Nothing."""


@contextlib.contextmanager
def host(directory):
    """The address of a folder that any static host could serve."""
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", ""
        server.shutdown()


@contextlib.contextmanager
def opened(browser, address, **options):
    """A `Page` of an address; the console must stay quiet."""
    base, fragment = address
    context = browser.new_context(**options)
    page = Page(context.new_page(), base)
    try:
        page.go(fragment)
        yield page
        assert not page.complaints
    finally:
        context.close()


class Page:
    """A page of the studio, and what its console complained of."""

    def __init__(self, page, base):
        self.page, self.base, self.complaints = page, base, []
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: said.type == "error" and self.complaints.append(said.text),
        )

    def go(self, fragment=""):
        self.page.goto("about:blank")
        self.page.goto(f"{self.base}#{fragment}" if fragment else self.base)
        self.idle()

    def idle(self, seconds=60):
        """Waits until nothing is to do; returns what the picture shows."""
        end = time.monotonic() + seconds
        # Playwright's own way to wait is eval, which the page forbids.
        while self.page.get_attribute("#main", "aria-busy") != "false":
            assert time.monotonic() < end, self.said
            self.page.wait_for_timeout(20)
        return self.page.evaluate(PIXELS)

    @property
    def said(self):
        return self.page.text_content("#status")

    def press(self, selector):
        """Clicks, takes the pointer away, and waits."""
        self.page.click(selector)
        self.page.mouse.move(0, 0)
        return self.idle()

    def set(self, selector, value):
        """Gives a slider or field a value, as a user would leave it."""
        self.page.evaluate(
            """([selector, value]) => {
              const field = document.querySelector(selector);
              field.value = value;
              field.dispatchEvent(new Event("input", {bubbles: true}));
              field.dispatchEvent(new Event("change", {bubbles: true}));
            }""",
            [selector, str(value)],
        )
        return self.idle()

    def choose(self, level, place=0):
        """Chooses a part of those that are listed for a level."""
        self.press(f"#levels button:nth-child({level + 1})")
        return self.press(f"#units li:nth-child({place + 1}) .unit")


def shown(data):
    """The picture's own pixels, uint8 `(32, 32, 3)`, from a canvas' address."""
    image = PIL.Image.open(io.BytesIO(base64.b64decode(data.split(",")[1])))
    return np.asarray(image.convert("RGB"))[CELL // 2 :: CELL, CELL // 2 :: CELL]


def as_pixels(logits):
    """What the page makes of an image before tanh."""
    return np.rint(127.5 * (np.tanh(logits) + 1)).astype("uint8")
