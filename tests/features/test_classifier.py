"""The classifier: a slow loop as oracle, its file, and what it refuses."""

import json

import numpy as np
import pytest

from hcm_tf.errors import UserError
from hcm_tf.features import classifier, extractor
from hcm_tf.features.classifier import Classifier

HEADS = {"shape": ("round", "square", "none"), "colour": ("red", "blue")}


def made(side=8, channels=1, heads=HEADS):
    weights = classifier.initial_weights(side, channels, heads, seed=0)
    for name in weights:
        if name.endswith("bias"):
            weights[name] += np.float32(0.1)
    about = {"name": "labels", "sees": "shapes", "side": side, "channels": channels}
    return Classifier(classifier.rounded(weights), heads, about)


def images(count=3, side=8, channels=1):
    random = np.random.default_rng(1)
    return random.uniform(-1, 1, (count, side, side, channels)).astype(np.float32)


def slow_convolution(maps, kernel, bias, stride):
    side, size = len(maps) // stride, len(kernel)
    # TensorFlow's SAME: what is too much by one goes to the end.
    missing = (side - 1) * stride + size - len(maps)
    edges = (missing // 2, missing - missing // 2)
    padded = np.pad(maps, [edges, edges, (0, 0)])
    result = np.empty((side, side, kernel.shape[-1]))
    for row in range(side):
        for column in range(side):
            top, left = row * stride, column * stride
            window = padded[top : top + size, left : left + size]
            result[row, column] = np.tensordot(window, kernel, 3) + bias
    return np.maximum(result, 0)


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (16, 3)])
def test_features_equal_a_slow_loop(side, channels):
    network = made(side, channels)
    found = network.features(images(2, side, channels))
    for image, features in zip(images(2, side, channels), found, strict=True):
        maps = image.astype(float)
        for number in range(4):
            maps = slow_convolution(
                maps,
                network.weights[f"convolution_{number}/kernel"].astype(float),
                network.weights[f"convolution_{number}/bias"],
                stride=2 if len(maps) > 4 else 1,
            )
        assert maps.shape[0] == 4
        flat = maps.ravel() @ network.weights["dense/kernel"].astype(float)
        expected = np.maximum(flat + network.weights["dense/bias"], 0)
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_probabilities_are_a_softmax_of_a_linear_layer():
    network = made()
    features = network.features(images())
    found = network.log_probabilities(features)
    assert list(found) == list(HEADS)
    for head, names in HEADS.items():
        logits = features @ network.weights[f"{head}/kernel"] + 0.1
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(np.exp(found[head]), expected, atol=1e-3)
        np.testing.assert_allclose(np.exp(found[head]).sum(axis=1), 1, atol=1e-12)
        assert found[head].shape == (3, len(names))


def test_other_images_change_nothing(monkeypatch):
    network = made(16, 3)
    together = network.features(images(9, 16, 3))
    np.testing.assert_array_equal(network.features(images(9, 16, 3)), together)
    monkeypatch.setattr(extractor, "BATCH", 2)
    np.testing.assert_allclose(network.features(images(9, 16, 3)), together, atol=1e-5)


def test_images_of_another_side_are_resized():
    network = made()
    small = images()
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    flat = np.full((1, 8, 8, 1), 0.3, np.float32)
    np.testing.assert_allclose(
        network.features(flat.repeat(4, axis=1).repeat(4, axis=2)),
        network.features(flat),
        atol=1e-5,
    )
    # Antialiasing reads beyond each pair of pixels, so these are only alike.
    assert not np.allclose(network.features(large), network.features(small), atol=1e-5)


def test_a_file_gives_back_the_same(tmp_path):
    network, path = made(), tmp_path / "new" / "labels.npz"
    classifier.save(network, path)
    again = classifier.load(path, HEADS)
    assert dict(again.about) == dict(network.about)
    assert again.heads == HEADS
    np.testing.assert_array_equal(again.features(images()), network.features(images()))
    assert [child.name for child in path.parent.iterdir()] == ["labels.npz"]


def test_a_place_that_cannot_be_written_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "labels.npz"
    path.write_bytes(b"old")
    monkeypatch.setattr(
        classifier.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(UserError, match="full"):
        classifier.save(made(), path)
    assert [child.read_bytes() for child in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ({"shape": HEADS["shape"]}, "colour"),
        (HEADS | {"shape": ("round", "square", "oval")}, "shape"),
        (HEADS | {"size": ("big",)}, "size"),
        (dict(reversed(HEADS.items())), None),
    ],
)
def test_other_heads_are_refused_and_their_order_is_free(tmp_path, heads, message):
    path = tmp_path / "labels.npz"
    classifier.save(made(), path)
    if message is None:
        classifier.load(path, heads)
        return
    with pytest.raises(UserError, match=rf"other labels \({message}\)"):
        classifier.load(path, heads)


def rewritten(tmp_path, change):
    path = tmp_path / "labels.npz"
    classifier.save(made(), path)
    with np.load(path) as arrays:
        arrays = dict(arrays)
    change(arrays)
    np.savez(path, **arrays)
    return path


def break_format(arrays):
    about = json.loads(arrays["about"].tobytes())
    about["format"] = "something 2"
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("about"), "about"),
        (lambda arrays: arrays.pop("dense/bias"), "do not fit"),
        (lambda arrays: arrays.update({"dense/bias": np.zeros(5)}), "do not fit"),
        (lambda arrays: arrays["dense/bias"].fill(np.nan), "not finite"),
        (break_format, "something 2"),
        (
            lambda arrays: arrays.update({"dense/bias": np.array([{}], object)}),
            "pickle|allow_pickle",
        ),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        classifier.load(rewritten(tmp_path, change))


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04cut"])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "labels.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is no classifier"):
        classifier.load(path)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match=r"python -m hcm_tf\.features\.train"):
        classifier.load(tmp_path / "none.npz")
