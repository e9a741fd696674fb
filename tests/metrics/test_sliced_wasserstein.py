import numpy as np
import pytest

from hcm_tf.metrics import sliced_wasserstein as sliced


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    coarse = random.uniform(-1, 1, (30, 8, 8, 3))
    return np.kron(coarse, np.ones((1, 4, 4, 1))).astype("float32")


def gather(images, batch, capacity=sliced.CAPACITY):
    patches = sliced.Patches(3, capacity)
    for start in range(0, len(images), batch):
        patches.update(images[start : start + batch])
    return patches


@pytest.mark.parametrize(
    ("side", "sizes"), [(16, [16]), (32, [32, 16]), (64, [64, 32, 16]), (28, [28])]
)
def test_levels(side, sizes):
    assert sliced.level_sizes(side, side) == [(size, size) for size in sizes]
    assert len(sliced.level_sizes(128, 128)) == 4


def test_pyramid_adds_up_to_the_images(images):
    fine, rest = sliced.laplacian_pyramid(images, 2)
    assert rest.shape == (30, 16, 16, 3)
    np.testing.assert_allclose(fine + sliced.enlarge(rest), images, atol=1e-6)


def test_a_set_is_at_zero_from_itself_and_grey_images_work(images):
    assert sliced.sliced_wasserstein(images, images) == {32: 0.0, 16: 0.0}
    grey = sliced.sliced_wasserstein(images[..., :1], images[..., 1:2])
    assert min(grey.values()) > 0


def test_batches_change_nothing(images):
    """Also where patches are left out."""
    for capacity in (sliced.CAPACITY, 500):
        whole, parts = gather(images, 30, capacity), gather(images, 7, capacity)
        for level in range(2):
            one, other = whole.normalised(level), parts.normalised(level)
            assert len(one) == min(capacity, 30 * 128)
            np.testing.assert_array_equal(one, other)


def test_memory_is_bounded_and_the_choice_is_uniform(images):
    patches = sliced.Patches(0, 400)
    for _ in range(40):
        patches.update(images)
        level = patches._levels[0]
        waiting = sum(len(each[0]) for each in level._waiting)
        assert len(level._keys) + waiting <= 500
    numbers, kept = patches._levels[0].chosen()
    assert kept.shape == (400, 7, 7, 3)
    # 400 of 1,200 images: the mean number is 599.5, give or take 346 / 20.
    assert abs(numbers.mean() - 599.5) < 4 * 17.3


def test_patches_are_windows_of_their_level():
    """In a picture of numbers, a patch is an arithmetic progression."""
    rows, columns = np.mgrid[:20, :24]
    image = ((24 * rows + columns) / 1000).astype("float32")
    patches = sliced.Patches(1)
    patches.update(image[None, :, :, None])
    _, found = patches._levels[0].chosen()
    corners = np.rint(found[:, 0, 0, 0] * 1000).astype(int)
    for patch, corner in zip(found, corners, strict=True):
        y, x = divmod(corner, 24)
        np.testing.assert_array_equal(patch[..., 0], image[y : y + 7, x : x + 7])
    assert {0, 13} <= set(corners // 24)
    assert {0, 17} <= set(corners % 24)


def test_one_channel_value_in_closed_form():
    """Of sorted projections on one axis: the mean gap."""
    one = np.array([[3.0, 0], [1, 0], [2, 0]], "float32")
    other = np.array([[2.5, 0], [1.5, 0], [9, 0]], "float32")
    distance = sliced.mean_distance(one, other, np.array([[1.0], [0]], "float32"))
    assert distance == pytest.approx((0.5 + 0.5 + 6) / 3)


def test_subset_of_images_equals_the_images_alone(images):
    kept = np.arange(30) < 12
    whole, part = gather(images, 30), gather(images[:12], 12)
    np.testing.assert_array_equal(whole.normalised(1, kept), part.normalised(1))


def test_a_flat_picture_has_no_contrast_to_normalise():
    flat = np.full((2, 16, 16, 1), 0.5, "float32")
    assert sliced.sliced_wasserstein(flat, flat) == {16: 0.0}


def test_what_is_refused(images):
    with pytest.raises(ValueError, match="halved"):
        sliced.level_sizes(33, 32)
    with pytest.raises(ValueError, match="at least 16"):
        sliced.Patches().update(images[:, :15])
    with pytest.raises(ValueError, match="in \\[-1, 1\\]"):
        sliced.Patches().update(images * 127)
    with pytest.raises(ValueError, match="floating point"):
        sliced.Patches().update(images.astype("uint8"))
    with pytest.raises(ValueError, match="one seed"):
        sliced.patch_distances(gather(images, 30), sliced.Patches(1))
    with pytest.raises(ValueError, match="those before"):
        gather(images, 30).update(images[:, :16])
