"""The slow, obvious NumPy oracle: loops over what the layers do at once."""

import numpy as np


def top_k(values: np.ndarray, k: int) -> np.ndarray:
    """`values[values < sorted(values)[-k]] = 0`, of one group of competitors."""
    kept = values.copy()
    kept[values < np.sort(values)[-k]] = 0
    return kept


def channel_top_k(x: np.ndarray, k: int) -> np.ndarray:
    y = np.empty_like(x)
    for index in np.ndindex(x.shape[:-1]):
        y[index] = top_k(x[index], k)
    return y


def spatial_top_k(x: np.ndarray, k: int) -> np.ndarray:
    y = np.empty_like(x)
    batch, height, width, channels = x.shape
    for b in range(batch):
        for c in range(channels):
            y[b, :, :, c] = top_k(x[b, :, :, c].ravel(), k).reshape(height, width)
    return y


def place(attributes: np.ndarray) -> np.ndarray:
    batch, height, width, count = attributes.shape
    placed = np.zeros((batch, height, width, count * height * width), attributes.dtype)
    for i in range(height):
        for j in range(width):
            for v in range(count):
                location = i * width + j
                placed[:, i, j, v * height * width + location] = attributes[:, i, j, v]
    return placed


def upsample(x: np.ndarray) -> np.ndarray:
    return x.repeat(2, axis=1).repeat(2, axis=2)


def convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    batch, height, width, _ = x.shape
    size = kernel.shape[0]
    margin = size // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    y = np.zeros((batch, height, width, kernel.shape[-1]), x.dtype)
    for i in range(height):
        for j in range(width):
            window = padded[:, i : i + size, j : j + size, :]
            y[:, i, j] = np.einsum("brsc,rscf->bf", window, kernel)
    return y


def minibatch_stddev(x: np.ndarray, group_size: int) -> np.ndarray:
    batch = len(x)
    group = min(group_size, batch)
    groups = batch // group
    y = np.zeros((*x.shape[:-1], 1), x.dtype)
    for g in range(groups):
        members = [i for i in range(batch) if i % groups == g]
        deviation = np.sqrt(np.var(x[members], axis=0) + 1e-8)
        y[members] = deviation.mean()
    return np.concatenate([x, y], axis=-1)


def sparsemax(z: np.ndarray) -> np.ndarray:
    """Martins and Astudillo 2016, algorithm 1, of one row."""
    descending = np.sort(z)[::-1]
    ranks = np.arange(1, len(z) + 1)
    size = np.sum(1 + ranks * descending > np.cumsum(descending))
    return np.maximum(z - (descending[:size].sum() - 1) / size, 0)


def sparsestmax(z: np.ndarray, radius: float) -> np.ndarray:
    """Shao et al. 2019, algorithm 1, repeated until no share is negative."""
    centre = np.full(len(z), 1 / len(z))
    share = sparsemax(z)
    distance = np.linalg.norm(share - centre)
    if distance >= radius:
        return share
    share = centre + radius * (share - centre) / distance
    while (share < 0).any():
        projected = sparsemax(share)
        face = projected > 0
        own = np.where(face, 1 / face.sum(), 0)
        left = np.sqrt(radius**2 - np.sum((own - centre) ** 2))
        share = own + left * (projected - own) / np.linalg.norm(projected - own)
    return share
