import itertools

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.data import order
from hcm_tf.data.order import chosen_images, key, permuted

HUGE = 10**9


def take(dataset, count):
    pairs = itertools.islice(dataset, count)
    found = [(int(step), some.numpy()) for step, some in pairs]
    return [step for step, _ in found], np.array([some for _, some in found])


def epoch_key(seed, epoch):
    return key(seed, order.ORDER, tf.constant(epoch, tf.int64))


@pytest.fixture(params=["shuffled", "computed"])
def either(request, monkeypatch):
    """Both ways to an order, at sizes that a test can count."""
    if request.param == "computed":
        monkeypatch.setattr(order, "LONGEST_SHUFFLE", 10)
    return request.param


@pytest.mark.parametrize("count", [11, 64, 1000, 1023])
def test_an_epoch_has_every_image_once(either, count):
    batch = 8
    steps = count // batch
    _, numbers = take(chosen_images(count, batch, seed=1), 3 * steps)
    epochs = numbers.reshape(3, -1)
    for epoch in epochs:
        assert len(set(epoch)) == steps * batch
        assert epoch.min() >= 0
        assert epoch.max() < count
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])


@pytest.mark.parametrize("start", [1, 7, 8, 9, 30])
def test_a_later_start_gives_the_same_images(either, start):
    steps, numbers = take(chosen_images(67, 8, seed=1), 40)
    assert steps == list(range(40))
    later = take(chosen_images(67, 8, seed=1, start_step=start), 40 - start)
    assert later[0] == steps[start:]
    np.testing.assert_array_equal(later[1], numbers[start:])


def test_seeds_give_other_orders(either):
    one, other = (take(chosen_images(64, 64, seed=seed), 1)[1] for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_the_shuffled_order_is_tensorflows():
    """Written out: it must stay so, or runs would go on with other images."""
    _, numbers = take(chosen_images(50, 8, seed=9), 12)
    for epoch in range(2):
        seed = tf.random.experimental.stateless_fold_in(
            tf.constant([9, 0], tf.int64), tf.constant(epoch, tf.int64)
        )
        shuffled = tf.random.experimental.stateless_shuffle(tf.range(50), seed)
        np.testing.assert_array_equal(
            numbers[6 * epoch : 6 * epoch + 6].ravel(), shuffled[:48]
        )


def test_the_longest_shuffle_is_what_the_documents_say():
    assert order.LONGEST_SHUFFLE == 16_777_216


@pytest.mark.parametrize("count", [11, 100, 4096, 4097, 65_537])
def test_permuted_is_a_bijection(count):
    places = tf.range(count, dtype=tf.int64)
    for epoch in range(3):
        found = permuted(places, count, epoch_key(5, epoch)).numpy()
        assert sorted(found) == list(range(count))


def chi_squared(values, bins):
    """Of values in [0, 1), in standard deviations from what chance would give."""
    counts = np.histogram(values, bins, (0, 1))[0]
    expected = len(values) / bins
    statistic = np.sum((counts - expected) ** 2 / expected)
    return (statistic - (bins - 1)) / np.sqrt(2 * (bins - 1))


def first_places(count, epochs):
    """Where 64 places are in some epochs, as parts of `count`."""

    @tf.function(autograph=False)
    def of(epoch):
        return permuted(tf.range(64, dtype=tf.int64), count, key(0, order.ORDER, epoch))

    found = [of(tf.constant(epoch, tf.int64)) for epoch in range(epochs)]
    return np.array(found) / count


@pytest.mark.parametrize("count", [order.LONGEST_SHUFFLE + 5, HUGE])
def test_permuted_looks_uniform(count):
    """Each place over epochs; neighbours in an epoch, and of two; all together."""
    values = first_places(count, epochs=1000)
    assert max(abs(chi_squared(place, 20)) for place in values.T) < 6
    gaps = np.diff(values, axis=1) % 1
    assert abs(chi_squared(gaps.ravel(), 50)) < 5
    assert abs(chi_squared((values[1:] - values[:-1]).ravel() % 1, 50)) < 5
    assert abs(chi_squared(values.ravel(), 50)) < 5


def test_a_single_round_would_not(monkeypatch):
    monkeypatch.setattr(order, "_ROUNDS", 1)
    values = first_places(HUGE, epochs=100)
    assert chi_squared((np.diff(values, axis=1) % 1).ravel(), 50) > 100


def test_an_order_of_a_billion_is_immediate_anywhere():
    steps, numbers = take(chosen_images(HUGE, 64, seed=0, start_step=10**12), 3)
    assert steps[0] == 10**12
    assert len(set(numbers.ravel())) == 3 * 64
    assert numbers.min() >= 0
    assert numbers.max() < HUGE
