"""Whether units mean parts: pairs chosen on some test faces, scored on others.

A unit is one basis function at one position of a level. For every part the unit is
chosen whose pictures overlap it best over one half of the faces (mean area under the
ROC curve), and scored on the other half, where it is active. Beside it stand the same
unit's picture in another face, and the part's average place in the first half: what
overlap needs no unit that follows the face.
"""

import collections
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hcm_tf.evaluate.gather import BATCH
from hcm_tf.explain.attribution import explained, shares
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.refine import encode
from hcm_tf.explain.units import Units
from hcm_tf.features.classifier import Classifier
from hcm_tf.images import to_float
from hcm_tf.metrics import composition, consistency, overlap
from hcm_tf.runs.checkpoint import Run

FACES = 32
# Of one replay: the images of an evaluation lie in memory beside it.
MEMORY_MB = 128
STRONGEST = 48
COUNTS = (1, 4, 16, 64, 256)
# Parts with fewer visible pixels than this are not looked for.
SMALLEST_PART = 8
# A unit is chosen only if it is active in so many of the faces that have the part.
LEAST_SHARE = 0.25

# (row, column, basis) of a unit.
Name = tuple[int, int, int]


class Seen(NamedTuple):
    """The strongest units of one level in one face.

    names: of the units, by strength.
    pictures: their parts of the image before tanh, `(n, size, size, channels)`.
    windows: the same, each cut out around its unit, `(n, values)`.
    explained: energy of the image that the strongest m explain, for m of COUNTS.
    """

    names: list[Name]
    pictures: np.ndarray
    windows: np.ndarray
    explained: list[float]


def measure(
    run: Run,
    pixels: np.ndarray,
    masks: dict[str, np.ndarray],
    classifier: Classifier | None,
    *,
    seed: int = 0,
    batch: int = BATCH,
    advance: Callable[[int], object] = lambda count: None,
) -> dict[str, Any]:
    """Measures every level on encoded faces.

    Args:
        run: encodes and draws.
        pixels: uint8 `(faces, size, size, channels)`; the first half chooses.
        masks: of each part, bool `(faces, size, size)`, empty where a face lacks it.
        classifier: says what an edit changes; None leaves that out.
        seed: of the other faces and units that are compared with.
        batch: images at a time.
        advance: told how many faces of a level are done.

    Returns:
        JSON values, by level.
    """
    images = to_float(pixels)
    latents = np.concatenate(
        [
            encode(run.encoder, images[start : start + batch])
            for start in range(0, len(images), batch)
        ]
    )
    decoder = Decoder(run.generator, memory_mb=MEMORY_MB, progress=False)
    recordings = decoder.record(latents)
    found = {}
    for index, level in enumerate(decoder.level_names):
        seen = []
        for recording in recordings:
            seen.append(_strongest(decoder, recording, index))
            advance(1)
        random = np.random.default_rng((seed, index))
        measured = matched(seen, masks, random)
        found[level] = {
            "overlap": measured,
            "consistency": _consistency(seen),
            "explained": {
                str(count): float(np.mean([face.explained[at] for face in seen]))
                for at, count in enumerate(COUNTS)
            },
        }
        if classifier is not None:
            found[level]["edits"] = edited(
                recordings, seen, measured["pairs"], classifier, random
            )
    return found


def matched(
    seen: list[Seen], masks: dict[str, np.ndarray], random: np.random.Generator
) -> dict[str, Any]:
    """Pairs of part and unit of the first half, scored on the second.

    Returns:
        JSON values: `pairs`, for each part its unit and scores (area under the ROC
        curve) with `cases`, how many faces they are of: `unit`, `other_face` and
        `average_place`; and the means of these over all cases.
    """
    half = len(seen) // 2
    pairs = {}
    for part, mask in masks.items():
        flat = mask.reshape(len(mask), -1)
        has = flat.sum(axis=1) >= SMALLEST_PART
        name = choose(seen[:half], flat[:half], has[:half])
        if name is None:
            continue
        pictures = {
            index: _map(seen[index].pictures[seen[index].names.index(name)])
            for index in range(half, len(seen))
            if name in seen[index].names
        }
        cases = [index for index in pictures if has[index] and len(pictures) > 1]
        if not cases:
            continue
        others = [
            random.choice([other for other in pictures if other != index])
            for index in cases
        ]
        place = flat[:half][has[:half]].mean(axis=0)
        pairs[part] = {
            "unit": list(name),
            "cases": len(cases),
            "active": len(pictures) / (len(seen) - half),
            "unit_score": _score([pictures[each] for each in cases], flat[cases]),
            "other_face": _score([pictures[each] for each in others], flat[cases]),
            "average_place": _score([place] * len(cases), flat[cases]),
        }
    weights = [pair["cases"] for pair in pairs.values()]
    means = {
        name: float(
            np.average([each[name] for each in pairs.values()], weights=weights)
        )
        if pairs
        else None
        for name in ("unit_score", "other_face", "average_place")
    }
    return {"pairs": pairs, **means}


def choose(seen: list[Seen], masks: np.ndarray, has: np.ndarray) -> Name | None:
    """The unit with the best mean overlap with a part; None if none is active enough.

    Args:
        seen: faces that choose.
        masks: bool `(faces, pixels)`.
        has: which of them have the part.
    """
    scores = collections.defaultdict(list)
    for index in np.flatnonzero(has):
        face = seen[index]
        if not face.names:
            continue
        maps = np.stack([_map(picture) for picture in face.pictures])
        areas = overlap.area_under_curve(maps, masks[index][None])[:, 0]
        for name, area in zip(face.names, areas, strict=True):
            scores[name].append(area)
    least = max(1, LEAST_SHARE * has.sum())
    usual = {name: np.mean(each) for name, each in scores.items() if len(each) >= least}
    # Equal scores: the first by position, on every machine.
    return min(usual, key=lambda name: (-usual[name], name)) if usual else None


def edited(
    recordings: list[Recording],
    seen: list[Seen],
    pairs: dict[str, Any],
    classifier: Classifier,
    random: np.random.Generator,
) -> dict[str, Any]:
    """What removing a part's unit changes in the classifier's labels.

    In every face of the second half where the unit is active; beside it the removal of
    another of the face's strongest units, chosen at random. `own` is how often the
    part's own label changes, `others` how often each other label does: leakage.
    """
    before, after, control, parts = [], [], [], []
    half = len(seen) // 2
    for part, pair in pairs.items():
        if part not in classifier.heads:
            continue
        for index in range(half, len(seen)):
            face, logits = seen[index], recordings[index].logits
            if tuple(pair["unit"]) not in face.names or len(face.names) < 2:
                continue
            unit = face.names.index(tuple(pair["unit"]))
            other = random.choice([n for n in range(len(face.names)) if n != unit])
            before.append(np.tanh(logits))
            after.append(np.tanh(logits - face.pictures[unit]))
            control.append(np.tanh(logits - face.pictures[other]))
            parts.append(part)
    if not parts:
        return {"cases": 0}
    said = [
        composition.predicted(
            classifier.log_probabilities(classifier.features(np.stack(images)))
        )
        for images in (before, after, control)
    ]
    own = {
        head: np.array([part == head for part in parts]) for head in classifier.heads
    }
    found: dict[str, Any] = {"cases": len(parts)}
    for name, now in (("unit", said[1]), ("random_unit", said[2])):
        changed = {head: now[head] != said[0][head] for head in classifier.heads}
        found[name] = {
            "own": _rate(changed, own),
            "others": _rate(changed, {head: ~each for head, each in own.items()}),
        }
    return found


def _rate(changed: dict[str, np.ndarray], counted: dict[str, np.ndarray]) -> float:
    """Share of the counted labels that changed."""
    total = sum(each.sum() for each in counted.values())
    return float(sum((changed[head] & counted[head]).sum() for head in changed) / total)


def _strongest(decoder: Decoder, recording: Recording, level: int) -> Seen:
    units = decoder.active(recording, level)
    share = shares(decoder, recording)[level][units.row, units.column, units.basis]
    ranked = units.take(np.argsort(-share, kind="stable"))
    strongest = ranked.take(np.arange(min(STRONGEST, ranked.count)))
    cut = decoder.unit_pictures(recording, level, strongest)
    windows = decoder.windows(recording, level, None)
    pictures = np.zeros((strongest.count, *recording.logits.shape), "float32")
    for picture, patch, row, column in zip(
        pictures, cut, strongest.row, strongest.column, strict=True
    ):
        picture[:] = windows.place(patch, row, column)
    names = zip(*(each.tolist() for each in strongest[:3]), strict=True)
    energies = _explained(decoder, recording, level, ranked)
    return Seen(list(names), pictures, cut.reshape(len(cut), -1), energies)


def _explained(
    decoder: Decoder, recording: Recording, level: int, ranked: Units
) -> list[float]:
    """Energy that the strongest m explain; all of them where there are fewer."""
    shape = recording.codes[level].shape
    codes = [
        ranked.take(np.arange(min(count, ranked.count))).code(shape) for count in COUNTS
    ]
    parts = decoder.replay(recording, level, np.stack(codes))
    return explained(parts, recording.logits).tolist()


def _consistency(seen: list[Seen]) -> dict[str, float]:
    """Cosine of one unit's pictures in two faces, and of two units' at one position."""
    vectors = np.concatenate([face.windows for face in seen])
    names = np.array([name for face in seen for name in face.names])
    _, units = np.unique(names, axis=0, return_inverse=True)
    _, places = np.unique(names[:, :2], axis=0, return_inverse=True)
    within, _ = consistency.pair_cosines(vectors, units.ravel())
    across, weights = [], []
    for place in np.unique(places):
        here = places.ravel() == place
        cosine = consistency.pair_cosines(vectors[here], units.ravel()[here])[1]
        if not np.isnan(cosine):
            across.append(cosine)
            weights.append(int(here.sum()))
    floor = float(np.average(across, weights=weights)) if across else float("nan")
    return {"same_unit": within, "other_unit": floor}


def _map(picture: np.ndarray) -> np.ndarray:
    """Strength of a contribution at every pixel: `(pixels,)`."""
    return np.sqrt(np.square(picture).sum(axis=-1)).ravel()


def _score(maps: list[np.ndarray], masks: np.ndarray) -> float:
    """Mean area under the ROC curve of each map with its own mask."""
    return float(
        np.mean(
            [
                overlap.area_under_curve(one[None], mask[None])[0, 0]
                for one, mask in zip(maps, masks, strict=True)
            ]
        )
    )
