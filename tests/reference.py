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


def patch(attributes: np.ndarray, dictionary: np.ndarray) -> np.ndarray:
    """What one location draws: `(V,)` and `(V, 3, 3, F)` -> `(4, 4, F)`.

    Its cell, upsampled to 2 x 2 pixels, convolved as far as that reaches.
    """
    kernel = np.moveaxis(dictionary, 0, 2)
    alone = np.zeros((1, 6, 6, len(attributes)))
    alone[:, 2:4, 2:4] = attributes
    return convolve(alone, kernel)[0, 1:5, 1:5]


def hat(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def place_freely(
    attributes: np.ndarray, dictionary: np.ndarray, placing, background: int = 0
) -> np.ndarray:
    """Each location's patch moved, stretched, and hidden by those in front of it.

    Args:
        attributes: `(batch, 4, 4, V)`.
        dictionary: `(16, V, 3, 3, F)`.
        placing: as `operations.placing.Placing`.
        background: so many attributes, the first, stay at home, behind all the others.
    """
    batch, side = attributes.shape[:2]
    size, filters = 2 * side, dictionary.shape[-1]
    image = np.zeros((batch, size, size, filters))
    for b in range(batch):
        drawn = np.zeros((side * side, size, size, filters))
        covered = np.zeros((side * side, size, size))
        for number in range(side * side):
            home = 2 * np.array(divmod(number, side)) + 0.5
            one, two = placing.stretch[b, number]
            axes = np.eye(2) + np.array([[one, two], [two, -one]])
            axes *= placing.scale[b, number] / np.sqrt(np.linalg.det(axes))
            values = attributes[b].reshape(side * side, -1)[number, background:]
            own = patch(values, dictionary[number, background:])
            # Opacity is drawn as a map of one more feature would be.
            thick = np.zeros((1, 3, 3, 1))
            thick[0, :, :, 0] = placing.opacity[b, number].reshape(3, 3)
            thick = patch(np.ones(1), thick)[..., 0]
            for i in range(size):
                for k in range(size):
                    away = np.array([i, k]) - home - placing.position[b, number]
                    y, x = np.linalg.solve(axes, away) + 1.5
                    for j in range(4):
                        for m in range(4):
                            weight = (
                                placing.presence[b, number] * hat(y - j) * hat(x - m)
                            )
                            drawn[number, i, k] += weight * own[j, m]
                            covered[number, i, k] += weight * thick[j, m]
        covered = np.clip(covered, 0, 1)
        for number in range(side * side):
            left = np.ones((size, size))
            for other in range(side * side):
                if other != number:
                    nearer = placing.depth[b, other] - placing.depth[b, number]
                    left *= 1 - covered[other] / (1 + np.exp(-nearer / 0.25))
            image[b] += left[..., None] * drawn[number]
        behind = np.zeros((size + 2, size + 2, filters))
        for number in range(side * side):
            row, column = 2 * np.array(divmod(number, side))
            values = attributes[b].reshape(side * side, -1)[number, :background]
            own = patch(values, dictionary[number, :background])
            behind[row : row + 4, column : column + 4] += own
        image[b] += np.prod(1 - covered, axis=0)[..., None] * behind[1:-1, 1:-1]
    return image


def skip_tiles(hidden: np.ndarray, kernel: np.ndarray, numbers: np.ndarray) -> tuple:
    """Tile by tile: kept where its gate is closed, otherwise mixed with what is drawn.

    Args:
        hidden: `(batch, n, n, C)`.
        kernel: `(3, 3, C, C)`.
        numbers: `(batch, n / 4, n / 4, 1)`, of which the gates are made.

    Returns:
        The map, and the multiply-adds of the convolutions of each image.
    """
    drawn = np.maximum(convolve(hidden, kernel), 0)
    y, macs = hidden.copy(), np.zeros(len(hidden), int)
    for b, i, j, _ in np.ndindex(numbers.shape):
        gate = np.tanh(numbers[b, i, j, 0])
        if gate <= 0:
            continue
        share = min(1.0, gate / np.tanh(1.5))
        for row in range(4 * i, 4 * i + 4):
            for column in range(4 * j, 4 * j + 4):
                own, new = hidden[b, row, column], drawn[b, row, column]
                y[b, row, column] = own + share * (new - own)
                macs[b] += kernel.size
    return y, macs
