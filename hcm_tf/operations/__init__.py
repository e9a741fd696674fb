"""The costly operations of the networks: the plain formulas, and fast forms of them.

Networks are built without knowing how they will be computed. Each way is a row of
EXECUTIONS, and `apply` sets it, with recomputation, in every layer of a network. All of
them give the same values:

* "reference": the formulas as published;
* "fast": exact rewrites that skip zeros (default); they need TensorFlow for all their
  speed, and do on another backend what Keras alone can express;
* "device": the same in operations that TensorFlow Lite has built in, and that other
  runtimes can read;
* "skipping": as "fast", and gated tiles that are closed are not computed. Made for
  sampling; without gated blocks it is "fast".

A file holds one idea: `placement` (with `active_rows`), `placing`, `upsampling`, the
selection by `partition` and `bisection`, `convolution` (with `winograd`), `activation`,
`tiles` (with `skipping`), `recomputation`.
"""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import keras
from keras import ops

from hcm_tf.operations import bisection, placement, tiles, upsampling
from hcm_tf.sparsity import Select, Tensor, kth_largest

Network = TypeVar("Network", bound=keras.layers.Layer)


@dataclasses.dataclass(frozen=True)
class Execution:
    """One way to compute the networks.

    Attributes:
        place_convolve: `(attributes, dictionary, most, placed)`, see `placement`.
        upsample_convolve: `(x, kernel)`, see `upsampling.upsample_convolve`.
        convolve: `(x, kernel)`, see `upsampling.convolve`.
        compose_tiles: `(hidden, kernel, gates)`, see `tiles.plainly`.
        select: `(x, k, axis)`, see `sparsity.kth_largest`.
        leaky_relu: `(x, negative_slope)` -> max(x, negative_slope * x).
    """

    place_convolve: Callable[[Tensor, Tensor, int | None, Tensor | None], Tensor]
    upsample_convolve: Callable[[Tensor, Tensor], Tensor]
    convolve: Callable[[Tensor, Tensor], Tensor]
    compose_tiles: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
    select: Select
    leaky_relu: Callable[[Tensor, float], Tensor]


def leaky_relu(x: Tensor, negative_slope: float) -> Tensor:
    """max(x, `negative_slope` * x)."""
    return ops.leaky_relu(x, negative_slope=negative_slope)


REFERENCE = Execution(
    place_convolve=placement.place_convolve,
    upsample_convolve=upsampling.upsample_convolve,
    convolve=upsampling.convolve,
    compose_tiles=tiles.plainly(upsampling.convolve),
    select=kth_largest,
    leaky_relu=leaky_relu,
)
FAST = dataclasses.replace(
    REFERENCE,
    place_convolve=placement.place_convolve_by_dictionary,
    upsample_convolve=upsampling.upsample_convolve_by_boxes,
)
DEVICE = dataclasses.replace(
    FAST,
    place_convolve=placement.place_convolve_by_gathered_rows,
    select=bisection.kth_largest,
)
if keras.backend.backend() == "tensorflow":
    from hcm_tf.operations import activation, active_rows, convolution, partition
    from hcm_tf.operations import skipping as skipping_tiles

    FAST = dataclasses.replace(
        FAST,
        place_convolve=active_rows.place_convolve,
        convolve=convolution.convolve_any,
        compose_tiles=tiles.plainly(convolution.convolve_any),
        select=partition.kth_largest,
        leaky_relu=activation.leaky_relu,
    )
    SKIPPING = dataclasses.replace(FAST, compose_tiles=skipping_tiles.compose)
else:
    SKIPPING = FAST
EXECUTIONS = {
    "reference": REFERENCE,
    "fast": FAST,
    "device": DEVICE,
    "skipping": SKIPPING,
}


def apply(
    network: Network, execution: str = "fast", *, recompute: bool = False
) -> Network:
    """Sets how every layer of a network computes; returns the network.

    Call it before the network is traced.

    Args:
        network: built or not.
        execution: a name of EXECUTIONS.
        recompute: blocks compute again what their gradients need, to save memory.

    Raises:
        ValueError: no such execution.
    """
    if execution not in EXECUTIONS:
        raise ValueError(
            f"`execution` must be one of {', '.join(EXECUTIONS)}. "
            f"Received: {execution!r}"
        )
    # Not public in Keras, which has no other way to reach the layers of a layer.
    for layer in network._flatten_layers():
        if hasattr(layer, "execution"):
            layer.execution = EXECUTIONS[execution]
        if hasattr(layer, "recompute"):
            layer.recompute = recompute
    return network
