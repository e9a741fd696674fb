"""Keras layers of the three networks."""

from hcm_tf.layers.attention import LocationAttention
from hcm_tf.layers.equalized import (
    RELU_GAIN,
    EqualizedConv2D,
    EqualizedDense,
    PlacedConv2D,
    UpsampledConv2D,
    ZeroConv2D,
)
from hcm_tf.layers.minibatch_stddev import MinibatchStddev
from hcm_tf.layers.normalization import SparseSwitchableNormalization
from hcm_tf.layers.placing import PlacingConv2D
from hcm_tf.layers.selection import (
    ChannelSelection,
    ChannelTopK,
    SpatialSelection,
    SpatialTopK,
)
from hcm_tf.layers.tile_gate import TileGate

__all__ = [
    "RELU_GAIN",
    "ChannelSelection",
    "ChannelTopK",
    "EqualizedConv2D",
    "EqualizedDense",
    "LocationAttention",
    "MinibatchStddev",
    "PlacedConv2D",
    "PlacingConv2D",
    "SparseSwitchableNormalization",
    "SpatialSelection",
    "SpatialTopK",
    "TileGate",
    "UpsampledConv2D",
    "ZeroConv2D",
]
