"""What an image file says of itself before its pixels, as TensorFlow operations.

Compressed pixels may be a ten-thousandth of what they become, so that a server must
know the size before it decodes them.
"""

import tensorflow as tf

UPRIGHT = 1  # EXIF's orientation of a picture that needs no turn.
_SEGMENTS = 1000  # Looked at before a JPEG file's size; an odd file may have dozens.
_MOST_TAGS = 1000


def read(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Size and orientation of one PNG, JPEG, WebP or BMP file.

    Args:
        contents: the file, a string.

    Returns:
        Height and width, as stored, and the EXIF orientation, 1 to 8, of a JPEG file (1
        of any other), int64. The size is 0 of what is none of these.
    """
    data = _Bytes(contents)
    jpeg_size, orientation = _read_jpeg(data)
    frame, lossless, extended = (
        data.starts(b"RIFF") & data.starts(b"WEBP" + kind, 8)
        for kind in (b"VP8 ", b"VP8L", b"VP8X")
    )
    packed = data.number(21, 4, little=True)
    forms = [
        # (recognised, height, width)
        (
            data.starts(b"\x89PNG\r\n\x1a\n"),
            *(data.number(20, 4), data.number(16, 4)),
        ),
        (data.starts(b"\xff\xd8\xff"), *jpeg_size),
        (
            frame,
            data.number(28, 2, little=True) % 2**14,
            data.number(26, 2, little=True) % 2**14,
        ),
        (lossless, packed // 2**14 % 2**14 + 1, packed % 2**14 + 1),
        (
            extended,
            data.number(27, 3, little=True) + 1,
            data.number(24, 3, little=True) + 1,
        ),
        (
            data.starts(b"BM"),
            # From top to bottom, if negative.
            tf.abs(_signed(data.number(22, 4, little=True))),
            tf.abs(_signed(data.number(18, 4, little=True))),
        ),
    ]
    height = width = tf.constant(0, tf.int64)
    for recognised, form_height, form_width in forms:
        height = tf.where(recognised, form_height, height)
        width = tf.where(recognised, form_width, width)
    return height, width, orientation


def turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors a stored image as its orientation says.

    Args:
        image: `(height, width, channels)`.
        orientation: 1 to 8, as EXIF 2.3 defines them.
    """
    axes = tf.where(orientation >= 5, [1, 0, 2], [0, 1, 2])
    image = tf.transpose(image, axes)
    for axis, orientations in ((0, (3, 4, 7, 8)), (1, (2, 3, 6, 7))):
        mirrored = tf.reduce_any(orientation == tf.constant(orientations, tf.int64))
        image = tf.cond(
            mirrored,
            lambda image=image, axis=axis: tf.reverse(image, [axis]),
            lambda image=image: image,
        )
    return image


class _Bytes:
    """A file's bytes, and zeros after its end."""

    def __init__(self, contents: tf.Tensor) -> None:
        self.data = tf.concat(
            [tf.io.decode_raw(contents, tf.uint8), tf.zeros(1, tf.uint8)], 0
        )
        self.last = tf.size(self.data, tf.int64) - 1

    def at(self, positions: tf.Tensor) -> tf.Tensor:
        return tf.cast(
            tf.gather(self.data, tf.clip_by_value(positions, 0, self.last)), tf.int64
        )

    def number(
        self, start: tf.Tensor | int, length: int, little: tf.Tensor | bool = False
    ) -> tf.Tensor:
        """The unsigned integer, big-endian if not `little`; for every `start`."""
        start = tf.cast(start, tf.int64)[..., tf.newaxis]
        values = self.at(start + tf.range(length, dtype=tf.int64))
        powers = tf.constant([256**power for power in range(length)], tf.int64)
        powers = tf.where(little, powers, powers[::-1])
        return tf.reduce_sum(values * powers, -1)

    def starts(self, magic: bytes, start: tf.Tensor | int = 0) -> tf.Tensor:
        expected = tf.constant(list(magic), tf.int64)
        positions = start + tf.range(len(magic), dtype=tf.int64)
        return tf.reduce_all(self.at(positions) == expected)


def _signed(x: tf.Tensor) -> tf.Tensor:
    return tf.where(x >= 2**31, x - 2**32, x)


def _read_jpeg(data: _Bytes) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
    """`((height, width), orientation)`: the segments up to the frame header's."""
    zero = tf.constant(0, tf.int64)

    def searching(position, height, width, exif):
        return (height == 0) & (position < data.last) & data.starts(b"\xff", position)

    def look(position, height, width, exif):
        marker = data.number(position + 1, 1)
        frame = (marker >= 0xC0) & (marker <= 0xCF)
        for other in (0xC4, 0xC8, 0xCC):  # Tables, a reserved one, conditioning.
            frame &= marker != other
        # Of the pixels, or the file's end: no frame header came before.
        ends = (marker == 0xDA) | (marker == 0xD9)
        alone = (marker == 0x01) | ((marker >= 0xD0) & (marker <= 0xD7))
        described = (marker == 0xE1) & data.starts(b"Exif\0\0", position + 4)
        exif = tf.where(described & (exif == 0), position + 10, exif)
        height = tf.where(frame, data.number(position + 5, 2), height)
        width = tf.where(frame, data.number(position + 7, 2), width)
        length = 2 + tf.where(alone, zero, data.number(position + 2, 2))
        # A marker may be preceded by any number of bytes 0xFF.
        length = tf.where(marker == 0xFF, tf.ones_like(length), length)
        return tf.where(ends, data.last, position + length), height, width, exif

    first = tf.where(data.starts(b"\xff\xd8\xff"), tf.constant(2, tf.int64), data.last)
    _, height, width, exif = tf.while_loop(
        searching,
        look,
        (first, zero, zero, zero),
        maximum_iterations=_SEGMENTS,
        parallel_iterations=1,
    )
    orientation = _orientation(data, exif)
    upright = tf.constant(UPRIGHT, tf.int64)
    return (height, width), tf.where(exif > 0, orientation, upright)


def _orientation(data: _Bytes, start: tf.Tensor) -> tf.Tensor:
    """The first directory's tag 0x0112 in EXIF data, which is a TIFF file in itself."""
    little = data.starts(b"II", start)
    directory = start + data.number(start + 4, 4, little)
    count = tf.minimum(data.number(directory, 2, little), _MOST_TAGS)
    entries = directory + 2 + 12 * tf.range(count)
    values = tf.where(
        data.number(entries, 2, little) == 0x0112,
        data.number(entries + 8, 2, little),
        tf.zeros_like(entries),
    )
    value = tf.reduce_max(tf.concat([values, tf.constant([UPRIGHT], tf.int64)], 0))
    return tf.where(value <= 8, value, tf.ones_like(value))
