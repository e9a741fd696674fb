import keras
import numpy as np
from explain_helpers import record

from hcm_tf.config import ModelConfig
from hcm_tf.explain import drawing, rendering
from hcm_tf.explain.decoder import Decoder
from hcm_tf.explain.tree import grow
from hcm_tf.networks import build_generator


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


def test_a_tree_of_128_pixels_has_a_column_more():
    """Five levels: more than any other size has."""
    keras.utils.set_random_seed(0)
    model = ModelConfig(image_size=128, base_channels=2, attributes=12, latent_size=6)
    decoder = Decoder(build_generator(model), progress=False)
    recording = record(decoder)[0]
    tree = grow(decoder, recording, roots=1, breadth=1)
    assert len(tree.level_names) == 5
    picture = drawing.draw_tree(decoder, recording, tree)
    columns = sum(drawing.SIDES) + 5 * drawing.COLUMN_GAP
    assert picture.shape[1] == columns + 2 * drawing.MARGIN
    last = picture[:, -drawing.MARGIN - drawing.SIDES[-1] : -drawing.MARGIN]
    assert (last != 255).any()
