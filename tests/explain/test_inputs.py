import numpy as np
import PIL.Image
import pytest

from hcm_tf.errors import UserError
from hcm_tf.explain import inputs

LEVELS = ("attributes", "8x8")


@pytest.fixture
def save(tmp_path):
    def save(size, mode):
        path = tmp_path / "image.png"
        PIL.Image.new(mode, size, "red" if mode != "L" else 128).save(path)
        return path

    return save


def test_an_image_that_fits(save, tiny_config):
    image = inputs.read_image(save((32, 32), "RGB"), tiny_config)
    assert image.dtype == np.float32
    assert image.shape == (32, 32, 3)
    assert image[0, 0].tolist() == [1.0, -1.0, -1.0]


@pytest.mark.parametrize(
    ("size", "mode"), [((33, 32), "RGB"), ((32, 32), "L"), ((32, 32), "RGBA")]
)
def test_an_image_that_does_not_fit(save, tiny_config, size, mode):
    path = save(size, mode)
    with pytest.raises(UserError, match=r"this run takes 32x32 RGB\. Add --fit"):
        inputs.read_image(path, tiny_config)
    assert inputs.read_image(path, tiny_config, fit=True).shape == (32, 32, 3)


def test_no_image(tmp_path, tiny_config):
    with pytest.raises(UserError, match="no such file"):
        inputs.read_image(tmp_path / "missing.png", tiny_config)
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(UserError, match="not an image"):
        inputs.read_image(tmp_path / "text.png", tiny_config)
    with pytest.raises(UserError, match="not an image"):
        inputs.read_image(tmp_path, tiny_config)


def test_levels_by_name_and_number():
    assert inputs.level_index("8x8", LEVELS) == 1
    assert inputs.level_index("0", LEVELS) == 0
    for name in ("9x9", "2", "-1", ""):
        with pytest.raises(UserError, match="This run has attributes, 8x8"):
            inputs.level_index(name, LEVELS)


def test_units_by_name():
    code = np.zeros((4, 4, 10), "float32")
    code[1, 2, 3] = code[1, 3, 4] = code[2, 2, 3] = 1.0
    codes = (code, code)

    def find(text):
        level, units = inputs.find_units(text, LEVELS, codes)
        return level, list(zip(*(field.tolist() for field in units[:3]), strict=True))

    assert find("8x8:1,2:3") == (1, [(1, 2, 3)])
    assert find("attributes:1,*:*") == (0, [(1, 2, 3), (1, 3, 4)])
    assert find("attributes:1-2,2:0-9") == (0, [(1, 2, 3), (2, 2, 3)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8x8:1,2", "names no unit"),
        ("8x8:1:2", "names no unit"),
        ("9x9:1,2:3", "no level '9x9'"),
        ("8x8:1,2:10", "no basis 10; this level has 0 to 9"),
        ("8x8:4,2:1", "no row 4"),
        ("8x8:a,2:1", "row 'a' is no number"),
        ("8x8:1,3-2:1", "no column 3-2"),
        ("8x8:1,2:-1", "basis '-1' is no number"),
        ("8x8:0,0:0", "no unit is active there"),
    ],
)
def test_units_that_do_not_exist(text, message):
    code = np.zeros((4, 4, 10), "float32")
    code[1, 2, 3] = 1.0
    with pytest.raises(UserError, match=message):
        inputs.find_units(text, LEVELS, (code, code))
