"""Hierarchical compositional model by sparsifying a generator network, in Keras.

Xing, Wu, Zhu, Wu, *Inducing Hierarchical Compositional Model by Sparsifying Generator
Network*, CVPR 2020. The public face:

    run = hcm_tf.load("runs/quickstart")     # networks of a trained run
    images = run.sample(64, seed=0)          # float32 (64, 64, 64, 3), in [-1, 1]
    trace = run.generator.trace(latents)     # codes and gates of every level
    hcm_tf.ChannelTopK(k), hcm_tf.SpatialTopK(k)  # layers for a decoder of your own
"""

import importlib
from typing import TYPE_CHECKING, Any

from hcm_tf.startup import load_tensorflow
from hcm_tf.version import __version__

if TYPE_CHECKING:
    from hcm_tf.layers import (
        ChannelSelection,
        ChannelTopK,
        SpatialSelection,
        SpatialTopK,
    )
    from hcm_tf.networks import Critic, Encoder, Generator
    from hcm_tf.runs.checkpoint import Run, load

__all__ = [
    "ChannelSelection",
    "ChannelTopK",
    "Critic",
    "Encoder",
    "Generator",
    "Run",
    "SpatialSelection",
    "SpatialTopK",
    "__version__",
    "load",
]

# TensorFlow takes seconds to load: a name brings its module when it is first used.
_HOMES = {
    "ChannelSelection": "hcm_tf.layers",
    "ChannelTopK": "hcm_tf.layers",
    "SpatialSelection": "hcm_tf.layers",
    "SpatialTopK": "hcm_tf.layers",
    "Critic": "hcm_tf.networks",
    "Encoder": "hcm_tf.networks",
    "Generator": "hcm_tf.networks",
    "Run": "hcm_tf.runs.checkpoint",
    "load": "hcm_tf.runs.checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hcm_tf' has no attribute {name!r}")
    load_tensorflow()
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
