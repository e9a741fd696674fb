"""What the generator says of its levels, against its codes and its replays."""

import numpy as np
import pytest

from hcm_tf.networks import build_generator


@pytest.fixture(scope="module")
def generator(tiny_config):
    return build_generator(tiny_config.model)


@pytest.fixture(scope="module")
def trace(generator):
    return generator.trace(np.random.default_rng(0).uniform(-1, 1, (5, 6)))


def test_shapes_and_names(generator, trace):
    assert [level.name for level in generator.levels] == ["attributes", "8x8", "16x16"]
    for level, code in zip(generator.levels, trace.codes, strict=True):
        assert code.shape[1:] == level.shape


def test_competitors_keep_k(generator, trace):
    for level, code, response in zip(
        generator.levels, trace.codes, trace.responses, strict=True
    ):
        axes = tuple(axis + 1 for axis in level.competing_axes)
        kept = np.count_nonzero(code, axis=axes)
        positive = np.count_nonzero(response, axis=axes)
        assert level.competitors == np.prod([level.shape[a - 1] for a in axes])
        # No two activations of this network are equal.
        np.testing.assert_array_equal(kept, np.minimum(positive, level.k))


def test_bases(generator):
    assert [level.bases for level in generator.levels] == [16 * 12, 16, 8]
    for level in generator.levels:
        assert {*level.shared_axes, *level.basis_axes} == {0, 1, 2}


@pytest.mark.parametrize("until", [None, 1, 2])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_unit_reaches_as_far_as_said_and_no_further(generator, trace, level, until):
    if until is not None and until <= level:
        with pytest.raises(ValueError, match="`until` must be"):
            generator.reach(level, until)
        return
    side = generator.levels[level].shape[0]
    middle = side // 2
    code = np.zeros((1, *generator.levels[level].shape), "float32")
    code[0, middle, middle] = 1.0
    # All gates open: nothing but the kernels' sizes bounds what a unit draws.
    gates = tuple(
        type(block)(*(np.ones((1, *gate.shape[1:]), bool) for gate in block[:3]))
        for block in trace.gates
    )
    drawn = np.asarray(generator.replay(level, code, gates, until))[0]
    touched = np.abs(drawn).max(axis=-1) > 0
    cell = touched.shape[0] // side
    rows = np.nonzero(touched.any(axis=1))[0] // cell
    reach = generator.reach(level, until)
    low, high = max(0, middle - reach), min(side - 1, middle + reach)
    assert (rows.min(), rows.max()) == (low, high)
