"""The rules of selection by name: each turns responses into a gate.

| name | keeps | the gradient reaches |
|---|---|---|
| top_k | what reaches the k-th largest (Xing et al. 2020) | what is kept |
| dense | everything: the control | everything |
| l1 | everything; training adds the mean of the codes to the loss | everything |
| straight_through | as top_k | everything, as if it were kept |
| soft_top_k | shares of at most 1 that sum to k | the shares too |
| sparsemax, entmax15 | shares that sum to k, and may exceed 1 | the shares too |
| sparsestmax | the same, no nearer to all equal than k ones are | the shares too |
| gumbel_top_k | k of noisy scores; when sampling the k largest | everything |
| reinforce | the same | kept values, and the chance to be kept |
| batch_top_k | k for an image, on average over a group of images | what is kept |
| top_p | the largest that make up a share p of the sum | what is kept |

Shares come from projections of responses, measured in the root mean square of their
competitors and divided by `temperature`; they sum to k, so that they leave a level as
large as k gates of 1 do. All rules compare along one axis.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import ops

from hcm_tf.sparsity import sampling, simplex
from hcm_tf.sparsity.gate import Tensor, straight_through
from hcm_tf.sparsity.top_k import Select, kth_largest, top_k_mask


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """Where training stands, in what a level's rule must know; None when sampling.

    No tuple: Keras would look into one for tensors, and cast them to half precision.

    Attributes:
        leak: share that unselected activations keep, see `gate.leaky`; None: nothing.
        progress: of annealing, a scalar from 0 to 1; None: it is over.
        heat: factor on the temperature; None: 1.
        noise: uniform in [0, 1), `(batch, height, width, channels)`, for a rule that
            draws; None: it takes what is most probable.
        group: images that compete in `batch_top_k`, or are normalised together; image
            i is of the group i modulo (batch / group), as in the critic's statistic.
        radius: of the shares of a normaliser's statistics.
    """

    leak: Tensor | None = None
    progress: Tensor | None = None
    heat: Tensor | None = None
    noise: Tensor | None = None
    group: int | None = None
    radius: Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Options:
    """What rules may be told beside k.

    Attributes:
        temperature: of scores. Towards 0 the gates of soft_top_k are those of top-k;
            the other shares go to one competitor alone.
        p: of top_p.
    """

    temperature: float = 1.0
    p: float = 0.9


class Competition(NamedTuple):
    """Responses, and what a rule decides by.

    Attributes:
        x: the responses.
        k: how many are to be kept, of those along the axis.
        axis: along which they compete.
        options: of the level.
        stage: of training.
        select: returns the k-th largest value along an axis.
        threshold: of batch_top_k, when it does not see a group.
    """

    x: Tensor
    k: int
    axis: int
    options: Options = Options()
    stage: Stage = Stage()
    select: Select = kth_largest
    threshold: Tensor | None = None

    @property
    def count(self) -> int:
        """Competitors."""
        return self.x.shape[self.axis]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One way to be sparse.

    Attributes:
        gate: of a competition: boolean, or floating point of the dtype of x.
        bounded: no more than k gates of the competitors are not 0, ties aside.
        sized: k says how much is kept, be it on average.
        whole: a value is kept or left out whole, so that rounding can decide it; other
            gates change with the responses gradually, if at all.
        noisy: draws in training, from `Stage.noise`.
        term: what training needs beside the image: "l1", "reinforce", "threshold".
    """

    gate: Callable[[Competition], Tensor]
    bounded: bool = False
    sized: bool = True
    whole: bool = True
    noisy: bool = False
    term: str = ""


def kth_score(one: Competition) -> Tensor:
    """The response that must be reached; during annealing of a growing selection.

    k falls from all competitors to its value, by equal factors: k n^(1 - progress) for
    n = count / k.
    """

    def final() -> Tensor:
        return one.select(one.x, one.k, one.axis)

    def annealed() -> Tensor:
        widened = one.k * ops.power(
            ops.cast(one.count / one.k, "float32"), 1 - one.stage.progress
        )
        rank = ops.cast(ops.floor(widened + 1e-3), "int32")
        ordered = ops.top_k(ops.moveaxis(one.x, one.axis, -1), one.count)[0]
        found = ops.take(ordered, ops.reshape(rank - 1, (1,)), axis=-1)
        return ops.moveaxis(found, -1, one.axis)

    if one.stage.progress is None:
        return final()
    return ops.cond(one.stage.progress < 1, annealed, final)


def _everything(one: Competition) -> Tensor:
    return ops.ones_like(one.x, dtype="bool")


def _top_k(one: Competition) -> Tensor:
    if one.k == one.count or one.stage.progress is None:
        return top_k_mask(one.x, one.k, one.axis, one.select)
    return one.x >= kth_score(one)


def _straight_through(one: Competition) -> Tensor:
    return straight_through(_top_k(one), one.x)


def _soft_top_k(one: Competition) -> Tensor:
    return _shares(one, lambda z: simplex.capped_simplex(z, one.k))


def _sparsemax(one: Competition) -> Tensor:
    # k times the shares of z / k is the projection of z on shares that sum to k.
    return _shares(one, lambda z: one.k * simplex.sparsemax(z / one.k))


def _entmax15(one: Competition) -> Tensor:
    return _shares(one, lambda z: one.k * simplex.entmax15(z * (2 / math.sqrt(one.k))))


def _sparsestmax(one: Competition) -> Tensor:
    # k equal shares are that far from the centre: nothing on the circle has fewer.
    radius = math.sqrt(max(1 / one.k - 1 / one.count, 0.0))
    if one.stage.progress is not None:
        radius = radius * ops.cast(one.stage.progress, _wide(one.x.dtype))
    return _shares(one, lambda z: one.k * simplex.sparsestmax(z / one.k, radius))


def _gumbel_top_k(one: Competition) -> Tensor:
    return straight_through(_drawn(one), one.x)


def _drawn(one: Competition) -> Tensor:
    if one.stage.noise is None or one.k == one.count:
        return _top_k(one)
    noisy = sampling.perturbed(scores(one), one.stage.noise)
    # Annealing is the temperature's, not k's.
    return noisy >= one.select(noisy, one.k, one.axis)


def _batch_top_k(one: Competition) -> Tensor:
    if one.k == one.count:
        return _everything(one)
    if one.stage.group is None:
        return one.x >= one.threshold
    return one.x >= group_threshold(one)


def group_threshold(one: Competition) -> Tensor:
    """What the group's k-th largest response is, for each image: `(batch, ...)`.

    Bussmann et al. 2024, "BatchTopK sparse autoencoders": the images of a group share
    their places. `k` is that of one image.
    """
    batch, *rest = one.x.shape
    group = min(one.stage.group, batch)
    axis = one.axis % len(one.x.shape)
    x = ops.reshape(one.x, (group, batch // group, *rest))
    x = ops.moveaxis(x, 0, axis)  # In front of the competitors.
    shape = [batch // group, *rest]
    shape[axis] *= group
    together = one._replace(x=ops.reshape(x, shape), k=one.k * group, axis=axis)
    threshold = kth_score(together)
    return ops.tile(threshold, (group, *[1] * len(rest)))


def _top_p(one: Competition) -> Tensor:
    x = ops.moveaxis(ops.relu(ops.stop_gradient(one.x)), one.axis, -1)
    x = ops.cast(x, _wide(x.dtype))
    ordered = ops.top_k(x, one.count)[0]
    p = ops.cast(one.options.p, x.dtype)
    if one.stage.progress is not None:
        p = 1 - (1 - p) * ops.cast(one.stage.progress, x.dtype)
    total = ops.sum(x, axis=-1, keepdims=True)
    # Kept as long as what is larger does not make up the share yet.
    before = ops.cumsum(ordered, axis=-1) - ordered
    count = ops.sum(ops.cast(before < p * total, "int32"), axis=-1, keepdims=True)
    last = ops.take_along_axis(ordered, ops.maximum(count - 1, 0), axis=-1)
    return one.x >= ops.cast(ops.moveaxis(last, -1, one.axis), one.x.dtype)


def _wide(dtype: str) -> str:
    """What is ranked and summed in: bfloat16 counts to 256, and adds up no more."""
    return keras.backend.result_type(dtype, "float32")


def scores(one: Competition) -> Tensor:
    """Responses in the root mean square of their competitors, over the temperature.

    In single precision at least, as all that is made of them.
    """
    x = ops.cast(one.x, _wide(one.x.dtype))
    square = ops.mean(x**2, axis=one.axis, keepdims=True)
    unit = ops.sqrt(square + 1e-8) * one.options.temperature
    if one.stage.heat is not None:
        unit = unit * ops.cast(one.stage.heat, x.dtype)
    return x / unit


def log_probability(one: Competition) -> Tensor:
    """Logarithm of the chance of what was drawn, of every competition: `(...)`.

    Its gradient goes to the responses. Of shape of x but for the axis.
    """
    chance = ops.moveaxis(scores(one), one.axis, -1)
    noise = ops.moveaxis(one.stage.noise, one.axis, -1)
    order = ops.top_k(sampling.perturbed(ops.stop_gradient(chance), noise), one.count)
    return sampling.log_probability(chance, order[1], one.k)


def _shares(one: Competition, project: Callable[[Tensor], Tensor]) -> Tensor:
    if one.k == one.count:  # Dense, as of every rule that has a k.
        return ops.ones_like(one.x)
    z = ops.moveaxis(scores(one), one.axis, -1)
    return ops.cast(ops.moveaxis(project(z), -1, one.axis), one.x.dtype)


RULES = {
    "top_k": Rule(_top_k, bounded=True),
    "dense": Rule(_everything, sized=False, whole=False),
    "l1": Rule(_everything, sized=False, whole=False, term="l1"),
    "straight_through": Rule(_straight_through, bounded=True),
    "soft_top_k": Rule(_soft_top_k, whole=False),
    "sparsemax": Rule(_sparsemax, whole=False),
    "entmax15": Rule(_entmax15, whole=False),
    "sparsestmax": Rule(_sparsestmax, whole=False),
    "gumbel_top_k": Rule(_gumbel_top_k, bounded=True, noisy=True),
    "reinforce": Rule(_drawn, bounded=True, noisy=True, term="reinforce"),
    "batch_top_k": Rule(_batch_top_k, term="threshold"),
    "top_p": Rule(_top_p, sized=False),
}
