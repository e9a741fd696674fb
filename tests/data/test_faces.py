import hashlib
import itertools

import numpy as np
import pytest

from hcm_tf.data import faces

# SHA-256 of the pixels of faces 0 to 7, with the pinned dicebear and resvg versions.
PIXELS = "8f5da17d0c6f6b8cc7ea8e7b22c5bf13695ed7630a8a9665d999f5aca6da12cb"


def absent(index, part):
    return faces.SLOTS[part][faces.draw(index)[1][part]] == "none"


def first(part, *, present=True):
    return next(index for index in range(200) if absent(index, part) != present)


def test_faces_are_these_very_pixels():
    digest = hashlib.sha256()
    for index in range(8):
        digest.update(faces.draw(index)[0].tobytes())
    assert digest.hexdigest() == PIXELS


def test_the_background_and_skin_have_the_colours_of_their_labels():
    for index in range(10):
        image, labels = faces.draw(index)
        background = list(faces._COLORS["background"].values())
        color = background[labels["background_color"]]
        assert "#" + image[0, 63].tobytes().hex() == color
        skin = list(faces._COLORS["skin"].values())[labels["skin_color"]]
        assert "#" + image[62, 30].tobytes().hex() == skin


def test_labels_cover_every_slot():
    seen = {slot: set() for slot in faces.SLOTS}
    for index in range(300):
        labels = faces.labels_of(faces.avatar_of(index).to_json()["options"])
        assert list(labels) == list(faces.SLOTS)
        for slot, label in labels.items():
            seen[slot].add(label)
    for slot, names in faces.SLOTS.items():
        assert seen[slot] <= set(range(len(names)))
        assert len(seen[slot]) > 0.9 * len(names)


def test_colours_of_different_slots_are_apart():
    for one, other in itertools.combinations(faces._COLORS.values(), 2):
        for first_color, second_color in itertools.product(
            one.values(), other.values()
        ):
            channels = [
                np.frombuffer(bytes.fromhex(color[1:]), np.uint8).astype(int)
                for color in (first_color, second_color)
            ]
            assert np.abs(channels[0] - channels[1]).max() >= 40


def test_an_absent_part_has_an_empty_mask():
    masks = faces.part_masks(first("glasses", present=False))
    assert tuple(masks) == faces.PARTS
    assert not masks["glasses"].any()
    assert masks["hair"].any()


def test_coverage_explains_the_pixels():
    """Where the part covers all of a pixel, the face shows the ink of the part."""
    for index in range(5):
        image, labels = faces.draw(index)
        hair = list(faces._COLORS["hair"].values())[labels["hair_color"]]
        color = np.frombuffer(bytes.fromhex(hair[1:]), np.uint8)
        covered = faces.coverage(index, "hair") == 1
        assert covered.sum() > 100
        np.testing.assert_array_equal(
            image[covered], np.tile(color, (covered.sum(), 1))
        )


def test_visible_parts_hardly_overlap():
    """Covered fractions of a pixel sum to 1 at most, but for translucent drawing."""
    index = first("glasses")
    total = sum(faces.coverage(index, part) for part in ("hair", "eyes", "glasses"))
    assert np.mean(total > 1.02) < 0.005


def test_hidden_pixels_do_not_belong_to_a_part():
    """A beard hides the mouth: the masks must not share what only one shows."""
    index = first("beard")
    beard = faces.coverage(index, "beard")
    mouth = faces.coverage(index, "mouth")
    # The style draws the mouth on the beard in translucent white (0.4).
    assert mouth[beard > 0.99].max(initial=0) <= 0.41


@pytest.mark.parametrize("part", faces.PARTS)
def test_masks_lie_where_the_part_is_drawn(part):
    expected = {  # Rows in which the centre of the part lies.
        "hair": (5, 40),
        "eyes": (22, 38),
        "eyebrows": (18, 32),
        "nose": (26, 44),
        "mouth": (36, 50),
        "beard": (34, 56),
        "glasses": (22, 38),
    }
    mask = faces.part_masks(first(part))[part]
    low, high = expected[part]
    assert low <= np.nonzero(mask)[0].mean() <= high
