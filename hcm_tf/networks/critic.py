"""The critic: image -> score, higher for real ones (WGAN-GP)."""

import math
from typing import Any

import keras
from keras import ops

from hcm_tf.layers import EqualizedConv2D, EqualizedDense, MinibatchStddev
from hcm_tf.networks.blocks import NEGATIVE_SLOPE, Trunk
from hcm_tf.operations import FAST
from hcm_tf.sparsity import Tensor


@keras.saving.register_keras_serializable("hcm_tf")
class Critic(keras.Model):
    """Scores images, comparing those of a batch in groups (Xing et al. 2020).

    The encoder's trunk, minibatch standard deviation, conv3 lrelu, dense.

    Args:
        widths: feature maps of each block, from the image down.
        residual_block: index of the block with a shortcut.
        stddev_group_size: images compared with each other, see `MinibatchStddev`.
        classes: of each label that it judges by, by projection: the score of an image
            has the inner product of its features and its labels' embedding added
            (Miyato and Koyama 2018). None: by images alone.
        discovered: classes that it is to read from fakes, by a dense layer on the
            trunk (Chen et al. 2016); 0: none.
    """

    execution = FAST

    def __init__(
        self,
        *,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        residual_block: int = 1,
        stddev_group_size: int = 10,
        classes: tuple[int, ...] = (),
        discovered: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.trunk = Trunk(
            widths,
            residual_block=residual_block,
            dtype=dtype,
            name="trunk",
        )
        self.stddev = MinibatchStddev(stddev_group_size, dtype=dtype, name="stddev")
        self.last = EqualizedConv2D(widths[-1], 3, dtype=dtype, name="last")
        self.fc = EqualizedDense(1, gain=1.0, dtype=dtype, name="fc")
        self.classes = tuple(classes)
        self.embedding = None
        self.class_fc = None
        if discovered:
            self.class_fc = EqualizedDense(
                discovered, gain=1.0, dtype=dtype, name="class_fc"
            )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds every layer for images of shape `(batch, size, size, channels)`."""
        self.trunk.build(input_shape)
        shape = self.trunk.compute_output_shape(input_shape)
        if self.class_fc is not None:
            self.class_fc.build((None, math.prod(shape[1:])))
        self.stddev.build(shape)
        shape = self.stddev.compute_output_shape(shape)
        self.last.build(shape)
        _, height, width, _ = shape
        self.features = height * width * self.last.filters
        self.fc.build((None, self.features))
        if self.classes:
            self.embedding = EqualizedDense(
                self.features,
                # One 1 for each label, as if it were an input of its own.
                gain=math.sqrt(sum(self.classes) / len(self.classes)),
                dtype=self.dtype_policy,
                name="embedding",
            )
            self.embedding.build((None, sum(self.classes)))
        self.built = True

    def call(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images in [-1, 1] -> scores `(batch,)`; the batch size must be known.

        Args:
            images: `(batch, size, size, channels)`.
            labels: `(batch, classes of all labels)`, of a critic that judges by them.
        """
        return self._score(self._see(images), labels)

    def judge(
        self, images: Tensor, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The scores, and the logits of discovered classes `(batch, discovered)`.

        Arguments as of `call`.
        """
        x = self._see(images)
        return self._score(x, labels), self._read(x)

    def read(self, images: Tensor) -> Tensor:
        """The logits of discovered classes alone, `(batch, discovered)`."""
        return self._read(self._see(images))

    def _see(self, images: Tensor) -> Tensor:
        return self.trunk(ops.cast(images, self.compute_dtype))

    def _read(self, x: Tensor) -> Tensor:
        x = ops.reshape(x, (-1, math.prod(x.shape[1:])))
        return ops.cast(self.class_fc(x), self.variable_dtype)

    def _score(self, x: Tensor, labels: Tensor | None) -> Tensor:
        x = self.execution.leaky_relu(self.last(self.stddev(x)), NEGATIVE_SLOPE)
        features = ops.reshape(x, (-1, self.features))
        scores = self.fc(features)[:, 0]
        if self.classes:
            wanted = self.embedding(ops.cast(labels, self.compute_dtype))
            fit = ops.sum(wanted * features, axis=-1)
            scores = scores + fit / math.sqrt(self.features)
        return ops.cast(scores, self.variable_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "widths": self.trunk.widths,
            "residual_block": self.trunk.residual_block,
            "stddev_group_size": self.stddev.group_size,
            "classes": self.classes,
            "discovered": self.class_fc.units if self.class_fc else 0,
        }
