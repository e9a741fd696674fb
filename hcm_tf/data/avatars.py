"""The avatars data set: composed faces whose parts are known (TensorFlow Datasets)."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import tqdm

from hcm_tf.data import face_stream, faces
from hcm_tf.errors import UserError

TRAIN_FACES = 9_000
TEST_FACES = 1_000

_DESCRIPTION = """\
Aligned 64x64 colour faces, drawn on this machine, each composed of one variant per slot
(head, hair, eyes, eyebrows, nose, mouth, beard, glasses) and three colours, which are
its labels. The config `parts` holds the test faces again, with the visible mask of
every part.
"""
_LICENSE = "CC0 1.0: DiceBear's style Lorelei, a remix of Lorelei by Lisa Wischofsky."


class Avatars(tfds.core.GeneratorBasedBuilder):
    """Builder of the configs `faces` (train and test) and `parts` (test, with masks).

    A face is a pure function of its index, so every machine prepares the same images.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 (TFDS's attribute)
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS's attribute)
        tfds.core.BuilderConfig(
            name="faces", description=f"{TRAIN_FACES} train and {TEST_FACES} test faces"
        ),
        tfds.core.BuilderConfig(
            name="parts", description="The test faces, with the mask of each part"
        ),
    ]

    @property
    def _has_masks(self) -> bool:
        return self.builder_config.name == "parts"

    def _info(self) -> tfds.core.DatasetInfo:
        side = faces.SIZE
        features = {
            "image": tfds.features.Image(shape=(side, side, 3)),
            "index": tfds.features.Scalar(np.int64),
            **{
                slot: tfds.features.ClassLabel(names=list(names))
                for slot, names in faces.SLOTS.items()
            },
        }
        if self._has_masks:
            features["masks"] = {
                # 255 where the part is visible, else 0.
                part: tfds.features.Image(shape=(side, side, 1))
                for part in faces.PARTS
            }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            homepage="https://www.dicebear.com/styles/lorelei/",
            license=_LICENSE,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # Nothing is downloaded.
        test = range(TRAIN_FACES, TRAIN_FACES + TEST_FACES)
        splits = {"test": self._generate_examples(test)}
        if not self._has_masks:
            splits["train"] = self._generate_examples(range(TRAIN_FACES))
        return splits

    def _generate_examples(
        self, indices: range
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        records = tqdm.tqdm(
            face_stream.stream(indices, masks=self._has_masks),
            desc=f"Drawing {self.builder_config.name}",
            total=len(indices),
            disable=None,  # Only on a terminal.
        )
        for index, record in zip(indices, records, strict=True):
            example = {
                "image": record["image"],
                "index": index,
                **dict(zip(faces.SLOTS, map(int, record["labels"]), strict=True)),
            }
            if self._has_masks:
                masks = np.where(record["masks"], np.uint8(255), np.uint8(0))
                example["masks"] = dict(
                    zip(faces.PARTS, masks[..., np.newaxis], strict=True)
                )
            yield index, example


def prepared(config_name: str, data_dir: str) -> Avatars:
    """The builder of a config, drawn first where that was not done before.

    Raises:
        UserError: `data_dir` cannot be written to.
    """
    builder = Avatars(config=config_name, data_dir=data_dir)
    try:
        with contextlib.redirect_stdout(io.StringIO()), _no_bars_of_tfds():
            builder.download_and_prepare()
    except OSError as error:
        # Another process may have finished the same preparation first.
        builder = Avatars(config=config_name, data_dir=data_dir)
        if not builder.is_prepared():
            raise UserError(
                f"The avatars cannot be stored in {data_dir}: {error}. Make it "
                "writable, or name another directory with --data_dir."
            ) from error
    return builder


@contextlib.contextmanager
def _no_bars_of_tfds() -> Iterator[None]:
    tfds.disable_progress_bar()
    try:
        yield
    finally:
        tfds.enable_progress_bar()


def load_parts(data_dir: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The test faces and their masks; see `hcm_tf.data.load_parts`."""
    builder = prepared("parts", data_dir)
    examples = list(tfds.as_numpy(builder.as_dataset(split="test")))
    images = np.stack([example["image"] for example in examples])
    masks = {
        part: np.stack([example["masks"][part][..., 0] > 0 for example in examples])
        for part in faces.PARTS
    }
    return images, masks
