"""Films the studio on the shipped model, for the README:

python -m benchmarks.studio_film --run_dir=pretrained/avatars64 --out=docs/studio.gif

Needs what benchmarks.studio needs.
"""

import io
import pathlib
import shutil
import sys
import tempfile
import time

import PIL.Image
import PIL.ImageDraw
from absl import flags

from hcm_tf import command
from hcm_tf.startup import load_tensorflow

SECONDS = 2.2  # Of a scene.
WIDTH = 720


class _Camera:
    """Takes a picture of the page after each action, with a dot where it was."""

    def __init__(self, page) -> None:
        self.page, self.frames = page, []

    def shoot(self, dot: tuple[float, float] | None = None) -> None:
        end = time.monotonic() + 60
        while self.page.get_attribute("#main", "aria-busy") != "false":
            if time.monotonic() > end:
                raise TimeoutError(self.page.text_content("#status"))
            self.page.wait_for_timeout(20)
        self.page.wait_for_timeout(250)  # Buttons change their colour slowly.
        frame = PIL.Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        if dot:
            draw = PIL.ImageDraw.Draw(frame, "RGBA")
            draw.ellipse(
                [dot[0] - 13, dot[1] - 13, dot[0] + 13, dot[1] + 13],
                fill=(230, 60, 20, 150),
                outline=(255, 255, 255, 255),
                width=3,
            )
        height = frame.height * WIDTH // frame.width
        self.frames.append(frame.resize((WIDTH, height), PIL.Image.Resampling.LANCZOS))

    def click(self, selector: str) -> None:
        box = self.page.locator(selector).bounding_box()
        self.page.locator(selector).click()
        self.shoot((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))


def _film(page, link: str) -> list[PIL.Image.Image]:
    camera = _Camera(page)
    page.goto(link)
    camera.shoot()
    camera.click("#tour-start")
    camera.click("#tour-on")
    camera.click("#tour-on")
    camera.click("#mode-difference")
    camera.click("#mode-changed")
    camera.click("#tour-on")
    camera.click("#tour-on")
    camera.click("#mode-original")
    camera.click("#mode-changed")
    return camera.frames


def _run(own: flags.FlagValues) -> None:
    load_tensorflow()
    from playwright.sync_api import sync_playwright

    from hcm_tf.runs.checkpoint import load
    from hcm_tf.studio import site
    from hcm_tf.studio.engine import Engine

    path = shutil.which("chromium") or shutil.which("google-chrome")
    name = pathlib.Path(own.run_dir).resolve().name
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        out = pathlib.Path(directory)
        site.write(out, Engine(load(own.run_dir), name))
        browser = playwright.chromium.launch(
            executable_path=path, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1080, "height": 1000})
        frames = _film(page, (out / "studio.html").as_uri())
        browser.close()
    frames = [frame.quantize(128, dither=PIL.Image.Dither.NONE) for frame in frames]
    frames[0].save(
        own.out,
        save_all=True,
        append_images=frames[1:],
        duration=int(1000 * SECONDS),
        loop=0,
        optimize=True,
    )
    size = pathlib.Path(own.out).stat().st_size / 2**20
    print(f"{own.out}: {len(frames)} scenes, {size:.1f} MB")


def main(argv: list[str]) -> int:
    """Flags -> film; returns the exit status."""
    own = flags.FlagValues()
    flags.DEFINE_string("run_dir", None, "What train_main.py --workdir wrote.", own)
    flags.DEFINE_string("out", "studio.gif", "File to write.", own)
    return command.run(
        "benchmarks.studio_film", own, lambda: _run(own), argv, about=__doc__
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv))
