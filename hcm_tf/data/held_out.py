"""How many images are kept out of training, where the source does not say."""

from absl import logging

from hcm_tf.errors import UserError

MINIMUM_IMAGES = 20


def held_out_count(available: int, asked: int, source: str) -> int:
    """Images to hold out of a source that is not split.

    As many as asked for, but no more than half of a small source: then a tenth.

    Args:
        available: usable images in the source.
        asked: `DataConfig.held_out`.
        source: what messages call the source.

    Raises:
        UserError: fewer than `MINIMUM_IMAGES` are available.
    """
    if available < MINIMUM_IMAGES:
        raise UserError(
            f"{source} has {available} usable image(s), and training needs at least "
            f"{MINIMUM_IMAGES}: add images."
        )
    if asked <= available // 2:
        return asked
    held_out = available // 10
    logging.warning(
        "%s has only %d images: %d are held out, not %d.",
        *(source, available, held_out, asked),
    )
    return held_out
