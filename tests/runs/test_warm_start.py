"""Training that begins with another run's networks."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from hcm_tf.config import (
    SPARSITIES,
    DataConfig,
    ExperimentConfig,
    Label,
    TrainConfig,
)
from hcm_tf.errors import UserError
from hcm_tf.runs import building, checkpoint, experiment, run_directory, warm_start

TRAIN = TrainConfig(
    batch_size=4,
    ema_decay=0.9,
    steps=1,
    latents="posterior",
    log_every=1,
    learning_rate=1e-8,  # So small that no weight moves visibly.
)


def with_source(config, source, **model):
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, **model),
        train=dataclasses.replace(TRAIN, init_from=str(source)),
    )


def begin(config):
    trainer = building.build_trainer(config, replicas=1)
    origin = warm_start.begin(config, building.saved_objects(trainer))
    return trainer, origin


def test_every_network_has_the_source_s_values(tiny_run, tiny_config):
    run = checkpoint.load(tiny_run)
    trainer, origin = begin(with_source(tiny_config, tiny_run))
    assert origin == {"run_dir": str(tiny_run), "step": run.step}
    for name, theirs in (
        ("generator", run.generator),
        ("average_generator", run.generator),
        ("encoder", run.encoder),
        ("critic", run.critic),
    ):
        ours = getattr(trainer, name).get_weights()
        for one, other in zip(ours, theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert trainer.step == 0
    np.testing.assert_array_equal(trainer.prior.covariance, np.eye(6))


def test_other_shapes_are_refused_and_named(tiny_run, tiny_config):
    config = with_source(tiny_config, tiny_run, attributes=13, latent_size=7)
    with pytest.raises(UserError) as caught:
        begin(config)
    message = str(caught.value)
    assert "attributes: 12 -> 13; latent_size: 6 -> 7" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"attribute_keep": 0.5}, "attribute_keep: 0.25 -> 0.5"),
        ({"temperature": 0.5}, "temperature: 1.0 -> 0.5"),
        *(
            ({"sparsity": (rule,)}, f"sparsity: ('top_k',) -> ('{rule}',)")
            for rule in SPARSITIES
            if rule not in ("top_k", warm_start.THRESHOLDS)
        ),
    ],
)
def test_another_selection_is_said(tiny_run, tiny_config, capsys, other, said):
    trainer, _ = begin(with_source(tiny_config, tiny_run, **other))
    assert f"another {said}" in capsys.readouterr().err
    theirs = checkpoint.load(tiny_run).generator.get_weights()
    for one, same in zip(trainer.generator.get_weights(), theirs, strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_rule_with_weights_of_its_own_is_refused(tiny_run, tiny_config):
    with pytest.raises(UserError, match=r"other shapes .*top_k.* -> .*batch_top_k"):
        begin(with_source(tiny_config, tiny_run, sparsity=("batch_top_k",)))


def test_labels_are_compared_by_their_classes(make_run, tiny_config):
    def labelled(classes, shares):
        return {"labels": (Label("hat", classes, shares),)}

    model = dataclasses.replace(
        tiny_config.model, **labelled(("none", "red"), (0.9, 0.1))
    )
    source = make_run(model=model)
    begin(with_source(tiny_config, source, **labelled(("none", "red"), (0.5, 0.5))))
    told = r"\(labels: hat: none, red -> hat: none, blue\)"
    with pytest.raises(UserError, match=told):
        begin(
            with_source(tiny_config, source, **labelled(("none", "blue"), (0.9, 0.1)))
        )
    with pytest.raises(UserError, match=r"\(labels: hat: none, red -> none\)"):
        begin(with_source(tiny_config, source))


def test_no_run_there_is_one_line(tiny_config, tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        begin(with_source(tiny_config, tmp_path / "nothing"))


def test_a_whole_run_begins_and_resumes_with_its_origin(tmp_path, tiny_config):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    random = np.random.default_rng(0)
    for number in range(24):
        pixels = random.integers(0, 256, (32, 32, 3)).astype("uint8")
        Image.fromarray(pixels).save(pictures / f"{number}.png")
    data = DataConfig(dataset=f"folder:{pictures}", held_out=4)
    first, second = tmp_path / "first", tmp_path / "second"
    fresh = ExperimentConfig(
        model=tiny_config.model,
        data=data,
        train=dataclasses.replace(TRAIN, learning_rate=5e-3, steps=3),
    )
    experiment.run(fresh, first)
    source = checkpoint.load(first)

    warm = with_source(fresh, first)
    experiment.run(warm, second)
    begun = checkpoint.load(second)
    for one, other in zip(
        begun.generator.get_weights(), source.generator.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert run_directory.origin(second) == {"run_dir": str(first), "step": 3}

    longer = dataclasses.replace(warm, train=dataclasses.replace(warm.train, steps=2))
    experiment.run(longer, second)
    assert checkpoint.load(second).step == 2
    saved = json.loads((second / "config.json").read_text())
    assert saved["provenance"]["init_from"] == {"run_dir": str(first), "step": 3}
