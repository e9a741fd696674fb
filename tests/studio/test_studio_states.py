"""States: any one comes back in a fresh browser, and a damaged one is one sentence."""

import json
import os
import urllib.parse

import jsonschema
import numpy as np
import pytest
from studio_pages import as_pixels, host, opened, shown

from hcm_tf.explain import session
from hcm_tf.explain.decoder import Decoder
from hcm_tf.runs.checkpoint import load
from hcm_tf.studio.engine import Engine

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))
STATES = 200 if "FUZZ_EXAMPLES" in os.environ else 12
REFUSALS = {
    "This link or file is damaged.",
    "This link or file was made by another version of the studio.",
    "This link or file belongs to another model.",
}
UNKNOWN_CLASS = "This link or file chooses a "
SCHEMA = json.loads(session.SCHEMA_FILE.read_text())
DRAWN = ("The picture as", "Only what you", "The finer sizes chose anew")
PARSE = """async ([texts, model]) => {
  const { fromText } = await import(new URL("state.js", document.baseURI));
  return texts.map((text) => {
    try {
      return fromText(text, model);
    } catch (error) {
      return error.constructor === Error ? error.message : `${error}`;
    }
  });
}"""


@pytest.fixture(scope="module", params=["tiny", "labelled"])
def named(request):
    """Of which run the states are."""
    return request.param


@pytest.fixture(scope="module")
def run(request, named):
    return load(request.getfixturevalue(f"{named}_run"))


@pytest.fixture(scope="module")
def model(run):
    return Engine(run, "tested").model


@pytest.fixture(scope="module")
def site(request, named):
    return request.getfixturevalue(f"{named}_site")


@pytest.fixture
def page(browser, site):
    with host(site) as address, opened(browser, address) as page:
        yield page


def random_origin(random, model):
    """Of every kind; of a model with labels, two in three choose some."""
    origin = random_latent(random, model)
    labels = [one for one in model["labels"] if random.integers(2)]
    if not labels or not random.integers(3):
        return origin
    chosen = {one["name"]: str(random.choice(one["classes"])) for one in labels}
    return {**origin, "classes": chosen}


def random_latent(random, model):
    seeds = [int(seed) for seed in random.integers(-(2**31), 2**31, 2)]
    truncation = float(random.uniform())
    kind = random.integers(3)
    if kind == 0:
        return {"seed": seeds[0], "truncation": truncation}
    if kind == 1:
        share = float(random.uniform())
        two = {"seed": seeds[0], "other": seeds[1], "share": share}
        return {**two, "truncation": truncation}
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    chosen = random.integers(64, size=4 * model["latentSize"])
    return {"latent": "".join(letters[place] for place in chosen)}


def random_state(random, model):
    edits = []
    for _ in range(random.integers(4)):
        level = int(random.integers(len(model["levels"])))
        about = model["levels"][level]
        units = about["height"] * about["width"] * about["channels"]
        edit = {
            "do": ["change", "change", "insert", "swap"][random.integers(4)],
            "level": level,
            "unit": int(random.integers(units)),
            "factor": float(random.uniform(-4, 4)),
            "rows": int(random.integers(-about["height"], about["height"] + 1)),
            "columns": int(random.integers(-about["width"], about["width"] + 1)),
            "on": bool(random.integers(4)),
        }
        if edit["do"] != "change":
            edit["donor"] = random_origin(random, model)
        edits.append(edit)
    return {
        "version": 2,
        "model": model["hash"],
        "origin": random_origin(random, model),
        "anew": bool(random.integers(2)),
        "pins": [random_origin(random, model) for _ in range(random.integers(3))],
        "edits": edits,
    }


def test_any_state_comes_back_in_a_fresh_browser_and_in_python(
    page, browser, site, run, model, tmp_path
):
    decoder = Decoder(run.generator, progress=False)
    random = np.random.default_rng(3)
    page.page.click("#keep summary")
    path = tmp_path / "session.json"
    for _ in range(STATES):
        state = random_state(random, model)
        path.write_text(json.dumps(state))
        page.page.set_input_files("#session", path)
        here = page.idle()
        assert page.said.startswith(DRAWN)
        fragment = "state=" + urllib.parse.quote(json.dumps(state))
        with host(site) as (base, _), opened(browser, (base, fragment)) as fresh:
            assert fresh.idle() == here
        jsonschema.validate(state, SCHEMA)
        expected = session.compose(run, decoder, session.read(path, run)).after
        difference = shown(here).astype(int) - as_pixels(expected)
        assert np.abs(difference).max() <= 1


def test_damaged_states_are_one_sentence(page, model):
    random = np.random.default_rng(4)
    texts = []
    for _ in range(EXAMPLES):
        text = json.dumps(random_state(random, model))
        for _ in range(random.integers(1, 4)):
            place = int(random.integers(len(text)))
            kind = random.integers(3)
            letter = chr(random.integers(32, 127))
            text = (
                text[:place] + letter + text[place + 1 :]
                if kind == 0
                else text[:place] + text[place + int(random.integers(1, 9)) :]
                if kind == 1
                else text[:place] + letter + text[place:]
            ) or "?"
        texts.append(text)
    found = page.page.evaluate(PARSE, [texts, model])
    refused = [one for one in found if isinstance(one, str)]
    classes = [one for one in refused if one.startswith(UNKNOWN_CLASS)]
    assert set(refused) <= REFUSALS | set(classes)
    assert bool(classes) == bool(model["labels"])
    assert len(refused) > EXAMPLES / 2
    # What is taken can be drawn.
    taken = [one for one in found if not isinstance(one, str)]
    for state in taken[:: max(1, len(taken) // 10)]:
        whole = {"version": 2, "model": model["hash"], **state}
        page.go("state=" + urllib.parse.quote(json.dumps(whole)))
        assert page.said.startswith(DRAWN)
