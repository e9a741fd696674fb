"""What a model card says of its run: scores explained, where it comes from."""

import dataclasses
import datetime
import json

import pytest

import hcm_tf
from export import model_card
from hcm_tf.runs import checkpoint
from hcm_tf.runs.preview import Preview

RECORDS = [
    {"step": 100, "held_out_error": 0.5},
    {"step": 200, "critic_loss": 1.0},
    {
        **{"step": 300, "held_out_error": 0.25, "held_out_of_pixel_variance": 0.125},
        **{"active_8x8": 0.75, "never_active_8x8": 0.0625, "another_score": 7.0},
    },
    {"step": 900, "held_out_error": 0.0},
]


@pytest.fixture
def run_dir(tmp_path):
    lines = [json.dumps(record) for record in RECORDS]
    # A run that was stopped while it wrote leaves half a line.
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 9']))
    provenance = {"provenance": {"git_revision": "abc123-dirty"}}
    (tmp_path / "config.json").write_text(json.dumps(provenance))
    return tmp_path


def test_the_last_scores_up_to_the_step_are_explained(run_dir):
    text = model_card.scores(run_dir, 300)
    assert text.startswith("Measured at step 300 ")
    assert "* `held_out_error`: 0.25 (mean squared error" in text
    assert "* `held_out_of_pixel_variance`: 0.125 (that error over" in text
    assert "* `active_8x8`: 0.75 (fraction of the activations of level 8x8" in text
    assert "* `never_active_8x8`: 0.0625 (fraction of the units of level 8x8" in text
    assert "* `another_score`: 7\n" in text
    assert "`step`" not in text


def test_every_score_of_a_run_has_an_explanation(loaded):
    size, channels = loaded.generator.image_size, loaded.generator.image_channels
    images = loaded.generator(loaded.encoder(_noise(4, size, channels))).numpy()
    for name in Preview(
        loaded.generator, loaded.encoder, images, loaded.prior
    ).measure():
        assert model_card.explained(name), name


def test_without_measurements_it_says_so(run_dir):
    assert "nothing was measured" in model_card.scores(run_dir, 50)
    assert "nothing was measured" in model_card.scores(run_dir / "none", 50)


def test_provenance(run_dir):
    about = model_card.provenance(run_dir, "avatars")
    assert about["revision"] == "abc123-dirty"
    assert about["version"] == hcm_tf.__version__
    today = datetime.date.today()
    assert today - datetime.date.fromisoformat(about["exported"]) in (
        datetime.timedelta(days) for days in (0, 1)
    )
    assert "CC0" in about["licence"]
    assert "not known" in model_card.provenance(run_dir, "other")["licence"]


CARDS = {
    "published": (
        {},
        [
            "Selection: attributes by top_k, k = 3 of 12; 8x8 by top_k, k = 16 of 64; ",
            "are kept or left out whole (attributes, 8x8, 16x16), which is disc",
        ],
        ["placed", "blocks", "background"],
    ),
    "shares": (
        {
            "sparsity": ("dense", "soft_top_k", "l1"),
            "normalizer": "sparse_switchable",
        },
        [
            "attributes by dense, all 12; 8x8 by soft_top_k, k = 16 of 64 at "
            "temperature 1; ",
            "sparse_switchable blocks",
        ],
        ["top k", "whole", "gated"],
    ),
    "mixed": (
        {"sparsity": ("sparsemax", "top_p", "entmax15"), "gated_blocks": True},
        ["8x8 by top_p, p = 0.9 of the sum of 64", "gated blocks", "whole (8x8)"],
        ["top k", "k largest"],
    ),
    "placed": (
        {
            **{"placement": "free", "presence": "hard", "opacity": "shared"},
            **{"stretch_parts": True, "background_attributes": 4},
            **{"location_latents": True, "latent_size": 32},
            **{"location_attention": True},
        },
        [
            "attributes by top_k, k = 3 of 8, and 4 that are always kept",
            "parts placed freely (presence hard, opacity shared, stretched), in front "
            "of a background of 4 attributes, latent values of each location, "
            "attention between locations.",
        ],
        ["gated"],
    ),
}


@pytest.mark.parametrize(("model", "told", "untold"), CARDS.values(), ids=CARDS)
def test_the_card_says_how_this_model_selects(
    model, told, untold, make_run, tiny_config
):
    run_dir = make_run(model=dataclasses.replace(tiny_config.model, **model))
    card = model_card.text("generator", checkpoint.load(run_dir), run_dir, ["png"])
    text = " ".join(card.split())
    for words in told:
        assert words in text
    for words in untold:
        assert words not in text


def _noise(count, size, channels):
    import numpy as np

    values = np.random.default_rng(0).uniform(-1, 1, (count, size, size, channels))
    return values.astype("float32")
