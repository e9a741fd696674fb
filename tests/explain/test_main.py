"""The commands as a user gives them, and the report in a real browser."""

import json

import jsonschema
import numpy as np
import PIL.Image
import pytest
from browser import chromium

from hcm_tf.explain import tree
from hcm_tf.explain.__main__ import main


def run(*arguments) -> int:
    return main(["explain", *map(str, arguments)])


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    """A picture of the right size: a disc on a gradient."""
    rows, columns = np.mgrid[0:32, 0:32]
    pixels = np.stack([8 * rows, 8 * columns, 255 - 8 * rows], axis=-1)
    pixels[np.hypot(rows - 15, columns - 15) < 9] = 230, 60, 40
    path = tmp_path_factory.mktemp("photo") / "a & <b>.png"
    PIL.Image.fromarray(pixels.astype("uint8")).save(path)
    return path


@pytest.fixture(scope="session")
def generated(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("generated") / "report"
    assert run(f"--run_dir={tiny_run}", f"--out={out}", "--seed=3", "--count=2") == 0
    return out


@pytest.fixture(scope="session")
def real(tiny_run, photo, tmp_path_factory):
    out = tmp_path_factory.mktemp("real") / "report"
    arguments = f"--image={photo}", "--refine_steps=20", "--level=8x8"
    assert run(f"--run_dir={tiny_run}", f"--out={out}", *arguments) == 0
    return out


def test_report_of_generated_images(generated):
    assert {path.name for path in generated.iterdir()} == {
        "report.html",
        "image-1",
        "image-2",
        "atlas",
    }
    schema = json.loads(tree.SCHEMA_FILE.read_text())
    for number in (1, 2):
        folder = generated / f"image-{number}"
        jsonschema.validate(json.loads((folder / "tree.json").read_text()), schema)
        summary = json.loads((folder / "attribution.json").read_text())
        assert max(level["unit_residual"] for level in summary["levels"]) <= 1e-5
        assert [top["explained"][-1] for top in summary["top_m"]] == pytest.approx(
            [1.0] * 3, abs=1e-5
        )
        for name in ("image", "tree", "global_bases", "part_bases", "top_m_8x8"):
            PIL.Image.open(folder / f"{name}.png").verify()
    usage = json.loads((generated / "atlas" / "usage.json").read_text())
    assert [level["level"] for level in usage] == ["attributes", "8x8", "16x16"]


def test_report_of_a_real_image(real):
    summary = json.loads((real / "image-1" / "attribution.json").read_text())
    assert summary["error_after"] < summary["error_before"]
    assert summary["title"] == "a & <b>.png"
    assert [top["level"] for top in summary["top_m"]] == [1]
    names = {path.name for path in (real / "image-1").iterdir()}
    assert {"original.png", "encoded.png", "image.png"} <= names
    assert (real / "report.html").stat().st_size < 5 * 2**20


def test_report_in_a_browser(generated):
    with chromium() as browser:
        for scheme, width in (("light", 1280), ("dark", 390)):
            context = browser.new_context(
                viewport={"width": width, "height": 844}, color_scheme=scheme
            )
            page = context.new_page()
            problems, requests = [], []
            page.on(
                "console",
                lambda message, problems=problems: problems.append(message.text),
            )
            page.on(
                "pageerror", lambda error, problems=problems: problems.append(error)
            )
            page.on(
                "request", lambda request, requests=requests: requests.append(request)
            )
            page.goto(f"file://{generated}/report.html")
            _explore(page)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, paper[4:-1].split(","))) > 380) == (scheme == "light")
            assert problems == []
            outside = {r.url.split(":")[0] for r in requests} - {"file", "data"}
            assert outside == set()
            context.close()


def _explore(page):
    def chosen():
        return page.locator("#tree [aria-selected=true]")

    def name():
        return page.locator("#detail .name").inner_text()

    # A click on a node: its picture, its contribution, its children and rivals.
    first = name()
    assert first.startswith("attributes:")
    page.locator('#tree [data-depth="1"]').nth(2).click()
    assert name() != first
    assert page.locator("#detail canvas").count() == 3
    assert "composed of" in page.locator("#detail").inner_text()
    assert page.locator("#rivals li").count() >= 2
    expected = page.locator('#tree [data-depth="2"]').count()
    jumps = page.locator("#detail [data-jump]")
    assert jumps.count() >= expected > 0
    target = jumps.first.get_attribute("data-jump")
    jumps.first.click()
    assert chosen().get_attribute("data-id") == target
    assert page.locator("#links path").count() > 3
    # Canvases are not blank.
    colours = page.evaluate(
        """[...document.querySelectorAll('#detail canvas')].map((canvas) =>
        new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width,
        canvas.height).data).size)"""
    )
    assert min(colours) > 2
    # The keyboard: to the parent, its sibling and to the image.
    page.keyboard.press("ArrowLeft")
    assert chosen().get_attribute("data-depth") == "1"
    page.keyboard.press("Home")
    first = name()
    page.keyboard.press("ArrowDown")
    assert name() != first or page.locator('#tree [data-depth="1"]').count() == 1
    page.keyboard.press("ArrowLeft")
    assert name() == "The whole image"
    assert page.evaluate("document.activeElement.dataset.id") == "image"
    # The slider: no units, all units; then another level.
    slider, readout = page.locator("#m"), page.locator("#readout")
    slider.focus()
    page.keyboard.press("Home")
    assert readout.inner_text().startswith("0 of ")
    empty = page.locator("#frame").get_attribute("src")
    page.keyboard.press("End")
    assert "100 % of the energy explained" in readout.inner_text()
    assert page.locator("#frame").get_attribute("src") != empty
    total = readout.inner_text().split(":")[0]
    page.get_by_role("radio", name="16x16").check(force=True)
    assert readout.inner_text().split(":")[0] != total
    # Another image.
    image = page.locator("#pictures img").first.get_attribute("src")
    page.locator("#subjects button").nth(1).click()
    assert page.locator("#pictures img").first.get_attribute("src") != image
    assert page.locator("#atlases img").count() == 3
    assert page.locator("#sums tbody tr").count() == 3


def test_real_report_in_a_browser(real):
    with chromium() as browser:
        page = browser.new_page()
        problems = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(error))
        page.goto(f"file://{real}/report.html")
        shown = page.locator("#pictures").inner_text()
        assert "Original" in shown
        assert "a & <b>.png" in shown
        assert shown.count("mean squared error") == 2
        assert page.locator("#top-levels input").count() == 1
        assert problems == []


def test_atlas(tiny_run, tmp_path, capsys):
    arguments = "--samples=8", "--tiles=5", "--level=8x8"
    assert (
        run("atlas", f"--run_dir={tiny_run}", f"--out={tmp_path}/atlas", *arguments)
        == 0
    )
    assert "5 most used of 16 maps" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "atlas").iterdir()}
    assert {"level_8x8.png", "part_bases.png", "usage.json", "tensorboard"} <= names


@pytest.mark.parametrize(
    "arguments",
    [
        ("--do=remove", "--unit=attributes:1,1-2:*"),
        ("--do=remove", "--unit=attributes:1,1:*", "--subtree"),
        ("--do=scale", "--factor=2", "--unit=8x8:*,*:1", "--new_gates"),
        ("--do=move", "--rows=1", "--unit=16x16:4-8,4-8:*", "--unit=16x16:9,4:*"),
        ("--do=transplant", "--unit=attributes:1-2,1-2:*", "--into_seed=5"),
        ("--do=interpolate", "--into_seed=5", "--frames=4"),
    ],
)
def test_edits(tiny_run, tmp_path, arguments):
    out = tmp_path / "edit"
    assert run("edit", f"--run_dir={tiny_run}", f"--out={out}", *arguments) == 0
    before, after, difference = (
        np.asarray(PIL.Image.open(out / f"{name}.png")).astype(int)
        for name in ("before", "after", "difference")
    )
    assert before.shape == after.shape == difference.shape == (128, 128, 3)
    change = json.loads((out / "edit.json").read_text())["mean_squared_change"]
    assert change > 0
    assert (out / "interpolation.png").exists() == ("--do=interpolate" in arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--run_dir is required: the directory of a finished run"),
        (["atlos"], "unexpected argument 'atlos'"),
        (["atlas", "more"], "unexpected argument 'more'"),
        (["--run_dir={run}", "--image={photo}", "--seed=1"], "not both"),
        (["--run_dir={run}", "--levle=8x8"], "Unknown command line flag 'levle'"),
        (["--run_dir={run}", "--count=0"], "not a positive integer"),
        (["--run_dir={run}", "--level=9x9"], "There is no level '9x9'"),
        (["--run_dir={run}", "--image=missing.png"], "missing.png: no such file"),
        (["--run_dir={tmp}"], "no config.json here"),
        (["edit", "--run_dir={run}"], "needs --unit"),
        (["edit", "--run_dir={run}", "--do=paint"], "--do must be one of"),
        (["edit", "--run_dir={run}", "--unit=8x8:9,9:1"], "no row 9"),
        (
            ["edit", "--run_dir={run}", "--unit=8x8:*,*:1", "--unit=16x16:*,*:1"],
            "another level",
        ),
        (
            ["edit", "--run_dir={run}", "--do=transplant", "--unit=8x8:1,1:1"],
            "needs a second image",
        ),
        (
            ["edit", "--run_dir={run}", "--unit=8x8:1,1:1", "--subtree", "--new_gates"],
            "--subtree needs recorded gates",
        ),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    tiny_run, photo, tmp_path, capsys, arguments, message
):
    places = {"run": tiny_run, "photo": photo, "tmp": tmp_path}
    arguments = [argument.format(**places) for argument in arguments]
    assert run(*arguments, f"--out={tmp_path}/a/out") == 1
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_run_is_one_line(tiny_run, tmp_path, capsys):
    half = tmp_path / "half"
    (half / "checkpoints").mkdir(parents=True)
    (half / "config.json").write_bytes((tiny_run / "config.json").read_bytes())
    assert run(f"--run_dir={half}", f"--out={tmp_path}/out") == 1
    assert "no checkpoint" in capsys.readouterr().err
    for path in (tiny_run / "checkpoints").iterdir():
        data = path.read_bytes()
        cut = len(data) // 2 if "data" in path.name else len(data)
        (half / "checkpoints" / path.name).write_bytes(data[:cut])
    assert run(f"--run_dir={half}", f"--out={tmp_path}/out") == 1
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_help(capsys):
    assert run("--help") == 0
    assert "--memory_mb" in capsys.readouterr().out
