"""Every action of the studio in Chromium: each test looks at the pixels."""

import base64
import contextlib
import dataclasses
import io
import json
import pathlib

import jsonschema
import numpy as np
import PIL.Image
import pytest
from studio_pages import PIXELS, as_pixels, host, opened, serve, shown

from hcm_tf.data.resizing import ImageFormat
from hcm_tf.explain import edits, names, tree
from hcm_tf.explain.decoder import Decoder
from hcm_tf.prior import draw
from hcm_tf.runs.checkpoint import load
from hcm_tf.studio import site
from hcm_tf.studio.engine import Engine


def recorded(tiny_run, *seeds):
    decoder = Decoder(load(tiny_run).generator, progress=False)
    run = load(tiny_run)
    return decoder, [decoder.record(draw(run.prior, seed, 1))[0] for seed in seeds]


def agree(data, logits):
    """Within one grey level, which the last bit of tanh may turn."""
    difference = shown(data).astype(int) - as_pixels(logits).astype(int)
    assert np.abs(difference).max() <= 1


def unit_of(page):
    """(level, row, column, basis) of the first change on the table."""
    edit = state_of(page)["edits"][0]
    return edit["level"], edit["unit"]


def state_of(page):
    """The state on the table, as a saved session."""
    return json.loads(download(page, "#save-session").read_text())


def download(page, selector):
    if not page.page.evaluate("document.getElementById('keep').open"):
        page.page.click("#keep summary")
    with page.page.expect_download() as waiting:
        page.page.click(selector)
    page.idle()
    return pathlib.Path(waiting.value.path())


def place(code, unit):
    return np.unravel_index([unit], code.shape)


def test_numbers_draw_what_the_commands_draw(studio_page, tiny_run):
    decoder, (first, second, last) = recorded(tiny_run, 0, 1, -(2**31))
    agree(studio_page.idle(), first.logits)
    agree(studio_page.press("#after"), second.logits)
    agree(studio_page.press("#before"), first.logits)
    agree(studio_page.set("#seed", -(2**40)), last.logits)
    run = load(tiny_run)
    agree(
        studio_page.set("#truncation", 0.5),
        decoder.record(draw(run.prior, -(2**31), 1, 0.5))[0].logits,
    )


def test_a_spot_is_explained_and_its_parts_light_up(studio_page):
    page = studio_page
    before = page.idle()
    assert "1.000000" in page.page.text_content("#residual")
    box = page.page.locator("#picture").bounding_box()
    page.page.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    page.page.mouse.move(0, 0)
    marked = page.idle()
    assert marked != before
    assert "of the marked spot" in page.page.text_content("#covers")
    for level in range(3):
        page.press(f"#levels button:nth-child({level + 1})")
        assert "1.000000" in page.page.text_content("#residual")
    shares = page.page.locator("#units .unit span").all_text_contents()
    values = [float(text.split(" %")[0]) for text in shares]
    assert values == sorted(values, reverse=True)
    page.set("#count", 2)
    assert page.page.locator("#units li").count() == 2
    # Pointing at a card outlines its place; pointing at the picture lights a card.
    page.page.hover("#units li:nth-child(2) .unit")
    assert page.page.evaluate(PIXELS) != marked
    page.page.hover(
        "#picture", position={"x": box["width"] / 3, "y": box["height"] / 3}
    )
    assert page.page.locator("#units .lit").count() == 1
    page.page.mouse.move(0, 0)
    assert page.page.evaluate(PIXELS) == marked


def test_a_rectangle_is_dragged(studio_page):
    page = studio_page
    box = page.page.locator("#picture").bounding_box()
    page.page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 150, box["y"] + 90)
    page.page.mouse.up()
    page.idle()
    assert "of the marked spot" in page.page.text_content("#covers")


@pytest.mark.parametrize("level", range(3))
def test_removing_is_exact_and_undone_to_the_byte(studio_page, tiny_run, level):
    page = studio_page
    before = page.idle()
    page.choose(level)
    removed = page.press("[data-do='0']")
    assert page.said == "Only what you changed is different."
    decoder, (recording,) = recorded(tiny_run, 0)
    at, unit = unit_of(page)
    assert at == level
    code = recording.codes[level]
    part = {level: decoder.active(recording, level).take(_index(code, unit))}
    agree(removed, edits.remove(decoder, recording, part).after)
    assert page.press("#undo") == before
    assert page.press("#redo") == removed
    page.page.keyboard.press("Control+z")
    assert page.idle() == before


def _index(code, unit):
    """The place of a unit among the active ones of its level."""
    return [int(np.searchsorted(np.flatnonzero(code), unit))]


def test_strengthening_moving_switching_and_weighing(studio_page, tiny_run):
    page = studio_page
    before = page.idle()
    page.choose(1)
    doubled = page.press("[data-do='2']")
    decoder, (recording,) = recorded(tiny_run, 0)
    _, unit = unit_of(page)
    part = {1: decoder.active(recording, 1).take(_index(recording.codes[1], unit))}
    agree(doubled, edits.scale(decoder, recording, part, 2.0).after)
    moved = page.press("[data-move='0,1']")
    whole = edits.picture(decoder, recording, part)
    cell = decoder.windows(recording, 1, None).cell
    shifted = np.zeros_like(whole)
    shifted[:, cell:] = whole[:, :-cell]
    agree(moved, recording.logits - whole + 2 * shifted)
    assert page.press("#edits input[type=checkbox]") == before
    assert page.press("#edits input[type=checkbox]") == moved
    page.press("[data-move='0,-1']")
    agree(page.set("#edits input[type=range]", 0), recording.logits - whole)
    assert page.press("#edits button") == before
    assert page.page.locator("#edits li").count() == 0


def test_changes_of_two_sizes_compose(studio_page, tiny_run):
    """Removing a part and then one that it helps to make takes nothing twice."""
    page = studio_page
    page.choose(0)
    page.press("[data-do='0']")
    lower = state_of(page)["edits"][0]["unit"]
    page.press("#children .unit")
    upper = page.press("[data-do='0']")
    both = state_of(page)["edits"]
    assert [edit["level"] for edit in both] == [0, 1]
    decoder, (recording,) = recorded(tiny_run, 0)
    part = {
        level: decoder.active(recording, level).take(
            _index(recording.codes[level], unit)
        )
        for level, unit in ((0, lower), (1, both[1]["unit"]))
    }
    agree(upper, edits.remove(decoder, recording, part).after)


@pytest.mark.parametrize("level", range(2))
def test_finer_parts_adapt(studio_page, tiny_run, level):
    page = studio_page
    page.choose(level)
    page.press("[data-do='0']")
    anew = page.press("#anew")
    assert "chose anew" in page.said
    decoder, (recording,) = recorded(tiny_run, 0)
    _, unit = unit_of(page)
    code = recording.codes[level]
    part = {level: decoder.active(recording, level).take(_index(code, unit))}
    expected = edits.remove(decoder, recording, part, new_gates=True).after
    agree(anew, expected)


@pytest.mark.parametrize("anew", [False, True])
def test_swapping_is_transplanting(studio_page, tiny_run, anew):
    page = studio_page
    page.set("#seed", 5)
    page.press("#pin")
    page.set("#seed", 0)
    before = page.idle()
    page.choose(1)
    assert page.page.is_visible("#borrow")
    swapped = page.press("#swap")
    if anew:
        swapped = page.press("#anew")
    assert swapped != before
    decoder, (target, source) = recorded(tiny_run, 0, 5)
    _, unit = unit_of(page)
    row, column, _ = (int(one[0]) for one in place(target.codes[1], unit))
    part = edits.at_cells(source, 1, [(row, column)])
    expected = edits.transplant(decoder, source, part, target, new_gates=anew).after
    agree(swapped, expected)
    page.press("#undo")
    if anew:
        page.press("#undo")
    inserted = page.press("#offers .unit")
    if not anew:
        _, unit = unit_of(page)
        one = {1: decoder.active(source, 1).take(_index(source.codes[1], unit))}
        agree(inserted, target.logits + edits.picture(decoder, source, one))
    assert page.page.locator("#pins li").count() == 1
    page.press("#pins li .buttons button:nth-child(2)")
    assert page.page.locator("#pins li").count() == 0


def test_nearby_and_between(studio_page):
    page = studio_page
    first = page.idle()
    page.press("#nearby summary")
    page.page.wait_for_selector("#nearby-list li:nth-child(8)")
    page.idle()
    near = page.press("#nearby-list li:nth-child(2) .unit")
    assert near != first
    page.set("#seed", 0)
    page.set("#other", 4)
    assert page.set("#share", 0) == first
    half = page.set("#share", 0.5)
    end = page.set("#share", 1)
    assert len({first, half, end}) == 3
    other = shown(page.set("#seed", 4)).astype(int)
    assert np.abs(other - shown(end)).max() <= 1


def test_wipe_and_difference(studio_page):
    page = studio_page
    before = page.idle()
    page.choose(0)
    after = page.press("[data-do='0']")
    page.press("#mode-wipe")
    half = page.set("#wipe", 0.5)
    assert np.array_equal(shown(half)[:, :16], shown(before)[:, :16])
    assert np.array_equal(shown(half)[:, 16:], shown(after)[:, 16:])
    difference = page.press("#mode-difference")
    assert "before tanh" in page.page.text_content("#scale")
    changed = np.any(shown(before) != shown(after), axis=-1)
    # Where nothing changed it is white.
    assert np.all(shown(difference)[~changed].min(axis=-1) > 200)
    assert shown(difference)[changed].min() < 200
    assert page.press("#mode-original") == before
    assert page.press("#mode-changed") == after


def test_names_stay(studio_page):
    page = studio_page
    page.choose(1)
    page.set("#name", "  left <b>eye</b>\u0007 ")
    assert "left <b>eye</b>" in page.page.text_content("#units")
    saved = json.loads(download(page, "#save-names").read_text())
    assert list(saved["names"].values()) == ["left <b>eye</b>"]
    page.page.reload()
    page.idle()
    page.press("#levels button:nth-child(2)")
    assert "left <b>eye</b>" in page.page.text_content("#units")
    page.press("#units li:nth-child(1) .unit")
    page.set("#name", "")
    assert "left" not in page.page.text_content("#units")


def test_names_of_another_checkpoint_stay_too(browser, make_run, capsys):
    run_dir = make_run()
    names.write(run_dir, "0123456789abcdef", {"8x8:0": "old"})
    with serve(run_dir) as address, opened(browser, address) as page:
        page.choose(1)
        page.set("#name", "new")
        assert "new" in page.page.text_content("#units")
    found = {path: json.loads(path.read_text()) for path in run_dir.glob("names*")}
    assert {path.name: [*one["names"].values()] for path, one in found.items()} == {
        "names.json": ["new"],
        "names-01234567.json": ["old"],
    }
    *_, said = capsys.readouterr().err.splitlines()
    assert said.endswith("kept as names-01234567.json.")


def test_clicks_do_not_wait_for_the_drawing(studio_page):
    """Several in one go: each counts on what the one before has changed."""
    page = studio_page
    before = page.idle()

    def click(*selectors):
        page.page.evaluate(
            "all => all.forEach((one) => document.querySelector(one).click())",
            selectors,
        )
        return page.idle()

    page.choose(1)
    moved = click(*["[data-move='0,1']"] * 3)
    (edit,) = state_of(page)["edits"]
    assert edit["columns"] == 3
    assert click(*["#undo"] * 3) == before
    assert click(*["#redo"] * 3) == moved
    for number in (2, 3):
        page.press(f"#units li:nth-child({number}) .unit")
        page.press("[data-do='2']")
    *_, last = state_of(page)["edits"]
    items = [f"#edits li:nth-child({number})" for number in (1, 2, 3)]
    click(f"{items[0]} button", f"{items[1]} button", f"{items[2]} input")
    assert state_of(page)["edits"] == [{**last, "on": False}]
    # A part of the picture that is being left is no part of the next one.
    click("#after", "#after", "[data-do='0']")
    state = state_of(page)
    assert (state["origin"]["seed"], state["edits"]) == (2, [])


def test_two_pages_name_the_same_model(browser, make_run):
    run_dir = make_run()
    with (
        serve(run_dir) as address,
        opened(browser, address) as first,
        opened(browser, address) as second,
    ):
        for number, page in enumerate((first, second), start=1):
            page.choose(1)
            page.press(f"#units li:nth-child({number}) .unit")
            page.set("#name", f"part {number}")
        assert "part 1" in second.page.text_content("#units")
    found = json.loads((run_dir / "names.json").read_text())["names"]
    assert sorted(found.values()) == ["part 1", "part 2"]


def test_a_photograph_that_could_not_be_read_is_chosen_again(
    browser, tiny_run, tmp_path
):
    path = tmp_path / "photo.png"
    PIL.Image.new("RGB", (40, 40), (200, 40, 40)).save(path)
    with serve(tiny_run) as address, opened(browser, address) as page:
        page.page.click("#own summary")
        page.page.route("**/api/encode", lambda route: route.fulfill(status=503))
        page.page.set_input_files("#photo", path)
        before = page.idle()
        page.page.click("#refine")  # There is nothing to begin with.
        assert page.idle() == before
        assert page.page.text_content("#refine") == "Refine"
        assert all("503" in one for one in page.complaints)
        page.complaints.clear()
        page.page.unroute("**/api/encode")
        # A browser tells of no choice of what is chosen already.
        assert page.page.input_value("#photo") == ""
        page.page.set_input_files("#photo", path)
        assert page.idle() != before
        assert "encoder reads it" in page.page.text_content("#photo-error")


def test_a_part_in_other_pictures(studio_page):
    page = studio_page
    page.choose(1)
    page.press("#elsewhere")
    assert page.page.locator("#elsewhere-list li").count() == 16
    assert "of 16 other pictures" in page.said


def test_a_photograph_is_parsed_and_refined(studio_page, tmp_path):
    page = studio_page
    before = page.idle()
    photo = PIL.Image.new("RGB", (90, 60), (200, 40, 40))
    photo.paste((20, 60, 220), (45, 0, 90, 60))
    exif = PIL.Image.Exif()
    exif[0x0112] = 3  # Turned upside down: the blue half is left.
    photo.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    page.page.click("#own summary")
    page.page.set_input_files("#photo", tmp_path / "photo.jpg")
    parsed = page.idle()
    assert parsed != before
    shrunk = page.page.evaluate(PIXELS.replace("'picture'", "'photo-picture'"))
    image = PIL.Image.open(io.BytesIO(base64.b64decode(shrunk.split(",")[1])))
    left, right = image.getpixel((4, 16)), image.getpixel((27, 16))
    assert left[2] > left[0]
    assert right[0] > right[2]
    told = page.page.text_content("#photo-error")
    page.page.click("#refine")
    page.page.wait_for_selector("#refine-progress", state="hidden")
    refined = page.idle()
    text = page.page.text_content("#photo-error")
    assert "after 50 steps" in text
    error = float(text.split("error ")[1].split(" ")[0])
    assert error < float(told.split("error ")[1].split(" ")[0])
    # The session brings the same picture back.
    state = state_of(page)
    assert set(state["origin"]) == {"latent"}
    path = tmp_path / "session.json"
    path.write_text(json.dumps(state))
    page.set("#seed", 3)
    page.page.set_input_files("#session", path)
    assert page.idle() == refined


@pytest.mark.parametrize("size", [(96, 64), (64, 160)])
@pytest.mark.parametrize("alone", [False, True])
def test_a_photograph_is_stretched_as_the_training_images_were(
    browser, make_run, tiny_config, tmp_path, size, alone
):
    data = dataclasses.replace(tiny_config.data, resize="stretch")
    run_dir = make_run(data=data)
    photo = PIL.Image.new("RGB", size, (200, 40, 40))
    # What is at the ends is seen only if nothing is cut off.
    photo.paste((20, 60, 220), (0, 0, size[0] // 4, size[1]))
    photo.paste((40, 200, 90), (0, 0, size[0], size[1] // 8))
    photo.save(tmp_path / "photo.png")
    if alone:
        site.write(tmp_path / "site", Engine(load(run_dir), "tiny"))
    with contextlib.ExitStack() as stack:
        address = host(tmp_path / "site") if alone else serve(run_dir)
        page = stack.enter_context(opened(browser, stack.enter_context(address)))
        page.page.click("#own summary")
        page.page.set_input_files("#photo", tmp_path / "photo.png")
        page.idle()
        shrunk = page.page.evaluate(PIXELS.replace("'picture'", "'photo-picture'"))
    found = PIL.Image.open(io.BytesIO(base64.b64decode(shrunk.split(",")[1])))
    as_trained = ImageFormat.of(data, 32, 3)
    as_trained = dataclasses.replace(as_trained, resize_filter="area").apply(photo)
    difference = np.asarray(found.convert("RGB")).astype(int) - as_trained
    assert np.abs(difference).mean() < 1


def test_what_is_no_picture_is_told(studio_page, tmp_path):
    page = studio_page
    before = page.idle()
    (tmp_path / "note.png").write_text("no picture")
    page.page.click("#own summary")
    page.page.set_input_files("#photo", tmp_path / "note.png")
    assert page.idle() == before
    assert page.said == "note.png is no picture that this browser can read."


def test_picture_session_link_and_tree_are_taken_along(studio_page, tiny_run, tmp_path):
    page = studio_page
    page.set("#seed", 2)
    page.choose(1)
    after = page.press("[data-do='0']")
    saved = np.asarray(PIL.Image.open(download(page, "#save")).convert("RGB"))
    assert np.array_equal(saved, shown(after))
    page.press("#link")
    fragment = page.page.evaluate("location.hash").removeprefix("#")
    assert fragment.startswith("state=")
    page.go(fragment)
    assert page.idle() == after
    page.page.click("#keep summary")
    found = json.loads(download(page, "#save-tree").read_text())
    jsonschema.validate(found, json.loads(tree.SCHEMA_FILE.read_text()))
    decoder, (recording,) = recorded(tiny_run, 2)
    expected = tree.grow(decoder, recording).to_json()
    assert found["roots"] == expected["roots"]
    assert len(found["nodes"]) == len(expected["nodes"])
    by_id = {node["id"]: node for node in found["nodes"]}
    for node in expected["nodes"]:
        mine = by_id[node["id"]]
        assert mine["unit"] == node["unit"]
        assert mine["share"] == pytest.approx(node["share"], abs=1e-5)
        assert mine["rank"] == node["rank"]
        for kind in ("children", "parents"):
            assert [edge["id"] for edge in mine[kind]] == [
                edge["id"] for edge in node[kind]
            ]
            for edge, other in zip(mine[kind], node[kind], strict=True):
                assert edge["weight"] == pytest.approx(other["weight"], abs=1e-4)
                assert edge["flow"] == pytest.approx(other["flow"], abs=1e-4)
    for level in found["levels"]:
        assert level["unit_residual"] < 1e-5
        assert level["edge_residual"] < 1e-5


@pytest.mark.parametrize(
    ("fragment", "said"),
    [
        ("state=broken", "This link or file is damaged."),
        ("state=null", "This link or file is damaged."),
        ("state=%7B%22version%22%3A1%7D", "made by another version of the studio."),
        (
            "state=%7B%22version%22%3A2%2C%22model%22%3A%22x%22%7D",
            "belongs to another model.",
        ),
    ],
)
def test_odd_links_are_one_sentence(studio_page, fragment, said):
    before = studio_page.idle()
    studio_page.go(fragment)
    assert studio_page.said.endswith(said)
    assert studio_page.idle() == before


def test_the_tour(studio_page):
    page = studio_page
    seen = {page.press("#tour-start")}
    for step in range(2, 6):
        seen.add(page.press("#tour-on"))
        assert page.page.text_content("#tour-text").startswith(f"{step} of 5")
    assert len(seen) == 5
    last = page.idle()
    page.go("tour=5")
    assert page.idle() == last


def test_the_whole_story_by_keyboard(studio_page):
    """Seed, spot, part, removal, undo: without a pointer, the focus always visible."""
    page, keyboard = studio_page, studio_page.page.keyboard
    before = page.idle()

    def reach(selector, most=80):
        for _ in range(most):
            if page.page.evaluate(
                "(selector) => document.activeElement.matches(selector)", selector
            ):
                outline = page.page.evaluate(
                    "getComputedStyle(document.activeElement).outlineStyle"
                )
                assert outline != "none"
                return
            keyboard.press("Tab")
        raise AssertionError(f"{selector} is never reached")

    reach("#picture")
    keyboard.press("ArrowDown")
    keyboard.press("ArrowRight")
    keyboard.press("Enter")
    page.idle()
    assert "of the marked spot" in page.page.text_content("#covers")
    reach("#after")
    keyboard.press("Enter")
    second = page.idle()
    assert second != before
    reach("#pin")
    keyboard.press("Enter")
    page.idle()
    reach("#levels button:nth-child(2)")
    keyboard.press("Enter")
    page.idle()
    reach("#units .unit")
    keyboard.press("Enter")
    page.idle()
    reach("#name")
    keyboard.type("nose")
    keyboard.press("Tab")
    page.idle()
    reach("[data-do='0']")
    keyboard.press("Enter")
    page.idle()
    assert page.page.locator("#edits li").count() == 1
    reach("#undo", most=200)
    keyboard.press("Enter")
    page.idle()
    assert page.page.locator("#edits li").count() == 0


def test_another_picture_is_drawn_after_its_gates_were_forgotten(studio_page):
    page = studio_page
    first = page.idle()
    for seed in range(1, 40):
        page.set("#seed", seed)
    assert page.set("#seed", 0) == first
    page.choose(1)
    page.press("[data-do='0']")
    assert page.said == "Only what you changed is different."
    assert page.press("#undo") == first


def test_a_page_without_its_token_says_so(browser, tiny_run):
    with serve(tiny_run) as (base, _):
        context = browser.new_context()
        page = context.new_page()
        page.goto(base)
        page.wait_for_timeout(500)
        text = page.text_content("#status")
        context.close()
    assert text == "Open the link that the command printed."
