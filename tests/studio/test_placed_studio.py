"""The studio of a model that places its parts: with a server, and not without."""

import dataclasses

import numpy as np
import pytest
from test_placed_networks import FREE, moved

from hcm_tf.errors import UserError
from hcm_tf.runs.checkpoint import load
from hcm_tf.studio import model_file
from hcm_tf.studio.api import Api
from hcm_tf.studio.engine import Engine


@pytest.fixture(scope="module")
def api(make_run, tiny_config):
    model = dataclasses.replace(tiny_config.model, placement="free")
    run_dir = make_run(model=model)
    run = load(run_dir)
    kernel = run.generator.placing.kernel
    kernel.assign(2.5 * np.random.default_rng(1).normal(size=kernel.shape))
    return Api(Engine(run, "placed"), run_dir)


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
