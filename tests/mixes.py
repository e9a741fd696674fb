"""Every rule of selection once, a level each: three sparse levels at 32 pixels."""

MIXES = [
    ("soft_top_k", "sparsemax", "entmax15"),
    ("sparsestmax", "top_p", "batch_top_k"),
    ("batch_top_k", "gumbel_top_k", "reinforce"),
    ("l1", "straight_through", "soft_top_k"),
]
IDS = ["-".join(mix) for mix in MIXES]
