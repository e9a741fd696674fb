import numpy as np
import pytest

from hcm_tf.explain.units import Units, Windows, active_units, pack


def random_code(shape=(6, 6, 5), density=0.4):
    random = np.random.default_rng(0)
    code = random.normal(size=shape).astype("float32")
    return np.where(random.random(shape) < density, code, 0).astype("float32")


def test_active_units_and_code_are_inverse():
    code = random_code()
    units = active_units(code)
    assert units.count == np.count_nonzero(code)
    np.testing.assert_array_equal(units.code(code.shape), code)


@pytest.mark.parametrize("spacing", [1, 3, 5])
def test_units_of_a_pass_are_far_apart_and_none_is_lost(spacing):
    units = active_units(random_code())
    packing = pack(units, spacing)
    assert sorted(packing.order) == list(range(units.count))
    assert packing.starts[-1] == units.count
    passes = np.split(packing.order, packing.starts[1:-1])
    for some in passes:
        rows = np.abs(np.subtract.outer(units.row[some], units.row[some]))
        columns = np.abs(np.subtract.outer(units.column[some], units.column[some]))
        near = np.maximum(rows, columns) < spacing
        assert near.sum() == len(some)


def test_packing_shares_passes():
    # 4 x 4 cells of 16, five apart, with 3 bases each: 3 passes decode all 48.
    row, column, basis = (x.ravel() for x in np.mgrid[0:16:5, 0:16:5, 0:3])
    units = Units(row, column, basis, np.ones(48, "float32"))
    assert len(pack(units, 5).starts) - 1 == 3


def test_packing_of_nothing():
    packing = pack(active_units(np.zeros((4, 4, 2), "float32")), 5)
    assert packing.order.size == 0
    assert len(packing.starts) == 1


def test_windows_cut_and_add_are_inverse_where_they_cover_all():
    # Cells at 0, 5 of 8: windows of 5 cells cover 0..2 and 3..7.
    windows = Windows(cell=2, reach=2, size=16)
    picture = np.random.default_rng(0).normal(size=(16, 16, 3))
    row, column = (x.ravel() for x in np.mgrid[0:8:5, 0:8:5])
    units = Units(row, column, row, np.ones(4))
    patches = windows.cut(picture[None], np.zeros(4, int), units)
    assert patches.shape == (4, 10, 10, 3)
    total = np.zeros_like(picture)
    windows.add(total, patches, units)
    np.testing.assert_array_equal(total, picture)
    np.testing.assert_array_equal(
        windows.place(patches[0], 0, 0)[:6, :6], picture[:6, :6]
    )
