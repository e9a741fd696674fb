import numpy as np

from hcm_tf.explain import drawing, rendering
from hcm_tf.explain.tree import grow


def test_the_drawn_tree_shows_the_image_and_its_branches(recorded):
    decoder, recording = recorded
    tree = grow(decoder, recording, roots=3, breadth=2)
    picture = drawing.draw_tree(decoder, recording, tree)
    assert picture.dtype == np.uint8
    assert picture.shape[-1] == 3
    # The image itself, enlarged, in the middle of the left edge.
    side, left = drawing.SIDES[0], drawing.MARGIN
    top = (len(picture) - side) // 2
    shown = picture[top : top + side, left : left + side]
    expected = rendering.image_pixels(recording.logits)
    factor = side / len(expected)
    centres = ((np.arange(len(expected)) + 0.5) * factor).astype(int)
    assert np.abs(shown[np.ix_(centres, centres)].astype(int) - expected).mean() < 1
    # Something is drawn in every column, and the margin stays empty.
    assert (picture[:, -drawing.MARGIN :] == 255).all()
    assert (picture[:, -drawing.MARGIN - 10 : -drawing.MARGIN] != 255).any()
