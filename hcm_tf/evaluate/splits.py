"""Real images that a run learnt from, and others to test on."""

import dataclasses

from hcm_tf import data
from hcm_tf.data import ImageSet
from hcm_tf.runs.checkpoint import Run

HELD_OUT = 100_000  # As many as a configuration can ask for.


def real_images(run: Run, data_dir: str) -> tuple[ImageSet, ImageSet]:
    """The run's training images, and those to test on, which it never saw.

    These are a split of their own, all of it, or else what the run held out.

    Args:
        run: names the data set.
        data_dir: where prepared data sets are; "": where the run found them.

    Raises:
        UserError: they cannot be read.
    """
    config, model = run.config.data, run.config.model
    config = dataclasses.replace(config, data_dir=data_dir or config.data_dir)
    # Elsewhere more held-out images would be some that the run learnt from.
    if data.has_test_split(config):
        config = dataclasses.replace(config, held_out=HELD_OUT)
    return data.load(config, model.image_size, model.image_channels)
