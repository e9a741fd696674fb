import hashlib
import itertools

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.data import order
from hcm_tf.data.batches import make_batches
from hcm_tf.errors import UserError
from hcm_tf.images import to_float, to_uint8


def numbered(count, size=2):
    """Each image holds its number; its right half is one more."""
    images = np.empty((count, size, size, 1), np.uint8)
    images[:] = 2 * np.arange(count)[:, None, None, None]
    images[:, :, size // 2 :] += 1
    return images


def take(dataset, count):
    return [batch["image"].numpy() for batch in itertools.islice(dataset, count)]


def numbers(batch):
    return (to_uint8(batch)[:, 0, 0, 0] // 2).tolist()


def test_shape_type_and_values():
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), np.uint8)
    dataset = make_batches(images, 8, seed=0)
    assert dataset.element_spec == {"image": tf.TensorSpec((8, 4, 4, 3), tf.float32)}
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    (batch,) = take(dataset, 1)
    expected = {image.tobytes() for image in to_float(images)}
    assert {image.tobytes() for image in batch} == expected


def test_an_epoch_has_every_image_once_and_drops_the_remainder():
    batches = take(make_batches(numbered(11), 3, seed=1), 9)
    for epoch in range(3):
        seen = numbers(np.concatenate(batches[3 * epoch : 3 * epoch + 3]))
        assert len(seen) == len(set(seen)) == 9
    first, second = (numbers(np.concatenate(batches[s : s + 3])) for s in (0, 3))
    assert first != second


@pytest.mark.parametrize("start", [1, 3, 4, 7, 11])
@pytest.mark.parametrize("flip", [False, True])
def test_a_later_start_gives_the_same_batches(start, flip):
    images = numbered(17)
    every = take(make_batches(images, 4, seed=5, horizontal_flip=flip), 15)
    options = {"seed": 5, "start_step": start, "horizontal_flip": flip}
    later = take(make_batches(images, 4, **options), 15 - start)
    np.testing.assert_array_equal(later, every[start:])


def test_seeds_give_other_orders():
    one, other = (take(make_batches(numbered(64), 64, seed=s), 1)[0] for s in (0, 1))
    assert numbers(one) != numbers(other)
    assert sorted(numbers(one)) == sorted(numbers(other))


def test_a_start_in_the_far_future_is_immediate():
    dataset = make_batches(numbered(64), 2, seed=2**31 - 1, start_step=10**12 + 1)
    assert len(set(numbers(take(dataset, 1)[0]))) == 2


@pytest.fixture
def mapped(tmp_path):
    """Makes an array that is mapped from a file, of another's values."""

    def make(images):
        np.save(tmp_path / "images.npy", images)
        return np.load(tmp_path / "images.npy", mmap_mode="r")

    return make


@pytest.mark.parametrize("start", [0, 5, 13])
def test_images_in_a_file_give_the_same_batches(mapped, start):
    images = np.random.default_rng(0).integers(0, 256, (53, 4, 4, 3), np.uint8)
    options = {"seed": 2, "horizontal_flip": True, "start_step": start}
    expected = take(make_batches(images[3:], 8, **options), 14)
    received = take(make_batches(mapped(images)[3:], 8, **options), 14)
    np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("where", ["memory", "file"])
def test_batches_are_those_of_version_0_4(mapped, where):
    """The digest of what 0.4.0 gave, so that its runs go on as they would have."""
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
    dataset = make_batches(
        mapped(images) if where == "file" else images,
        8,
        seed=3,
        start_step=4,
        horizontal_flip=True,
        batch_order=np.arange(8)[::-1],
    )
    found = hashlib.sha256(np.stack(take(dataset, 9)).tobytes()).hexdigest()
    assert found == "074cc8c40ba216a7e583ea1243291214eef002f86497eb4a43f3aaad13ec511f"


@pytest.mark.parametrize("longest", [order.LONGEST_SHUFFLE, 100])
def test_epochs_from_a_file_have_every_image_once(mapped, monkeypatch, longest):
    monkeypatch.setattr(order, "LONGEST_SHUFFLE", longest)
    images = np.arange(1001, dtype=np.uint16).view(np.uint8).reshape(1001, 1, 2, 1)
    batches = take(make_batches(mapped(images), 7, seed=0), 2 * 143)
    for epoch in (batches[:143], batches[143:]):
        seen = to_uint8(np.concatenate(epoch)).reshape(-1, 2).copy().view(np.uint16)
        assert sorted(seen.ravel()) == list(range(1001))


def test_the_images_are_not_copied():
    """A tensor of them all would be; it needs more than this process may take."""
    images = np.broadcast_to(np.zeros((1, 64, 64, 3), np.uint8), (2**22, 64, 64, 3))
    (batch,) = take(make_batches(images, 4, seed=0), 1)  # 52 GB, if they were there.
    np.testing.assert_array_equal(batch, np.full((4, 64, 64, 3), -1))


def test_flips_mirror_about_half_of_the_images():
    images = numbered(100)
    batches = take(make_batches(images, 100, seed=0, horizontal_flip=True), 20)
    flipped = np.zeros((20, 100), bool)
    for step, batch in enumerate(batches):
        plain = to_float(images[numbers(batch)])
        flipped[step] = (batch[:, 0, 0, 0] > batch[:, 0, 1, 0]).tolist()
        expected = np.where(
            flipped[step][:, None, None, None], plain[:, :, ::-1], plain
        )
        np.testing.assert_array_equal(batch, expected)
    assert abs(flipped.mean() - 0.5) < 0.05  # 4.5 standard deviations.
    assert np.all(flipped.sum(axis=0) < 20)
    assert np.all(flipped.sum(axis=0) > 0)


@pytest.mark.parametrize("flip", [False, True])
def test_batch_order_lays_out_the_same_batch(flip):
    order = np.array([2, 0, 3, 1])
    options = {"seed": 0, "horizontal_flip": flip}
    plain = take(make_batches(numbered(9), 4, **options), 5)
    laid_out = take(make_batches(numbered(9), 4, batch_order=order, **options), 5)
    np.testing.assert_array_equal(laid_out, [batch[order] for batch in plain])


@pytest.mark.parametrize("flip", [False, True])
def test_rows_are_those_of_the_whole_batch(flip):
    order = np.array([2, 0, 3, 1, 5, 4])
    options = {"seed": 0, "horizontal_flip": flip, "batch_order": order}
    whole = take(make_batches(numbered(15), 6, **options), 5)
    parts = [
        take(make_batches(numbered(15), 6, rows=rows, **options), 5)
        for rows in (slice(0, 2), slice(2, 6))
    ]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_a_batch_larger_than_the_data_is_an_error():
    with pytest.raises(UserError, match="batch of 6 images does not fit 5 training"):
        make_batches(numbered(5), 6, seed=0)


@pytest.mark.parametrize("order", [[0, 1, 1], [0, 1], [1, 2, 3]])
def test_batch_order_must_be_a_permutation(order):
    with pytest.raises(ValueError, match="must be a permutation"):
        make_batches(numbered(5), 3, seed=0, batch_order=np.array(order))


@pytest.mark.parametrize("where", ["memory", "file"])
def test_replicas_get_contiguous_parts_of_the_batch(mapped, where):
    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        pytest.skip("needs two logical CPU devices, which tests/conftest.py makes")
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices[:2]])
    images = mapped(numbered(16)) if where == "file" else numbered(16)
    dataset = make_batches(images, 4, seed=3)
    expected = take(dataset, 6)
    distributed = iter(strategy.experimental_distribute_dataset(dataset))
    for batch in expected:
        first, second = strategy.experimental_local_results(next(distributed))
        np.testing.assert_array_equal(first["image"], batch[:2])
        np.testing.assert_array_equal(second["image"], batch[2:])
