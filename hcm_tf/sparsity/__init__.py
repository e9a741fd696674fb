"""Which activations of a level stay: the rules of selection, and what they return.

A file holds one idea: `top_k` (published), `gate` (what a rule returns), `simplex`
(projections), `sampling` (selection by chance), `rules` (all of them by name).
"""

from hcm_tf.sparsity.gate import Tensor, keep, leaky, straight_through
from hcm_tf.sparsity.top_k import (
    Select,
    channel_top_k_mask,
    kth_largest,
    spatial_top_k_mask,
    top_k_mask,
)

__all__ = [
    "Select",
    "Tensor",
    "channel_top_k_mask",
    "keep",
    "kth_largest",
    "leaky",
    "spatial_top_k_mask",
    "straight_through",
    "top_k_mask",
]
