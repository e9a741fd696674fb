"""Configuration of one experiment: model, data and training (standard library only).

Every field is also a command-line flag (`config_flags.py`), so its help, bounds and
choices live here and nowhere else. A default equals the published value (Xing et al.
2020) where one is published; a flag file holds only what differs from it.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any, TypeVar, get_type_hints

GRID = 4  # The generator composes its image from 4 x 4 locations (Xing et al. 2020).
RESIDUAL_RESOLUTION = 32  # Blocks at this resolution have a shortcut.
WIDTHS_IN_BASE_CHANNELS = {8: 8, 16: 4, 32: 2, 64: 1, 128: 0.5}

# The rules of `hcm_tf.sparsity.rules`, named here so that flags need no Keras.
SPARSITIES = (
    "top_k",
    "dense",
    "l1",
    "straight_through",
    "soft_top_k",
    "sparsemax",
    "entmax15",
    "sparsestmax",
    "gumbel_top_k",
    "reinforce",
    "batch_top_k",
    "top_p",
)

PLACEMENTS = ("grid", "free")
PRESENCES = ("soft", "hard")
OPACITIES = ("own", "shared")

# Fields with several values, and the type of each; of words there may be none.
LISTS = {tuple[float, ...]: float, tuple[str, ...]: str}

Config = TypeVar("Config")


def _field(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[Any, ...] | None = None,
    resumable: bool = False,
    flag: bool = True,
) -> Any:
    """A dataclass field with what a flag needs to know about it.

    `resumable` marks a field that may change when a run is resumed, because it does
    not alter the values that a step computes; two do, and may: the learning rate, so
    that a run that diverged can go on, and `steps`, which `cooldown_steps` and the
    budget of gated blocks end with. `flag` is false for what no flag can say.
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "resumable": resumable,
        "flag": flag,
    }
    return dataclasses.field(default=default, metadata=metadata)


def _check_fields(config: Any) -> None:
    """Checks type, bounds and choices of every field; raises ValueError."""
    hints = get_type_hints(type(config))
    for field in dataclasses.fields(config):
        if not field.metadata["flag"]:
            continue
        value = getattr(config, field.name)
        kind = LISTS.get(hints[field.name])
        if kind:
            if not isinstance(value, tuple) or not (value or kind is str):
                what = "numbers" if kind is float else "words"
                raise ValueError(
                    f"`{field.name}` must be a list of {what}. Received: {value!r}"
                )
            for item in value:
                _check_value(field, kind, item)
        else:
            _check_value(field, hints[field.name], value)


def _check_value(field: dataclasses.Field, expected: type, value: Any) -> None:
    accepted = (int, float) if expected is float else (expected,)
    if isinstance(value, bool) and expected is not bool:
        accepted = ()
    if not isinstance(value, accepted):
        raise ValueError(
            f"`{field.name}` must be of type {expected.__name__}. Received: {value!r}"
        )
    if expected is float and not math.isfinite(value):
        raise ValueError(f"`{field.name}` must be finite. Received: {value!r}")
    minimum, maximum = field.metadata["minimum"], field.metadata["maximum"]
    choices = field.metadata["choices"]
    if minimum is not None and value < minimum:
        raise ValueError(
            f"`{field.name}` must be at least {minimum}. Received: {value!r}"
        )
    if maximum is not None and value > maximum:
        raise ValueError(
            f"`{field.name}` must be at most {maximum}. Received: {value!r}"
        )
    if choices is not None and value not in choices:
        raise ValueError(
            f"`{field.name}` must be one of {', '.join(map(str, choices))}. "
            f"Received: {value!r}"
        )


@dataclasses.dataclass(frozen=True)
class Label:
    """One kind of label of a data set, by which images are drawn.

    Attributes:
        name: such as hair, label or folder.
        classes: the names of its values.
        shares: of the training images, what part has each; they sum to 1.
    """

    name: str
    classes: tuple[str, ...]
    shares: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The three networks: generator, encoder and critic.

    Raises:
        ValueError: a field is out of range, or two fields do not fit each other.
    """

    image_size: int = _field(
        64, "Height and width of the images, in pixels.", choices=(32, 64, 128)
    )
    image_channels: int = _field(
        3, "Image channels: 1 for grey, 3 for RGB.", choices=(1, 3)
    )
    base_channels: int = _field(
        64,
        "Feature maps at 64x64 (c); each halving of the resolution doubles them.",
        minimum=1,
        maximum=1024,
    )
    attributes: int = _field(
        200,
        "Attributes, the first level's basis functions, per location (V).",
        minimum=1,
        maximum=4096,
    )
    # A seed's noise has 65,536 numbers, of which a normal one takes two, and labels
    # take some too.
    latent_size: int = _field(
        200, "Length of the latent vector z.", minimum=1, maximum=32_000
    )
    location_latents: bool = _field(
        False,
        "Give each of the 16 locations its own part of the latent, read from its own "
        "part of an image, with weights that all locations share; published: one dense "
        "layer mixes all.",
    )
    location_attention: bool = _field(
        False,
        "Let each location learn from a few others, chosen by sparsemax, before its "
        "attributes are made and its part is placed.",
    )
    attribute_keep: float = _field(
        0.1,
        "Fraction of the attributes kept at each location; 1 keeps all (dense).",
        minimum=0.0,
        maximum=1.0,
    )
    spatial_keep: tuple[float, ...] = _field(
        (0.25, 0.25, 1 / 3),
        "Fraction of the positions kept in each feature map, one value for each "
        "sparse level from 8x8 upwards; the last value serves all further levels, "
        "values beyond the last sparse level are unused; 1 keeps all (dense).",
        minimum=0.0,
        maximum=1.0,
    )
    sparsity: tuple[str, ...] = _field(
        ("top_k",),
        "Rule by which a level keeps its activations, one for each sparse level from "
        "the attributes upwards, separated by commas; the last serves all further "
        "levels. top_k is the published one; docs/sparsity.md describes all: "
        f"{', '.join(SPARSITIES)}.",
        choices=SPARSITIES,
    )
    temperature: float = _field(
        1.0,
        "Of soft_top_k, sparsemax, entmax15, sparsestmax, gumbel_top_k and reinforce: "
        "what responses, in the root mean square of their competitors, are divided by.",
        minimum=1e-3,
        maximum=1e3,
    )
    top_p: float = _field(
        0.9,
        "Of top_p: the share of the sum of its positive responses that a level keeps.",
        minimum=0.0,
        maximum=1.0,
    )
    normalizer: str = _field(
        "none",
        "Of the generator's blocks: none (published), or sparse_switchable, which "
        "divides responses by a root mean square over image, channel or group of "
        "images, as it learns (Shao et al. 2019; no means, no biases).",
        choices=("none", "sparse_switchable"),
    )
    gated_blocks: bool = _field(
        False,
        "Let every tile of 4x4 pixels of the blocks from 32x32 on decide whether its "
        "second convolution is computed (Li et al. 2020; docs/gated_blocks.md).",
    )
    placement: str = _field(
        "grid",
        "Of the attributes' parts: grid (published), or free: every location says "
        "where its part is, how large, how present and how deep (docs/placing.md).",
        choices=PLACEMENTS,
    )
    presence: str = _field(
        "soft",
        "Of --placement=free: how a part may be absent, soft (its strength from 0 to "
        "1.14) or hard (there or not, drawn by chance in training).",
        choices=PRESENCES,
    )
    opacity: str = _field(
        "own",
        "Of --placement=free: of the nine taps of a part, own (each location says what "
        "its part hides, and so where it is) or shared (one pattern of all parts).",
        choices=OPACITIES,
    )
    stretch_parts: bool = _field(
        False,
        "Of --placement=free: every location also says how its part is stretched, "
        "along any direction, and sizes are 0.5 to 2 instead of 0.71 to 1.41.",
    )
    background_attributes: int = _field(
        0,
        "Of --placement=free: so many of the attributes are the background's, behind "
        "all parts and the same at all locations.",
        minimum=0,
        maximum=4096,
    )
    stddev_group_size: int = _field(
        10,
        "Images compared by the critic's minibatch standard deviation; the batch of "
        "each replica must be smaller, or a multiple of it.",
        minimum=1,
        maximum=1024,
    )

    discovered_classes: int = _field(
        0,
        "Classes that training finds by itself, as a part of the latent (InfoGAN, Chen "
        "et al. 2016): what is drawn for each must tell it, and the encoder reads it; "
        "0: none.",
        minimum=0,
        maximum=1000,
    )

    # Not a flag: the data say what labels there are, once they are read. Discovered
    # classes are the last of them.
    labels: tuple[Label, ...] = _field((), "", flag=False, resumable=True)

    def __post_init__(self) -> None:
        _check_fields(self)
        if self.image_size == 128 and self.base_channels % 2:
            raise ValueError(
                "`base_channels` must be even for 128-pixel images, whose last block "
                f"has base_channels / 2 feature maps. Received: {self.base_channels}"
            )
        if self.location_latents and self.latent_size % GRID**2:
            raise ValueError(
                f"`latent_size` must be a multiple of {GRID**2} with "
                f"`location_latents`. Received: {self.latent_size}"
            )
        if self.placement == "grid" and (
            self.background_attributes
            or self.presence != "soft"
            or self.opacity != "own"
            or self.stretch_parts
        ):
            raise ValueError(
                "`background_attributes`, `presence` hard, `opacity` shared and "
                f"`stretch_parts` need `placement` free. Received: "
                f"{self.background_attributes}, {self.presence!r}, {self.opacity!r} "
                f"and {self.stretch_parts} on the grid"
            )
        if self.background_attributes > self.attributes - self.attribute_k:
            raise ValueError(
                "`background_attributes` must leave at least the attributes that a "
                f"location keeps, {self.attribute_k} of {self.attributes}. Received: "
                f"{self.background_attributes}"
            )
        if self.discovered_classes == 1:
            raise ValueError("`discovered_classes` must be 0, or at least 2.")
        if self.gated_blocks and self.normalizer != "none":
            raise ValueError(
                "`gated_blocks` needs `normalizer` none: what divides a tile depends "
                f"on those that are skipped. Received: {self.normalizer!r}"
            )
        if not self.sparsity:
            raise ValueError("`sparsity` must name a rule. Received: ()")
        if self.top_p == 0:
            raise ValueError(f"`top_p` must be above 0. Received: {self.top_p}")
        if self.attribute_keep == 0 or 0 in self.spatial_keep:
            raise ValueError(
                "`attribute_keep` and `spatial_keep` must be above 0. Received: "
                f"{self.attribute_keep} and {self.spatial_keep}"
            )

    @property
    def classes(self) -> tuple[int, ...]:
        """How many classes each label has; nothing of a model without labels."""
        return tuple(len(label.classes) for label in self.labels)

    @property
    def given(self) -> tuple[Label, ...]:
        """The labels that images come with: all but the discovered classes."""
        return self.labels[:-1] if self.discovered_classes else self.labels

    @property
    def shares(self) -> tuple[tuple[float, ...], ...]:
        """What part of the images has each class of each label."""
        return tuple(label.shares for label in self.labels)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Output resolution of each generator block: (8, 16, 32, 64) at 64 pixels."""
        blocks = int(math.log2(self.image_size // GRID))
        return tuple(GRID * 2**block for block in range(1, blocks + 1))

    @property
    def widths(self) -> tuple[int, ...]:
        """Feature maps of each generator block: (8c, 4c, 2c, c) at 64 pixels."""
        return tuple(
            int(WIDTHS_IN_BASE_CHANNELS[resolution] * self.base_channels)
            for resolution in self.resolutions
        )

    @property
    def trunk_widths(self) -> tuple[int, ...]:
        """Feature maps of each trunk block, from the image down: (c, 2c, 4c, 8c)."""
        return self.widths[::-1]

    @property
    def trunk_residual_block(self) -> int:
        """Index of the trunk block that has a shortcut: 1 at 64 pixels."""
        return self.resolutions[::-1].index(RESIDUAL_RESOLUTION)

    @property
    def attribute_k(self) -> int:
        """Attributes kept at each location: 20 of 200 in the reference."""
        return _kept(self.attribute_keep, self.attributes)

    @property
    def spatial_k(self) -> tuple[int, ...]:
        """Positions kept in each map of a sparse level: (16, 64, 341) at 64 pixels."""
        fractions = self.spatial_keep
        return tuple(
            _kept(fractions[min(level, len(fractions) - 1)], resolution**2)
            for level, resolution in enumerate(self.resolutions[:-1])
        )


def _kept(fraction: float, total: int) -> int:
    # 0.29 * 100 is 28.999999999999996 in floating point; it means 29.
    return max(1, math.floor(fraction * total + 1e-6))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the images come from, and how they become square.

    Raises:
        ValueError: a field is out of range.
    """

    dataset: str = _field(
        "avatars",
        "avatars or scenes/NAME (drawn on this machine; docs/scenes.md has the names), "
        "folder:PATH (your own images), or the name of a TensorFlow Datasets data set, "
        "such as celeb_a or lsun/bedroom.",
    )
    data_dir: str = _field(
        "",
        "Directory of prepared data sets; empty: TensorFlow Datasets' own "
        "(~/tensorflow_datasets).",
        resumable=True,
    )
    manual_dir: str = _field(
        "",
        "Directory with files downloaded by hand, for data sets that need it.",
        resumable=True,
    )
    max_images: int = _field(
        10_000,
        "Train on the first images only; 0 uses all. 10,000 as published.",
        minimum=0,
    )
    held_out: int = _field(
        500,
        "Images kept out of training, to measure reconstruction on.",
        minimum=1,
        maximum=100_000,
    )
    resize: str = _field(
        "crop",
        "How an image becomes square: crop cuts the centre square, stretch resizes "
        "both sides.",
        choices=("crop", "stretch"),
    )
    resize_filter: str = _field(
        "lanczos",
        "Antialiased resampling filter; the published work uses lanczos.",
        choices=("lanczos", "area"),
    )
    horizontal_flip: bool = _field(
        False, "Mirror every training image with probability one half."
    )

    conditional: bool = _field(
        False,
        "Draw images by their labels: the generator is told them, the critic judges "
        "by them (Miyato and Koyama 2018), and the encoder reads them.",
    )
    label: tuple[str, ...] = _field(
        (),
        "Of --conditional: names of labels, separated by commas, such as "
        "hair,hair_color; of a folder it is folder, the sub-folder. None: the data "
        "set's only one.",
    )
    balanced: bool = _field(
        False,
        "Of --conditional: train on as many images of each class of the first label, "
        "those of rare classes more often.",
    )

    def __post_init__(self) -> None:
        _check_fields(self)
        if (self.label or self.balanced) and not self.conditional:
            raise ValueError("`label` and `balanced` need `conditional`.")
        if len(set(self.label)) < len(self.label):
            raise ValueError(
                f"`label` must name each label once. Received: {','.join(self.label)}"
            )
        if not self.dataset or self.dataset == "folder:":
            raise ValueError(
                "`dataset` must be avatars, scenes/NAME, folder:PATH or the name of a "
                f"TensorFlow Datasets data set. Received: {self.dataset!r}"
            )

    @property
    def public_name(self) -> str:
        """The data set's name, without where a folder is on this machine."""
        kind, colon, path = self.dataset.partition(":")
        if kind != "folder" or not colon:
            return self.dataset
        return f"folder:{pathlib.PurePath(path).name or 'images'}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Objective, optimisation and logging.

    Raises:
        ValueError: a field is out of range, or two fields do not fit each other.
    """

    steps: int = _field(
        100_000,
        "Training steps: critic and generator updates on one batch each.",
        minimum=1,
        resumable=True,
    )
    seconds: float = _field(
        0.0,
        "Stop after this many seconds of training in this session; 0: no limit.",
        minimum=0.0,
        resumable=True,
    )
    batch_size: int = _field(
        50,
        "Images in a batch, over all replicas. 50 to 100 as published.",
        minimum=1,
        maximum=65536,
    )
    critic_steps: int = _field(
        1, "Critic updates for each generator update.", minimum=1, maximum=100
    )
    learning_rate: float = _field(
        7e-4,
        "Adam's learning rate, for both updates.",
        minimum=1e-8,
        maximum=1.0,
        resumable=True,
    )
    beta_1: float = _field(
        0.0, "Adam's decay rate of the first moment.", minimum=0.0, maximum=0.9999
    )
    beta_2: float = _field(
        # As published; WGAN-GP's own paper uses 0.9.
        0.99,
        "Adam's decay rate of the second moment.",
        minimum=0.0,
        maximum=0.99999,
    )
    objective: str = _field(
        "wgan_gp",
        "Adversarial losses: wgan_gp (published), relativistic (pairs of a real image "
        "and a fake), non_saturating or hinge; reconstruction: none, for an "
        "autoencoder in two fifths of the time.",
        choices=(
            "wgan_gp",
            "relativistic",
            "non_saturating",
            "hinge",
            "reconstruction",
        ),
    )
    gradient_penalty_weight: float = _field(
        10.0, "Weight of the critic's gradient penalty, in wgan_gp.", minimum=0.0
    )
    drift_weight: float = _field(
        1e-3,
        "Weight of the critic's squared score of real images, in wgan_gp.",
        minimum=0.0,
    )
    r1_weight: float = _field(
        0.0,
        "Weight of half the critic's squared gradient at real images (R1), with any "
        "objective.",
        minimum=0.0,
    )
    r2_weight: float = _field(0.0, "The same at generated images (R2).", minimum=0.0)
    penalty_interval: int = _field(
        16,
        "Steps between two uses of R1 and R2, which count as much more (lazy); "
        "metrics.jsonl has zeros for them at other steps.",
        minimum=1,
        maximum=1024,
    )
    latents: str = _field(
        "uniform",
        "What generated images are drawn from: uniform (published), or posterior, a "
        "Gaussian that follows atanh of the encoder's latents.",
        choices=("uniform", "posterior"),
    )
    leak_steps: int = _field(
        0,
        "Steps over which what the selections leave out fades from whole to nothing; "
        "0: they select from the first step on, as published.",
        minimum=0,
    )
    anneal_steps: int = _field(
        0,
        "Steps over which a rule begins mildly: k falls from all (top_k, "
        "straight_through, batch_top_k), the temperature from --heat times its value, "
        "top_p's share from 1, sparsestmax's radius rises from 0; 0: none.",
        minimum=0,
    )
    orthogonal_weight: float = _field(
        0.0,
        "Weight of the squared cosines between filters of the generator, so that none "
        "are alike (Brock et al. 2019); 0: none, as published.",
        minimum=0.0,
    )
    label_weight: float = _field(
        1.0,
        "Weight of the encoder's cross entropy in reading labels and discovered "
        "classes.",
        minimum=0.0,
    )
    information_weight: float = _field(
        1.0,
        "Weight of the mutual information between discovered classes and images, in "
        "the critic's and in the generator's loss.",
        minimum=0.0,
    )
    heat: float = _field(
        10.0,
        "Factor on the temperature where annealing begins.",
        minimum=1.0,
        maximum=1e3,
    )
    normalizer_steps: int = _field(
        0,
        "Steps over which a sparse_switchable normaliser settles for one statistic; "
        "0: it may mix them.",
        minimum=0,
    )
    l1_weight: float = _field(
        0.1,
        "Weight of the mean absolute code, summed over the levels with the rule l1.",
        minimum=0.0,
    )
    reinforce_weight: float = _field(
        1.0,
        "Weight of the score-function gradient of the rule reinforce; at 1 the "
        "gradient of the expected loss is unbiased, and noisy, where an image's loss "
        "is its own (of fakes: --stddev_group_size=1).",
        minimum=0.0,
    )
    cooldown_steps: int = _field(
        0,
        "Steps before --steps over which the learning rate falls to zero; 0: it is "
        "constant, as published.",
        minimum=0,
    )
    augment: tuple[str, ...] = _field(
        (),
        "What is changed at random of all that the critic sees, for small data sets "
        "(Zhao et al. 2020): color, translation, cutout, separated by commas.",
        choices=("color", "translation", "cutout"),
    )
    init_from: str = _field(
        "",
        "Run directory whose networks training begins with, such as "
        "pretrained/avatars64; the shapes must be equal.",
    )
    reconstruction_weight: float = _field(
        0.1,
        "Weight of the squared error summed over pixels and channels.",
        minimum=0.0,
    )
    revival_weight: float = _field(
        0.0,
        "Weight of what attributes lack to be selected, summed over those that fewer "
        "than one image in 500 uses; 0: none, as published.",
        minimum=0.0,
    )
    placing_jitter: float = _field(
        0.5,
        "Of --placement=free: cells of the 8x8 map by which the parts of generated "
        "images are shifted at random, at most, before the critic sees them.",
        minimum=0.0,
        maximum=1.5,
    )
    placing_shift: float = _field(
        0.0,
        "Of --placement=free: cells of the 8x8 map by which images are shifted at "
        "most, rounded down to pixels, and the parts that shall reconstruct them with "
        "them.",
        minimum=0.0,
        maximum=1.0,
    )
    placing_steps: int = _field(
        1000,
        "Of --placement=free: steps before parts begin to leave the grid.",
        minimum=0,
    )
    position_weight: float = _field(
        1e-3,
        "Of --placement=free: weight of the mean squared position, in cells.",
        minimum=0.0,
    )
    presence_target: float = _field(
        0.0,
        "Of --placement=free: what the mean presence of a location shall be, such as "
        "the objects of a scene over 16; 0: anything.",
        minimum=0.0,
        maximum=1.0,
    )
    presence_weight: float = _field(
        1.0,
        "Of --presence_target: weight of the squared difference to it.",
        minimum=0.0,
    )
    presence_steps: int = _field(
        0,
        "Of --presence_target: steps, from --placing_steps on, over which that weight "
        "grows to its full value; with --presence=hard, over which chance decides less "
        "and less which parts are there.",
        minimum=0,
    )
    background_weight: float = _field(
        0.0,
        "Of --background_attributes: weight of the mean absolute difference between "
        "images and the background alone, so that it is none of what parts draw.",
        minimum=0.0,
    )
    block_budget: float = _field(
        0.1,
        "Of --gated_blocks: what share of the multiply-adds that they may skip shall "
        "be done, each counted as far as its tile is open.",
        minimum=0.0,
        maximum=1.0,
    )
    block_budget_weight: float = _field(
        0.8,
        "Of --gated_blocks: weight of the squared difference to --block_budget, from "
        "40 % of the steps on.",
        minimum=0.0,
    )
    ema_decay: float = _field(
        0.0,
        "Decay of a moving average of the generator's weights, used for sampling; "
        "0: none, as published.",
        minimum=0.0,
        maximum=0.99999,
    )
    precision: str = _field(
        "float32",
        "Arithmetic of the networks; bfloat16 keeps float32 variables and losses.",
        choices=("float32", "bfloat16"),
    )
    execution: str = _field(
        "fast",
        "fast: the exact rewrites that skip zeros; reference: the plain formulas. "
        "Same values, same checkpoints.",
        choices=("fast", "reference"),
        resumable=True,
    )
    recompute: bool = _field(
        False,
        "Compute inner values of the blocks again in the backward pass: less memory, "
        "more time, same values.",
        resumable=True,
    )
    replicas: int = _field(
        0,
        "Devices to train on; 0: every GPU, or the CPU as one. Results do not depend "
        "on it where each gets whole groups of --stddev_group_size.",
        minimum=0,
        maximum=1024,
        resumable=True,
    )
    seed: int = _field(
        0,
        "Seed of initial weights, order of the data and noise.",
        minimum=0,
        maximum=2**31 - 1,
    )
    log_every: int = _field(
        20, "Steps between lines of metrics.jsonl.", minimum=1, resumable=True
    )
    image_every: int = _field(
        500, "Steps between image grids.", minimum=1, resumable=True
    )
    checkpoint_every: int = _field(
        500, "Steps between checkpoints.", minimum=1, resumable=True
    )
    checkpoint_minutes: float = _field(
        15.0,
        "Minutes after which one is saved at the latest; 0: steps alone decide.",
        minimum=0.0,
        resumable=True,
    )

    def __post_init__(self) -> None:
        _check_fields(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """One experiment: what `config.json` of a run directory holds.

    Raises:
        ValueError: the batch cannot be divided among replicas or groups, classes
            shall be discovered without a critic, images be shifted by less than a
            pixel, or a background is weighed that there is not.
    """

    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        if self.train.objective == "reconstruction" and self.model.discovered_classes:
            raise ValueError(
                "`discovered_classes` needs a critic, which `objective` "
                "reconstruction does not train."
            )
        if self.train.background_weight and not self.model.background_attributes:
            raise ValueError(
                "`background_weight` needs `background_attributes`. Received: "
                f"{self.train.background_weight} and no background"
            )
        pixels = self.train.placing_shift * self.model.image_size / 8
        if 0 < pixels < 1:
            raise ValueError(
                "`placing_shift` must be 0 or a pixel at least, which is "
                f"{8 / self.model.image_size:g} of a cell. "
                f"Received: {self.train.placing_shift}"
            )
        check_batch(self, max(1, self.train.replicas))

    def sections(self) -> Iterator[tuple[str, Any]]:
        """The (name, dataclass) pairs, in order: model, data, train."""
        for field in dataclasses.fields(self):
            yield field.name, getattr(self, field.name)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Nested dictionary of plain values, for `json.dump`."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, values: dict[str, dict[str, Any]]) -> "ExperimentConfig":
        """The inverse of `to_json`; raises ValueError on unknown names."""
        return cls(
            model=_from_mapping(ModelConfig, values.get("model", {})),
            data=_from_mapping(DataConfig, values.get("data", {})),
            train=_from_mapping(TrainConfig, values.get("train", {})),
        )


def check_batch(config: ExperimentConfig, replicas: int) -> None:
    """Raises ValueError unless `replicas` can share the batch in equal parts."""
    batch, group = config.train.batch_size, config.model.stddev_group_size
    shared = replicas * group
    next_one = f"The next that does is {-(-batch // shared) * shared}."
    if batch % replicas:
        raise ValueError(
            f"`batch_size` must be a multiple of the {replicas} replicas. "
            f"Received: {batch}. {next_one}"
        )
    local = batch // replicas
    if local > group and local % group:
        raise ValueError(
            f"`batch_size` must give each of {replicas} replica(s) a multiple of "
            f"stddev_group_size={group} images. Received: {batch}, which gives "
            f"{local}. {next_one}"
        )


def differences(old: ExperimentConfig, new: ExperimentConfig) -> list[str]:
    """What forbids resuming `old` as `new`: lines such as `seed: 0 -> 1`."""
    lines = []
    for (_, before), (_, after) in zip(old.sections(), new.sections(), strict=True):
        for field in dataclasses.fields(before):
            values = getattr(before, field.name), getattr(after, field.name)
            if values[0] != values[1] and not field.metadata["resumable"]:
                lines.append(f"{field.name}: {values[0]} -> {values[1]}")
    return lines


def read(path: str | pathlib.Path) -> ExperimentConfig:
    """Reads the `config.json` of a run directory.

    Raises:
        ValueError: not a configuration that this version understands.
        OSError: the file cannot be read.
    """
    try:
        return ExperimentConfig.from_json(json.loads(pathlib.Path(path).read_text()))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a valid configuration: {error}") from error


def _from_mapping(kind: type[Config], values: dict[str, Any]) -> Config:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ValueError(f"unknown field(s) {', '.join(unknown)}")
    return kind(
        **{
            name: _from_plain(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
    )


def _from_plain(values: list[Any]) -> tuple[Any, ...]:
    """Labels are the only lists of mappings."""
    return tuple(
        Label(value["name"], tuple(value["classes"]), tuple(value["shares"]))
        if isinstance(value, dict)
        else value
        for value in values
    )
