"""Every rule of selection once, a level each: three sparse levels at 32 pixels.

The last mix has normalised blocks too. Values of a model's configuration.
"""

MIXES = [
    {"sparsity": ("soft_top_k", "sparsemax", "entmax15")},
    {"sparsity": ("sparsestmax", "top_p", "batch_top_k")},
    {"sparsity": ("batch_top_k", "gumbel_top_k", "reinforce")},
    {
        "sparsity": ("l1", "straight_through", "soft_top_k"),
        "normalizer": "sparse_switchable",
    },
]
IDS = ["-".join(mix["sparsity"]) for mix in MIXES]
