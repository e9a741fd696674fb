import pytest

from hcm_tf.data.held_out import held_out_count
from hcm_tf.errors import UserError


@pytest.mark.parametrize(
    ("available", "asked", "expected"),
    [(10_500, 500, 500), (1000, 500, 500), (999, 500, 99), (300, 500, 30), (20, 1, 1)],
)
def test_a_small_source_holds_out_a_tenth(available, asked, expected):
    assert held_out_count(available, asked, "it") == expected


def test_too_few_images_are_an_error_with_the_numbers():
    with pytest.raises(UserError, match=r"it has 19 usable image.* at least 20"):
        held_out_count(19, 1, "it")
