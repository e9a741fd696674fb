"""The graph of 2015, by a small stand-in with its names, operations and age."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf import features
from hcm_tf.errors import UserError
from hcm_tf.features.inception import Inception
from hcm_tf.images import to_float

_STRIDE = 37  # 9 x 9 places of the 299 x 299.


def stand_in(maps=2048, output="pool_3"):
    """A frozen graph as the published one begins and ends, without its middle.

    Like that, it says nothing of its version, and has an operation that graphs of
    today must not have.
    """
    random = np.random.default_rng(0)
    graph = tf.compat.v1.GraphDef()

    def add(name, operation, *inputs, **attributes):
        node = graph.node.add(name=name, op=operation, input=inputs)
        for key, value in attributes.items():
            if isinstance(value, tf.DType):
                node.attr[key].type = value.as_datatype_enum
            elif isinstance(value, bool):
                node.attr[key].b = value
            elif isinstance(value, float):
                node.attr[key].f = value
            elif isinstance(value, bytes):
                node.attr[key].s = value
            else:
                node.attr[key].list.i.extend(value)

    def constant(name, value):
        node = graph.node.add(name=name, op="Const")
        value = np.asarray(value)
        node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        return value

    f = tf.float32
    constant("DecodeJpeg/contents", np.array(b"", object))
    add("DecodeJpeg", "DecodeJpeg", "DecodeJpeg/contents")
    add("Cast", "Cast", "DecodeJpeg", SrcT=tf.uint8, DstT=f)
    constant("ExpandDims/dim", np.int32(0))
    add("ExpandDims", "ExpandDims", "Cast", "ExpandDims/dim", T=f)
    constant("ResizeBilinear/size", np.int32([299, 299]))
    add("ResizeBilinear", "ResizeBilinear", "ExpandDims", "ResizeBilinear/size", T=f)
    constant("Sub/y", np.float32(128))
    add("Sub", "Sub", "ResizeBilinear", "Sub/y", T=f)
    constant("Mul/y", np.float32(1 / 128))
    add("Mul", "Mul", "Sub", "Mul/y", T=f)
    kernel = constant(
        "conv/conv2d_params", random.standard_normal((1, 1, 3, maps)).astype("f")
    )
    strides = [1, _STRIDE, _STRIDE, 1]
    add("conv/Conv2D", "Conv2D", "Mul", "conv/conv2d_params", T=f, strides=strides)
    graph.node[-1].attr["padding"].s = b"SAME"
    norm = [
        constant(f"conv/{name}", random.uniform(0.5, 1, maps).astype("f"))
        for name in ("mean", "variance", "beta", "gamma")
    ]
    add(
        "conv/batchnorm",
        "BatchNormWithGlobalNormalization",
        "conv/Conv2D",
        *(f"conv/{name}" for name in ("mean", "variance", "beta", "gamma")),
        T=f,
        variance_epsilon=0.001,
        scale_after_normalization=False,
    )
    add("conv", "Relu", "conv/batchnorm", T=f)
    add(output, "AvgPool", "conv", T=f, ksize=[1, 9, 9, 1], strides=[1, 1, 1, 1])
    graph.node[-1].attr["padding"].s = b"VALID"
    constant("pool_3/_reshape/shape", np.int32([1, maps]))
    add("pool_3/_reshape", "Reshape", output, "pool_3/_reshape/shape", T=f)
    return graph.SerializeToString(), kernel[0, 0], norm


def expected_features(images, kernel, norm):
    """The same in NumPy: TensorFlow 1's bilinear resizing at the places looked at."""
    side = images.shape[1]
    # SAME padding of a 1x1 kernel takes the first pixel of every stride.
    places = np.arange(9) * _STRIDE * (side / 299)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, side - 1)
    part = (places - low)[:, None]
    pixels = images.astype(float)
    rows = pixels[:, low] * (1 - part[..., None]) + pixels[:, high] * part[..., None]
    looked = rows[:, :, low] * (1 - part) + rows[:, :, high] * part
    answers = (looked - 128) / 128 @ kernel
    mean, variance, beta, _ = norm
    answers = (answers - mean) / np.sqrt(variance + 0.001) + beta
    return np.maximum(answers, 0).mean(axis=(1, 2))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "classify_image_graph_def.pb"
    path.write_bytes(stand_in()[0])
    return path


def test_features_equal_numpy(file):
    _, kernel, norm = stand_in()
    images = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8)
    inception = Inception(file)
    found = inception.features(to_float(images))
    assert found.shape == (3, 2048)
    expected = expected_features(images, kernel, norm)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    one = inception.features(to_float(images[1:2]))
    np.testing.assert_allclose(one, found[1:2], atol=1e-5)


def test_grey_images_become_colour(file):
    grey = np.random.default_rng(2).uniform(-1, 1, (2, 32, 32, 1)).astype("float32")
    inception = features.load("inception", channels=1, path=str(file))
    colors = np.repeat(grey, 3, axis=-1)
    np.testing.assert_array_equal(inception.features(grey), inception.features(colors))


def test_the_file_is_told_apart(file):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    inception = Inception(file)
    assert inception.sha256 == digest
    assert digest[:12] in inception.sees


def test_without_a_file_it_is_refused():
    with pytest.raises(UserError, match=r"classify_image_graph_def\.pb"):
        features.load("inception")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"no graph", "is not the Inception graph"),
        (stand_in(maps=8)[0], r"gives \(1, 1, 8\)"),
        (stand_in(output="pool_4")[0], "pool_3"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    path = tmp_path / "other.pb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        Inception(path)
