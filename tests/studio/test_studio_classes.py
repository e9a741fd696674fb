"""The class control of the studio, in Chromium, of a model that draws by labels."""

import dataclasses
import json
import pathlib
import re
import urllib.parse

import numpy as np
import PIL.Image
import pytest
from studio_pages import opened, serve, shown

from hcm_tf import labels
from hcm_tf.config import Label
from hcm_tf.explain import session
from hcm_tf.explain.decoder import Decoder
from hcm_tf.prior import draw
from hcm_tf.runs.checkpoint import load

SHAPE, HAT = (f"#classes label:nth-child({number}) select" for number in (1, 2))
OWN = "option:first-child"


@pytest.fixture(scope="module")
def run(labelled_run):
    return load(labelled_run)


@pytest.fixture(scope="module")
def decoder(run):
    return Decoder(run.generator, progress=False)


def agree(data, image):
    """Within one grey level, which the last bit of tanh may turn.

    Args:
        data: of the page.
        image: in [-1, 1].
    """
    expected = np.rint(127.5 * (np.asarray(image) + 1))
    assert np.abs(shown(data).astype(int) - expected).max() <= 1


def choose(page, select, label):
    """Selects a class by its name, as a user would."""
    page.page.select_option(select, label=label)
    return page.idle()


def state_of(page):
    """The state on the table, as a saved session."""
    if not page.page.evaluate("document.getElementById('keep').open"):
        page.page.click("#keep summary")
    with page.page.expect_download() as waiting:
        page.page.click("#save-session")
    page.idle()
    return json.loads(pathlib.Path(waiting.value.path()).read_text())


def composed(page, run, decoder, tmp_path):
    """What Python makes of the state on the table, in [-1, 1]."""
    path = tmp_path / "session.json"
    path.write_text(json.dumps(state_of(page)))
    return np.tanh(session.compose(run, decoder, session.read(path, run)).after)


def drawn_class(run, seed):
    """The names of the classes that a seed decides."""
    (found,) = labels.behind(run.config.model.labels, draw(run.prior, seed, 1))
    known = run.config.model.labels
    return [one.classes[place] for one, place in zip(known, found, strict=True)]


def test_a_model_without_labels_has_no_control(studio_page):
    assert not studio_page.page.is_visible("#classes")
    assert studio_page.page.locator("select").count() == 0


def test_the_seed_decides_and_the_page_says_what(labelled_page, run):
    page = labelled_page
    seen = set()
    for seed in range(6):
        agree(page.set("#seed", seed), run.sample(1, seed=seed)[0])
        shape, hat = drawn_class(run, seed)
        assert page.page.text_content(f"{SHAPE} {OWN}") == f"{shape}, by its number"
        assert page.page.text_content(f"{HAT} {OWN}") == f"{hat}, by its number"
        assert page.page.evaluate(f"document.querySelector('{SHAPE}').value") == (
            f"{shape}, by its number"
        )
        seen.add((shape, hat))
    assert len(seen) > 2
    assert not page.page.is_visible("#classes-told")
    assert "classes" not in state_of(page)["origin"]


def test_a_class_is_chosen_kept_undone_and_left_to_the_seed(
    labelled_page, run, decoder
):
    page = labelled_page
    before = page.set("#seed", 1)
    own = drawn_class(run, 1)[0]
    other = next(one for one in ("square", "none") if one != own)
    asked = run.choose([f"shape={other}"])
    chosen = choose(page, SHAPE, other)
    agree(chosen, asked.sample(1, seed=1)[0])
    origin = state_of(page)["origin"]
    assert origin == {"seed": 1, "truncation": 1, "classes": {"shape": other}}
    two = [decoder.record(draw(one.prior, 1, 1))[0].codes for one in (run, asked)]
    active = [np.concatenate([code.ravel() != 0 for code in codes]) for codes in two]
    others = np.count_nonzero(active[1] & ~active[0])
    assert page.page.text_content("#classes-told") == (
        f"The same latent, shape {other} instead of {own}: {others} of its "
        f"{np.count_nonzero(active[1])} parts are others."
    )
    assert others > 0
    # The next pictures are of that class, too.
    agree(page.press("#after"), asked.sample(1, seed=2)[0])
    agree(page.set("#truncation", 0.5), asked.sample(1, seed=2, truncation=0.5)[0])
    page.press("#undo")
    assert page.press("#undo") == chosen
    assert page.press("#undo") == before
    assert page.page.text_content("#classes-told") == ""
    assert page.press("#redo") == chosen
    # The option that leaves it to the seed leaves no trace.
    page.page.select_option(SHAPE, index=0)
    assert page.idle() == before
    assert state_of(page)["origin"] == {"seed": 1, "truncation": 1}


def test_all_labels_are_chosen_and_a_link_keeps_them(labelled_page, run):
    page = labelled_page
    choose(page, HAT, "red=hot")
    chosen = choose(page, SHAPE, "none")
    agree(chosen, run.choose(["shape=none", "red=hot"]).sample(1)[0])
    # In the order of the labels, whichever was chosen first.
    assert list(state_of(page)["origin"]["classes"]) == ["shape", "hat_color"]
    page.press("#link")
    fragment = page.page.evaluate("location.hash").removeprefix("#")
    page.go(fragment)
    assert page.idle() == chosen
    assert page.page.evaluate(f"document.querySelector('{HAT}').value") == "red=hot"


@pytest.mark.parametrize("anew", [False, True])
def test_changes_stay_with_another_class(labelled_page, run, decoder, tmp_path, anew):
    page = labelled_page
    page.press("#pin")
    choose(page, SHAPE, "square")
    page.choose(0)
    page.press("[data-do='0']")
    page.choose(1, 1)
    page.press("[data-do='2']")
    page.choose(0, 2)
    page.press("#swap")
    if anew:
        page.press("#anew")
    agree(page.idle(), composed(page, run, decoder, tmp_path))
    for other in ("round", "none"):
        agree(choose(page, SHAPE, other), composed(page, run, decoder, tmp_path))
    state = state_of(page)
    assert len(state["edits"]) == 3
    assert state["edits"][2]["donor"] == {"seed": 0, "truncation": 1}
    latent = session.latent_of(state["origin"], run)
    codes = decoder.record(latent[None])[0].codes
    for number, edit in enumerate(state["edits"][:2], 1):
        told = page.page.text_content(f"#edits li:nth-child({number})")
        absent = codes[edit["level"]].ravel()[edit["unit"]] == 0
        assert ("which this picture does not have" in told) == absent


def test_discovered_classes_are_labels_like_others(browser, make_run, tiny_config):
    names = tuple(map(str, range(12)))
    known = Label("discovered", names, (1 / 12,) * 12)
    run_dir = make_run(model=dataclasses.replace(tiny_config.model, labels=(known,)))
    run = load(run_dir)
    with (
        serve(run_dir) as address,
        opened(browser, address, accept_downloads=True) as page,
    ):
        own = drawn_class(run, 0)[0]
        assert page.page.text_content(f"{SHAPE} {OWN}") == f"{own}, by its number"
        for one in ("11", "1", "0"):
            expected = run.choose([f"discovered={one}"]).sample(1)[0]
            agree(choose(page, SHAPE, one), expected)
            assert state_of(page)["origin"]["classes"] == {"discovered": one}


def test_between_two_the_classes_are_mixed_unless_one_is_chosen(labelled_page, run):
    page = labelled_page
    ends = [drawn_class(run, seed)[0] for seed in range(12)]
    other = next(seed for seed, shape in enumerate(ends) if shape != ends[0])
    page.press("#nearby summary")
    page.set("#other", other)
    page.set("#share", 0.25)
    assert page.page.text_content(f"{SHAPE} {OWN}") == (
        f"75 % {ends[0]}, 25 % {ends[other]}"
    )
    choose(page, SHAPE, "square")
    found = state_of(page)["origin"]
    assert (found["share"], found["classes"]) == (0.25, {"shape": "square"})
    near = page.press("#nearby-list li:nth-child(2) .unit")
    found = state_of(page)["origin"]
    assert (found["share"], found["classes"]) == (0.35, {"shape": "square"})
    page.press("#pin")
    title = page.page.text_content("#pins li")
    assert title.startswith("between 0 and 2000 (square)")
    assert page.press("#pins li .buttons button:first-child") == near


def test_a_photograph_is_read_and_refined_as_another_class(
    labelled_page, run, decoder, tmp_path
):
    page = labelled_page
    PIL.Image.new("RGB", (40, 40), (200, 40, 40)).save(tmp_path / "photo.png")
    page.page.click("#own summary")
    page.page.set_input_files("#photo", tmp_path / "photo.png")
    page.idle()
    read = page.page.text_content(f"{SHAPE} {OWN}")
    assert read.endswith(", as it was read")
    for asked in (None, "square", "none"):
        if asked:
            agree(choose(page, SHAPE, asked), composed(page, run, decoder, tmp_path))
        page.page.click("#refine")
        page.page.wait_for_selector("#refine-progress", state="hidden")
        agree(page.idle(), composed(page, run, decoder, tmp_path))
        # Half a class would be no class: the labels are as they were.
        origin = state_of(page)["origin"]
        assert origin.get("classes") == (asked and {"shape": asked})
        assert page.page.text_content(f"{SHAPE} {OWN}") == read
        behind = session.latent_of(origin, run)[run.config.model.latent_size :]
        np.testing.assert_allclose(np.sort(behind), [0, 0, 0, 0, 1, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (
            {"shoe": "none"},
            "chooses a label that there is not. This model has shape, hat_color.",
        ),
        (
            {"shape": "flat"},
            "chooses a class that there is not. shape has round, square, none.",
        ),
        ({"__proto__": "none"}, "chooses a label that there is not."),
        ({"shape": 1}, "chooses a class that there is not."),
        ([], "This link or file is damaged."),
        ("none", "This link or file is damaged."),
        (None, "This link or file is damaged."),
    ],
)
def test_links_of_odd_classes_are_one_sentence(labelled_page, classes, said):
    page = labelled_page
    before = page.idle()
    state = state_of(page)
    state["origin"]["classes"] = classes
    page.go("state=" + urllib.parse.quote(json.dumps(state)))
    assert said in page.said
    assert page.idle() == before


def test_a_class_for_a_model_without_any_is_one_sentence(studio_page):
    state = state_of(studio_page)
    state["origin"]["classes"] = {"shape": "round"}
    studio_page.go("state=" + urllib.parse.quote(json.dumps(state)))
    assert studio_page.said == (
        "This link or file chooses a label that there is not. This model has none."
    )


def test_a_class_is_chosen_by_keyboard(labelled_page, run):
    page, keyboard = labelled_page, labelled_page.page.keyboard
    before = page.idle()
    page.page.get_by_label(re.compile("^Hat color")).focus()
    keyboard.press("Shift+Tab")
    focused = "document.activeElement === document.querySelector('{}')"
    assert page.page.evaluate(focused.format(SHAPE))
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.page.evaluate(outline) != "none"
    keyboard.press("s")
    chosen = page.idle()
    agree(chosen, run.choose(["square"]).sample(1)[0])
    # The focus stays, so that one can go through the classes.
    assert page.page.evaluate(focused.format(SHAPE))
    keyboard.press("ArrowDown")
    agree(page.idle(), run.choose(["shape=none"]).sample(1)[0])
    keyboard.press("Home")
    assert page.idle() == before
