"""The studio of a model that places its parts: with a server, and not without."""

import base64
import contextlib
import dataclasses
import io
import threading

import numpy as np
import PIL.Image
import pytest
from studio_pages import CELL, PIXELS, as_pixels, opened
from test_placed_networks import BEHIND, FREE, moved
from test_studio_page import agree, state_of

from hcm_tf.errors import UserError
from hcm_tf.explain import edits
from hcm_tf.prior import draw
from hcm_tf.runs.checkpoint import load
from hcm_tf.studio import model_file
from hcm_tf.studio.api import Api
from hcm_tf.studio.engine import Engine
from hcm_tf.studio.server import Studio, listen

ORANGE = (255, 176, 0)  # Of outlines.


@pytest.fixture(scope="module")
def make_api(make_run, tiny_config):
    """Function that makes the verbs of a run whose parts are anywhere.

    Of a hard presence many are nowhere, and colours are strong.
    """

    def make(**values):
        model = dataclasses.replace(tiny_config.model, placement="free", **values)
        run_dir = make_run(model=model)
        run = load(run_dir)
        kernel = run.generator.placing.kernel
        numbers = 2.5 * np.random.default_rng(1).normal(size=kernel.shape)
        if model.presence == "hard":
            numbers[..., 3] *= 20
            colours = run.generator.attribute_conv.kernel
            colours.assign(8 * colours)
        kernel.assign(numbers)
        return Api(Engine(run, "placed"), run_dir)

    return make


@pytest.fixture(scope="module")
def api(make_api):
    return make_api()


@pytest.fixture(scope="module")
def behind(make_api):
    """The same, before a background."""
    return make_api(**BEHIND)


@contextlib.contextmanager
def served(api, browser):
    studio = Studio(api)
    with listen(studio, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{studio.port}/", f"token={studio.token}"
        with opened(browser, address, accept_downloads=True) as page:
            yield page
        server.shutdown()


def record(api, *seeds):
    latents = [draw(api.engine.run.prior, seed, 1)[0] for seed in seeds]
    return api.engine.decoder.record(np.stack(latents))


def lit(page):
    """(top, left, bottom, right) of what is outlined, in pixels; None: nothing is."""
    data = page.page.evaluate(PIXELS).split(",")[1]
    image = PIL.Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    found = np.argwhere(np.all(np.asarray(image) == ORANGE, axis=-1))
    if not len(found):
        return None
    ends = *found.min(axis=0), *(found.max(axis=0) + 1)
    return tuple(round(float(end) / CELL) for end in ends)


def drawn_by(api, recording, unit):
    """The same of what a unit of level 0 draws: of a tenth of its largest value on."""
    code = np.zeros_like(recording.codes[0])
    code.reshape(-1)[unit] = recording.codes[0].reshape(-1)[unit]
    part = np.abs(api.engine.decoder.replay(recording, 0, code[None])[0]).max(axis=-1)
    if not part.any():
        return None
    found = np.argwhere(part >= part.max() / 10)
    return (*found.min(axis=0), *(found.max(axis=0) + 1))


def test_pointing_at_a_part_outlines_what_it_draws(browser, behind):
    (recording,) = record(behind, 0)
    elsewhere = 0
    with served(behind, browser) as page:
        for number in range(4):
            page.choose(0, number)
            page.press("[data-do='2']")
            unit = state_of(page)["edits"][-1]["unit"]
            page.press("#undo")
            page.page.hover(f"#units li:nth-child({number + 1}) .unit")
            expected = drawn_by(behind, recording, unit)
            assert lit(page) == expected
            row, column, _ = np.unravel_index(unit, recording.codes[0].shape)
            elsewhere += expected != (8 * row, 8 * column, 8 * row + 8, 8 * column + 8)
        assert elsewhere > 2
        # Higher levels are maps: a unit is where it is.
        page.press("#levels button:nth-child(2)")
        page.page.hover("#units li:nth-child(1) .unit")
        top, left, bottom, right = lit(page)
        assert (bottom - top, right - left) == (4, 4)


def test_a_part_that_draws_nothing_says_so(browser, make_api):
    api = make_api(presence="hard")
    seed = 36  # Two of its sixteen parts are there.
    (recording,) = record(api, seed)
    told = {}
    with served(api, browser) as page:
        page.set("#seed", seed)
        page.set("#count", 12)
        for number in (0, 11):
            page.choose(0, number)
            told[number] = page.page.text_content("#children")
            page.press("[data-do='2']")
            unit = state_of(page)["edits"][-1]["unit"]
            page.press("#undo")
            page.page.hover(f"#units li:nth-child({number + 1}) .unit")
            assert lit(page) == drawn_by(api, recording, unit)
        assert lit(page) is None
        assert told[11] == "It draws nothing here."
        assert "nothing" not in told[0]
        page.choose(2)
        straight = "It goes straight into the picture."
        assert page.page.text_content("#children") == straight


@pytest.mark.parametrize("anew", [False, True])
def test_a_swap_leaves_the_background(browser, behind, anew):
    target, source = record(behind, 0, 5)
    decoder, always = behind.engine.decoder, behind.engine.levels[0].always
    with served(behind, browser) as page:
        page.set("#seed", 5)
        page.press("#pin")
        page.set("#seed", 0)
        page.choose(0)
        swapped = page.press("#swap")
        if anew:
            swapped = page.press("#anew")
        unit = state_of(page)["edits"][-1]["unit"]
    row, column, _ = np.unravel_index(unit, target.codes[0].shape)
    whole = edits.at_cells(source, 0, [(row, column)])[0]
    alone = whole.take(whole.basis >= always)
    after, together = (
        edits.transplant(decoder, source, {0: part}, target, new_gates=anew).after
        for part in (alone, whole)
    )
    agree(swapped, after)
    for other in (together, target.logits):
        assert np.abs(as_pixels(other).astype(int) - as_pixels(after)).max() > 4


def test_a_redrawn_code_keeps_the_places_of_its_picture(api):
    latent = np.random.default_rng(0).uniform(-1, 1, 6).astype("float32")
    values, arrays = api.verbs["trace"]({}, {"latent": latent})
    code = {"index": arrays["0index"], "value": arrays["0value"]}
    asked = {"level": 0, "id": values["id"]}
    again, drawn = api.verbs["redraw"](asked, code)
    np.testing.assert_allclose(drawn["logits"], arrays["logits"], atol=1e-5)
    # And what is redrawn has places of its own, to be redrawn again.
    _, twice = api.verbs["redraw"]({"level": 0, "id": again["id"]}, code)
    np.testing.assert_allclose(twice["logits"], arrays["logits"], atol=1e-5)
    _, found = api.verbs["credit"]({"id": again["id"]}, {"weights": arrays["logits"]})
    energy = np.sum(np.square(arrays["logits"]))
    assert found["credit0"].sum() == pytest.approx(energy, rel=1e-4)
    other = api.verbs["trace"]({}, {"latent": -latent})[0]["id"]
    _, elsewhere = api.verbs["redraw"]({"level": 0, "id": other}, code)
    assert np.abs(elsewhere["logits"] - arrays["logits"]).max() > 1e-2
    with pytest.raises(ValueError, match="id must name the picture"):
        api.verbs["redraw"]({"level": 0}, code)
    with pytest.raises(LookupError):
        api.verbs["redraw"]({"level": 0, "id": 999}, code)


def test_the_model_says_how_far_its_parts_reach(api):
    reach = [level["reach"] for level in api.engine.model["levels"]]
    assert reach == [api.engine.run.generator.reach(index) for index in range(3)]
    round_parts = moved(dataclasses.replace(FREE, stretch_parts=False))
    assert reach[0] == round_parts.reach(0)


def test_the_browser_refuses_it_in_one_line(api):
    with pytest.raises(UserError, match="placed freely") as caught:
        model_file.pack(api.engine)
    assert "\n" not in str(caught.value)
