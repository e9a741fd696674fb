"""What the exported networks answer: the serving signatures, as TensorFlow functions.

Every input and output has the batch as its first dimension and no operation mixes rows,
so that a server may batch requests of different callers. All other dimensions are
fixed: a server merges no tensors that differ in them. Requests of a wrong shape, an
empty batch or a class that there is not fail with INVALID_ARGUMENT, and with them those
of other callers in the same batch: a signature has one status for all of its rows.
"""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from export.images import decode, to_pixels
from hcm_tf import labels
from hcm_tf.config import DataConfig, Label
from hcm_tf.networks import Encoder, Generator
from hcm_tf.prior import Prior
from hcm_tf.runs.checkpoint import Run

Outputs = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Signature:
    """One signature.

    Attributes:
        function: from the inputs to the named outputs.
        input: name, shape and type of the first input.
        label: of the second, by which a model with labels is told what to draw; None:
            there is one input alone.
    """

    function: Callable[..., Outputs]
    input: tf.TensorSpec
    label: tf.TensorSpec | None = None

    @property
    def inputs(self) -> list[tf.TensorSpec]:
        """All of them, as the function takes them."""
        return [self.input] if self.label is None else [self.input, self.label]


class GeneratorSignatures:
    """The generator's signatures.

    Args:
        generator: a built generator.
        prior: what a seed's latent is drawn from.
        units: contribution pictures a row of `explain`.
        labels: of the generator, by which `sample_label` and `sample_label_png` draw.
    """

    def __init__(
        self,
        generator: Generator,
        prior: Prior,
        units: int,
        labels: Sequence[Label] = (),
    ) -> None:
        self.generator = generator
        self.prior = prior
        attributes = generator.attribute_conv.filters
        self.units = min(units, 16 * attributes)
        latent = tf.TensorSpec((None, generator.latent_size), tf.float32, "latent")
        seed = tf.TensorSpec((None,), tf.int32, "seed")
        self.signatures = {
            "serving_default": Signature(_checked(self.images, latent), latent),
            "sample": Signature(_checked(self.sample, seed), seed),
            "png": Signature(_checked(self.png, latent), latent),
            "sample_png": Signature(_checked(self.sample_png, seed), seed),
            "codes": Signature(_checked(self.codes, latent), latent),
            "explain": Signature(_checked(self.explain, latent), latent),
        }
        self.labels = labels
        if labels:
            label = tf.TensorSpec((None, len(labels)), tf.string, "label")
            for name, function in (
                ("sample_label", self.sample_label),
                ("sample_label_png", self.sample_label_png),
            ):
                checked = _checked(function, seed, label)
                self.signatures[name] = Signature(checked, seed, label)

    def images(self, latent: tf.Tensor) -> Outputs:
        """`images`: float32 `(batch, size, size, channels)`, in [-1, 1]."""
        return {"images": self.generator(latent)}

    def sample(self, seed: tf.Tensor) -> Outputs:
        """`images`, and the `latent` that was drawn: float32 `(batch, latent_size)`."""
        latent = self.prior.from_seeds(seed)
        return {**self.images(latent), "latent": latent}

    def png(self, latent: tf.Tensor) -> Outputs:
        """`image_bytes`: each image as a PNG file, string `(batch,)`."""
        pixels = to_pixels(self.generator(latent))
        return {"image_bytes": tf.io.encode_png(pixels)}

    def sample_png(self, seed: tf.Tensor) -> Outputs:
        """`image_bytes`, and the `latent` that was drawn."""
        latent = self.prior.from_seeds(seed)
        return {**self.png(latent), "latent": latent}

    def sample_label(self, seed: tf.Tensor, label: tf.Tensor) -> Outputs:
        """`images` and `latent` of seeds, drawn as classes.

        `label` holds for each image as many texts as there are labels, in any order:
        classes, such as `Dress` or `hair_color=teal`, and "" for each label that is not
        asked for, which is as the seed decides. A class that there is not, and a label
        that is named twice, fail with INVALID_ARGUMENT, also the rows of other callers
        in the batch.
        """
        latent = self.prior.from_seeds(seed, classes=self._classes(label))
        return {**self.images(latent), "latent": latent}

    def sample_label_png(self, seed: tf.Tensor, label: tf.Tensor) -> Outputs:
        """The same as `image_bytes`: each image as a PNG file, string `(batch,)`."""
        latent = self.prior.from_seeds(seed, classes=self._classes(label))
        return {**self.png(latent), "latent": latent}

    def _classes(self, texts: tf.Tensor) -> tf.Tensor:
        """The classes that texts name: int32 `(batch, labels)`, -1 where none."""
        found, understood = [], tf.equal(texts, "")
        once = tf.ones_like(texts[:, 0], tf.bool)
        for spelled in labels.spellings(self.labels):
            is_named = tf.stack(
                [
                    tf.reduce_any([tf.equal(texts, one) for one in names], axis=0)
                    for names in spelled
                ],
                axis=-1,
            )
            understood = understood | tf.reduce_any(is_named, axis=-1)
            times = tf.reduce_sum(tf.cast(is_named, tf.int32), axis=(1, 2))
            once = once & (times <= 1)
            named = tf.reduce_any(is_named, axis=1)
            number = tf.argmax(tf.cast(named, tf.int32), axis=1, output_type=tf.int32)
            found.append(tf.where(tf.reduce_any(named, axis=1), number, -1))
        checks = [
            tf.debugging.Assert(
                tf.reduce_all(right),
                [f"`label` names {wrong}:", tf.boolean_mask(texts, ~right)],
            )
            for right, wrong in (
                (understood, "a class that there is not"),
                (once, "a label twice"),
            )
        ]
        with tf.control_dependencies(checks):
            return tf.stack(found, axis=1)

    def codes(self, latent: tf.Tensor) -> Outputs:
        """The sparse code of every level: what is active, strongest first.

        `attributes_indices` int32 and `attributes_values` float32, both
        `(batch, 16, k)`: the attributes of each location (row-major), and for every
        level above, such as 8x8, `8x8_positions` int32 and `8x8_values` float32, both
        `(batch, channels, k)`: the positions (row * width + column) of each feature
        map. The strongest come first, whatever their sign. A value of 0 fills the list
        where fewer are active; what the generator keeps beyond k, because it equals
        the k-th largest, is cut off. Where the level's rule has no such bound, k is all
        of the competitors.
        """
        outputs = {}
        codes = self.generator.trace(latent).codes
        for level, code in zip(self.generator.levels, codes, strict=True):
            places = tf.reshape(code, (-1, level.positions, level.shape[2]))
            # Competitors side by side.
            pools = places if level.placed else tf.transpose(places, (0, 2, 1))
            _, indices = tf.math.top_k(tf.abs(pools), level.most)
            values = tf.gather(pools, indices, batch_dims=2)
            kind = "indices" if level.placed else "positions"
            outputs |= {f"{level.name}_{kind}": indices, f"{level.name}_values": values}
        return outputs

    def explain(self, latent: tf.Tensor) -> Outputs:
        """What the strongest attributes contribute to the image before tanh, exactly.

        With n units a row, strongest first: `locations` (row-major) and `attributes`,
        int32 `(batch, n)`; `activations` float32 `(batch, n)`; `contributions` float32
        `(batch, n, size, size, channels)`; `rest` float32 `(batch, size, size,
        channels)`, that of all other units; and `images`, which is the tanh of `rest`
        plus the sum of `contributions`.
        """
        generator = self.generator
        trace = generator.trace(latent)
        code = trace.codes[0]
        _, height, width, count = code.shape
        activations, units = tf.math.top_k(
            tf.reshape(code, (-1, height * width * count)), self.units
        )

        def contribution(unit_and_activation: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            unit, activation = unit_and_activation
            alone = tf.one_hot(unit, height * width * count) * activation[:, tf.newaxis]
            alone = tf.reshape(alone, (-1, height, width, count))
            return generator.replay(0, alone, trace.gates)

        # Unit by unit: all at once would need n times the memory.
        contributions = tf.map_fn(
            contribution,
            (tf.transpose(units), tf.transpose(activations)),
            fn_output_signature=trace.logits.dtype,
            parallel_iterations=1,
        )
        contributions.set_shape((self.units, *trace.logits.shape))
        return {
            "images": trace.image,
            "contributions": tf.transpose(contributions, (1, 0, 2, 3, 4)),
            "rest": trace.logits - tf.reduce_sum(contributions, axis=0),
            "locations": units // count,
            "attributes": units % count,
            "activations": activations,
        }


class EncoderSignatures:
    """The encoder's signatures.

    Args:
        encoder: a built encoder.
        generator: draws the reconstructions.
        data: says how an image of another size becomes square.
    """

    def __init__(
        self, encoder: Encoder, generator: Generator, data: DataConfig
    ) -> None:
        self.encoder = encoder
        self.generator = generator
        self.data = data
        size, channels = generator.image_size, generator.image_channels
        images = tf.TensorSpec((None, size, size, channels), tf.float32, "images")
        image_bytes = tf.TensorSpec((None,), tf.string, "image_bytes")
        self.signatures = {
            "serving_default": Signature(_checked(self.latent, images), images),
            "from_bytes": Signature(
                _checked(self.from_bytes, image_bytes), image_bytes
            ),
            "reconstruct": Signature(_checked(self.reconstruct, images), images),
        }

    def latent(self, images: tf.Tensor) -> Outputs:
        """`latent`: float32 `(batch, latent_size)`, in (-1, 1)."""
        return {"latent": self.encoder(images)}

    def from_bytes(self, image_bytes: tf.Tensor) -> Outputs:
        """`latent` of image files, made square and turned upright as in training.

        PNG, JPEG, WebP and BMP of up to `images.MAXIMUM_PIXELS`; the EXIF orientation
        of JPEG files alone is read.
        """
        return self.latent(
            decode(
                image_bytes,
                self.generator.image_size,
                self.generator.image_channels,
                resize=self.data.resize,
                resize_filter=self.data.resize_filter,
            )
        )

    def reconstruct(self, images: tf.Tensor) -> Outputs:
        """`images` drawn again, and their `error`: float32 `(batch,)`.

        The error is the squared difference, averaged over pixels and channels.
        """
        drawn = self.generator(self.encoder(images))
        error = tf.reduce_mean(tf.square(drawn - images), axis=(1, 2, 3))
        return {"images": drawn, "error": error}


def _checked(
    function: Callable[..., Outputs], *specs: tf.TensorSpec
) -> Callable[..., Outputs]:
    """Refuses, at run time, what the loader lets pass: other shapes, empty batches."""

    def checked(*inputs: tf.Tensor) -> Outputs:
        inputs = [
            tf.ensure_shape(x, spec.shape)
            for x, spec in zip(inputs, specs, strict=True)
        ]
        rows = [tf.shape(x)[0] for x in inputs]
        checks = [
            tf.debugging.assert_positive(
                rows[0], message=f"`{specs[0].name}` must have at least one row"
            )
        ]
        checks += [
            tf.debugging.assert_equal(
                other, rows[0], message=f"`{spec.name}` must have a row for each image"
            )
            for other, spec in zip(rows[1:], specs[1:], strict=True)
        ]
        with tf.control_dependencies(checks):
            return function(*map(tf.identity, inputs))

    return checked


def device_signatures(run: Run, name: str, batch: int | None) -> dict[str, Signature]:
    """Signatures of a TFLite model: `generate` and `sample`, or `encode`.

    Args:
        run: the networks, the generator in the execution "device".
        name: "generator" or "encoder".
        batch: rows; None leaves them to the run time.
    """
    generator = run.generator
    if name == "encoder":
        size, channels = generator.image_size, generator.image_channels
        spec = tf.TensorSpec((batch, size, size, channels), tf.float32, "image")
        return {"encode": Signature(lambda x: {"latent": run.encoder(x)}, spec)}

    def sample(seed: tf.Tensor, classes: tf.Tensor | None = None) -> Outputs:
        chosen = {} if classes is None else {"classes": classes}
        latent = run.prior.from_seeds(seed, **chosen)
        # Changes nothing, but keeps the converter from multiplying the first layer's
        # weights by the latents' 2**-23, under which float16 would lose them.
        return {"images": generator(tf.minimum(latent, 1.0)), "latent": latent}

    latent = tf.TensorSpec((batch, generator.latent_size), tf.float32, "latent")
    seeds = tf.TensorSpec((batch,), tf.int32, "seed")
    found = {
        "generate": Signature(lambda x: {"images": generator(x)}, latent),
        "sample": Signature(sample, seeds),
    }
    if generator.classes:
        # Numbers in the metadata's table of names; -1: as the seed decides.
        label = tf.TensorSpec((batch, len(generator.classes)), tf.int32, "label")
        found["sample_label"] = Signature(sample, seeds, label)
    return found


def metadata(name: str, run: Run) -> dict[str, object]:
    """What a TFLite file says of itself."""
    model = run.config.model
    described = [
        {"name": label.name, "classes": list(label.classes)} for label in model.labels
    ]
    return {
        "network": name,
        "method": "Xing et al., Inducing Hierarchical Compositional Model by "
        "Sparsifying Generator Network, CVPR 2020",
        "latent_size": run.generator.latent_size,
        **({"labels": described} if described else {}),
        "latent_range": [-1.0, 1.0],
        "image_size": model.image_size,
        "image_channels": model.image_channels,
        "image_range": [-1.0, 1.0],
        "step": run.step,
        "data": run.config.data.public_name,
        "licence": "Apache-2.0 (code); data: see the model card",
    }
