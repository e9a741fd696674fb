import base64
import json

import numpy as np
import pytest

from hcm_tf.explain import report


@pytest.mark.parametrize(("top", "left"), [(0, 0), (-3, 5), (12, -2)])
def test_a_packed_patch_is_the_patch_to_a_byte(top, left):
    patch = np.random.default_rng(0).normal(size=(10, 10, 3))
    patch[0] = patch[:, 0] = 0
    packed = report.pack_patch(patch, top, left, size=16)
    box_top, box_left, height, width = packed["box"]
    values = np.frombuffer(base64.b64decode(packed["values"]), "int8")
    values = values.reshape(height, width, 3) * packed["scale"]
    whole, unpacked = np.zeros((40, 40, 3)), np.zeros((40, 40, 3))
    whole[12 + top : 22 + top, 12 + left : 22 + left] = patch
    row, column = 12 + box_top, 12 + box_left
    unpacked[row : row + height, column : column + width] = values
    inside = (slice(12, 28), slice(12, 28))
    error = np.abs(unpacked[inside] - whole[inside]).max()
    assert error <= 0.5 * packed["scale"] * 1.001
    assert packed["scale"] == pytest.approx(np.abs(whole[inside]).max() / 127)


def test_an_empty_patch_is_packed():
    packed = report.pack_patch(np.zeros((4, 4, 1)), 0, 0, 8)
    assert packed["box"][2:] == [1, 1]
    assert base64.b64decode(packed["values"]) == b"\0"


def test_the_page_cannot_be_broken_by_a_file_name():
    text = report.page({"title": "</script><script>alert(1)</script>"})
    assert "<script>alert" not in text
    start = text.index('id="data">') + len('id="data">')
    values = json.loads(text[start : text.index("</script>", start)])
    assert values["title"] == "</script><script>alert(1)</script>"


def test_the_page_names_nothing_outside_of_itself():
    text = report.page({})
    assert "default-src 'none'" in text
    for outside in ("http:", "https:", "src=", "@import", "url("):
        found = text.replace("http://www.w3.org/2000/svg", "").replace('src=""', "")
        assert outside not in found, outside
