"""Configuration: published defaults, validation, JSON, and what a resume may change."""

import dataclasses
import json

import pytest

from hcm_tf import config as configuration
from hcm_tf.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig


def test_defaults_are_the_published_setting():
    model = ModelConfig()
    assert model.resolutions == (8, 16, 32, 64)
    assert model.widths == (512, 256, 128, 64)
    assert model.trunk_widths == (64, 128, 256, 512)
    assert model.trunk_residual_block == 1
    assert (model.attribute_k, model.spatial_k) == (20, (16, 64, 341))
    train = TrainConfig()
    assert (train.learning_rate, train.beta_1, train.beta_2) == (7e-4, 0.0, 0.99)
    assert train.reconstruction_weight == 0.1
    assert train.gradient_penalty_weight == 10.0
    assert train.drift_weight == 1e-3


@pytest.mark.parametrize(
    ("size", "widths", "spatial_k", "residual_block"),
    [
        (32, (512, 256, 128), (16, 64), 0),
        (128, (512, 256, 128, 64, 32), (16, 64, 341, 1365), 2),
    ],
)
def test_other_sizes_keep_the_width_of_a_resolution(
    size, widths, spatial_k, residual_block
):
    model = ModelConfig(image_size=size)
    assert model.widths == widths
    assert model.spatial_k == spatial_k
    assert model.trunk_residual_block == residual_block


def test_keeping_everything_is_the_dense_control():
    model = ModelConfig(attribute_keep=1.0, spatial_keep=(1.0,))
    assert model.attribute_k == 200
    assert model.spatial_k == (64, 256, 1024)


def test_kept_counts_survive_floating_point():
    assert ModelConfig(attributes=100, attribute_keep=0.29).attribute_k == 29
    assert ModelConfig(attributes=5, attribute_keep=0.01).attribute_k == 1


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (ModelConfig, {"image_size": 48}, "one of 32, 64, 128. Received: 48"),
        (ModelConfig, {"base_channels": 0}, "at least 1. Received: 0"),
        (ModelConfig, {"base_channels": 3, "image_size": 128}, "must be even"),
        (ModelConfig, {"attribute_keep": 1.5}, "at most 1.0. Received: 1.5"),
        (ModelConfig, {"attribute_keep": 0.0}, "above 0"),
        (ModelConfig, {"spatial_keep": ()}, "list of numbers"),
        (ModelConfig, {"spatial_keep": (0.5, float("nan"))}, "finite"),
        (ModelConfig, {"attributes": 2.5}, "of type int"),
        (ModelConfig, {"presence": "hard"}, "need `placement` free"),
        (ModelConfig, {"opacity": "shared"}, "need `placement` free"),
        (ModelConfig, {"background_attributes": 1}, "need `placement` free"),
        (ModelConfig, {"stretch_parts": True}, "need `placement` free"),
        (
            ModelConfig,
            {"placement": "free", "background_attributes": 181},
            "a location keeps, 20 of 200. Received: 181",
        ),
        (DataConfig, {"dataset": "folder:"}, "folder:PATH"),
        (DataConfig, {"resize": "zoom"}, "one of crop, stretch"),
        (DataConfig, {"horizontal_flip": 1}, "of type bool"),
        (TrainConfig, {"steps": 0}, "at least 1. Received: 0"),
        (TrainConfig, {"steps": True}, "of type int"),
        (TrainConfig, {"learning_rate": float("inf")}, "finite"),
    ],
)
def test_wrong_values_are_refused_by_name(section, values, message):
    with pytest.raises(ValueError, match=message) as error:
        section(**values)
    assert any(f"`{name}`" in str(error.value) for name in values)


@pytest.mark.parametrize(
    ("batch", "replicas", "message"),
    [
        (15, 1, "multiple of stddev_group_size=10"),
        (21, 2, "multiple of the 2 replicas. Received: 21. The next that does is 40"),
        (24, 2, "which gives 12. The next that does is 40"),
        (50, 4, "The next that does is 80"),
    ],
)
def test_batch_must_be_shared_evenly(batch, replicas, message):
    with pytest.raises(ValueError, match=message):
        ExperimentConfig(train=TrainConfig(batch_size=batch, replicas=replicas))


def test_a_shift_of_less_than_a_pixel_is_refused():
    for size, least in ((32, 0.25), (64, 0.125)):
        model = ModelConfig(image_size=size)
        for shift in (0.0, least):
            ExperimentConfig(model=model, train=TrainConfig(placing_shift=shift))
        train = TrainConfig(placing_shift=0.9 * least)
        with pytest.raises(ValueError, match=f"which is {least} of a cell"):
            ExperimentConfig(model=model, train=train)


def test_a_background_that_there_is_not_has_no_weight():
    with pytest.raises(ValueError, match="needs `background_attributes`"):
        ExperimentConfig(train=TrainConfig(background_weight=1.0))


def test_json_round_trip(tmp_path):
    config = ExperimentConfig(
        model=ModelConfig(image_size=32, spatial_keep=(0.5, 0.25)),
        data=DataConfig(dataset="cifar10", horizontal_flip=True),
        train=TrainConfig(steps=7, seconds=1.5),
    )
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**config.to_json(), "provenance": {"any": "thing"}}))
    assert configuration.read(path) == config


@pytest.mark.parametrize(
    "text", ["", "[]", '{"model": 3}', '{"model": {"colour": 1}}', '{"train": []}']
)
def test_unreadable_configuration_names_the_file(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.json is not a valid configuration"):
        configuration.read(path)


def test_differences_name_what_forbids_a_resume():
    old = ExperimentConfig()
    new = dataclasses.replace(
        old,
        model=ModelConfig(attributes=100),
        train=TrainConfig(steps=5, seed=1, execution="reference"),
    )
    assert configuration.differences(old, old) == []
    assert configuration.differences(old, new) == [
        "attributes: 200 -> 100",
        "seed: 0 -> 1",
    ]
