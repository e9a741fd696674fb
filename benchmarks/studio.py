"""How fast the studio answers, and what it keeps: by a server and in the browser.

python -m benchmarks.studio --run_dir=pretrained/avatars64

Times are from the event to the painted picture, in Chromium. Needs
requirements-test.txt and the package chromium, as the browser tests do.
"""

import contextlib
import functools
import http.server
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

import numpy as np
from absl import flags

from hcm_tf import command
from hcm_tf.startup import load_tensorflow

# Waits for the canvas to be painted again, and for the frame that shows it.
PAINTED = """([act, values]) => new Promise((resolve) => {
  const canvas = document.getElementById("picture");
  const before = canvas.dataset.painted, start = performance.now();
  const look = () => {
    if (canvas.dataset.painted === before) return void requestAnimationFrame(look);
    requestAnimationFrame(() => resolve(performance.now() - start));
  };
  const hover = (row, column) => {
    const box = canvas.getBoundingClientRect();
    const clientX = box.left + column * box.width, clientY = box.top + row * box.height;
    canvas.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY }));
  };
  const click = (selector) => document.querySelector(selector).click();
  ({ click, hover })[act](...values);
  look();
})"""
# Waits for the list of parts to change.
RANKED = """([row, column]) => new Promise((resolve) => {
  const canvas = document.getElementById("picture");
  const box = canvas.getBoundingClientRect(), start = performance.now();
  const seen = new MutationObserver(() => {
    seen.disconnect();
    requestAnimationFrame(() => resolve(performance.now() - start));
  });
  seen.observe(document.getElementById("units"), { childList: true });
  canvas.setPointerCapture = () => {};
  const clientX = box.left + column * box.width, clientY = box.top + row * box.height;
  for (const kind of ["pointerdown", "pointerup"]) {
    canvas.dispatchEvent(new PointerEvent(kind, { clientX, clientY }));
  }
})"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        """Nothing."""


@contextlib.contextmanager
def _server(run_dir: str) -> Iterator[str]:
    from hcm_tf.runs.checkpoint import load
    from hcm_tf.studio.api import Api
    from hcm_tf.studio.engine import Engine
    from hcm_tf.studio.server import Studio, listen

    studio = Studio(Api(Engine(load(run_dir), "measured"), run_dir))
    with listen(studio, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{studio.port}/#token={studio.token}"
        server.shutdown()


@contextlib.contextmanager
def _host(directory: str) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=directory)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _measure(page, link: str, rounds: int, edits: int) -> dict[str, float]:
    """Milliseconds (95th percentile), and MB of the heap, of one home."""
    random = np.random.default_rng(0)
    began = time.perf_counter()
    page.goto(link)
    _idle(page)
    found = {"ready, ms": 1e3 * (time.perf_counter() - began)}

    def times(act, *choices) -> float:
        taken = []
        for number in range(rounds):
            values = choices[number % len(choices)] if choices else []
            taken.append(page.evaluate(PAINTED, [act, values]))
            _idle(page)
        return float(np.percentile(taken, 95))

    found["new seed"] = times("click", ["#after"])
    spots = random.uniform(0.1, 0.9, (rounds, 2)).tolist()
    taken = []
    for spot in spots:
        taken.append(page.evaluate(RANKED, spot))
        _idle(page)
    found["click to ranked units"] = float(np.percentile(taken, 95))
    # Where the strongest part is: there is always one to light.
    row, column = spots[-1]
    found["hover"] = times("hover", [row, column])
    page.click("#levels button:nth-child(2)")
    _idle(page)
    page.click("#units .unit")
    _idle(page)
    page.click("[data-do='0']")
    _idle(page)
    found["edit, recorded gates"] = times("click", ["#edits input[type=checkbox]"])
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = _heap(session)
    for _ in range(edits):
        page.evaluate(PAINTED, ["click", ["#edits input[type=checkbox]"]])
    _idle(page)
    found[f"heap after {edits} edits, MB more"] = _heap(session) - before
    return found


def _heap(session) -> float:
    session.send("HeapProfiler.collectGarbage")
    metrics = session.send("Performance.getMetrics")["metrics"]
    used = next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize")
    return used / 2**20


def _idle(page) -> None:
    while page.get_attribute("#main", "aria-busy") != "false":
        page.wait_for_timeout(2)


def _resident() -> float:
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _run(own: flags.FlagValues) -> None:
    load_tensorflow()
    from playwright.sync_api import sync_playwright

    from hcm_tf.runs.checkpoint import load
    from hcm_tf.studio import site
    from hcm_tf.studio.engine import Engine

    path = shutil.which("chromium") or shutil.which("google-chrome")
    rows: dict[str, dict[str, float]] = {}
    with (
        tempfile.TemporaryDirectory() as directory,
        sync_playwright() as playwright,
    ):
        out = pathlib.Path(directory)
        site.write(out, Engine(load(own.run_dir), "measured"))
        code = sum(
            file.stat().st_size
            for file in out.iterdir()
            if file.suffix in (".js", ".css") or file.name == "index.html"
        )
        folder = code + (out / "model.bin").stat().st_size
        browser = playwright.chromium.launch(
            executable_path=path, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        for name, home in (
            ("server", _server(own.run_dir)),
            ("browser", _host(directory)),
        ):
            with home as link:
                page = browser.new_page(viewport={"width": 1440, "height": 1000})
                rows[name] = _measure(page, link, own.rounds, own.edits)
                if name == "server":
                    before = _resident()
                    for _ in range(own.requests // 4):
                        page.evaluate(PAINTED, ["click", ["#after"]])
                        _idle(page)
                    grown = _resident() - before
                page.close()
        browser.close()
    print(f"{os.cpu_count()} cores, {own.rounds} rounds, 95th percentile, ms\n")
    print(f"| | {' | '.join(rows)} |\n|---|{'---|' * len(rows)}")
    for what in rows["server"]:
        print(f"| {what} | {' | '.join(f'{row[what]:.0f}' for row in rows.values())} |")
    print(
        f"\npage code {code / 1024:.0f} KB, static folder {folder / 2**20:.1f} MB; "
        f"the server has {grown:.0f} MB more after {own.requests} requests"
    )


def main(argv: list[str]) -> int:
    """Flags -> table; returns the exit status."""
    own = flags.FlagValues()
    flags.DEFINE_string("run_dir", None, "What train_main.py --workdir wrote.", own)
    flags.DEFINE_integer("rounds", 50, "Of each action.", 2, None, own)
    flags.DEFINE_integer("edits", 1000, "Before the heap is measured.", 1, None, own)
    flags.DEFINE_integer("requests", 2000, "To the server.", 4, None, own)
    return command.run("benchmarks.studio", own, lambda: _run(own), argv, about=__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
