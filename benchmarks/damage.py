"""What every measure of samples makes of known damage.

    python -m benchmarks.damage [--count=2000 --seed=0]

Faces that nothing has seen are damaged, and measured as a run's samples would be,
against as many training faces. Sliced Wasserstein and Frechet distances are given in
multiples of the floor, which is that of the same faces undamaged; the others, and the
floor itself, as they are. Needs no run.
"""

import argparse
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from benchmarks import measure
from hcm_tf import features
from hcm_tf.config import DataConfig, ModelConfig
from hcm_tf.data import faces as slots
from hcm_tf.evaluate import faces, gather, reals
from hcm_tf.features import Extractor, damage
from hcm_tf.images import to_float, to_uint8
from hcm_tf.metrics.composition import sure_rate, sure_threshold
from hcm_tf.metrics.frechet import frechet_distance
from hcm_tf.metrics.kernel import squared_discrepancy
from hcm_tf.metrics.manifold import manifold_scores
from hcm_tf.metrics.sliced_wasserstein import Patches, patch_distances

SURE, COPIES = "sure", "near to training"


def main() -> None:
    """Flags -> table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    count, seed = options.count, options.seed
    divided = reals.read(DataConfig(held_out=200), ModelConfig(), count, seed)
    extractors = {name: features.load(name, channels=3) for name in ("parts", "random")}

    def look(pixels: np.ndarray) -> gather.Gathered:
        batches = gather.in_batches(pixels)
        return gather.gather(batches, extractors, patches=Patches(seed))

    training = divided.training.images[divided.order[:count]]
    reference = look(training)
    # Five times as many: some of the damage is to choose among them.
    start = reals.FRESH_FACES
    drawn = list(gather.drawn_faces(range(start, start + 5 * count)))
    pixels = np.concatenate([images for images, _ in drawn])
    labels = np.concatenate([of_batch for _, of_batch in drawn])
    held_out = look(pixels[:count])
    sure = faces.confidences(extractors["parts"], held_out.features["parts"])
    known = (held_out, sure_threshold(sure), extractors["parts"])
    others = pixels[count:], labels[count:]
    floor: dict[str, float] = {}
    rows = []
    kinds = _kinds(*others, training, count, np.random.default_rng(seed))
    for name, make in tqdm(kinds.items(), desc="Damaging", leave=False):
        values = _measures(reference, look(make()), *known)
        floor = floor or values
        shown = [
            value / floor[what] if is_distance(what) and rows else value
            for what, value in values.items()
        ]
        rows.append((name, *shown))
    measure.report("damage", ("damage", *floor), rows)


def is_distance(what: str) -> bool:
    """Whether it is given in multiples of its floor; the kernel distance has none."""
    return what.startswith("sliced") or what.endswith("frechet")


def _kinds(
    pixels: np.ndarray,
    labels: np.ndarray,
    training: np.ndarray,
    count: int,
    random: np.random.Generator,
) -> dict[str, Callable[[], np.ndarray]]:
    """Samples by the name of their damage, uint8, `count` of each."""
    hair = labels[:, list(slots.SLOTS).index("hair")]
    whole = to_float(pixels[:count])

    def of_hair(most: int) -> np.ndarray:
        """Only faces of the first kinds of hair, over and over if they are few."""
        return np.resize(np.flatnonzero(hair < most), count)

    def copied(share: float) -> np.ndarray:
        some = int(share * count)
        return np.concatenate([training[:some], pixels[some:count]])

    kinds = {"none": lambda: pixels[:count]}
    for sigma in (0.5, 1.0, 2.0):
        kinds[f"blur, sigma {sigma:g}"] = lambda by=sigma: damage.blur(whole, by)
    for deviation in (0.1, 0.3):
        kinds[f"noise, deviation {deviation:g}"] = lambda by=deviation: damage.noise(
            whole, by, random
        )
    for fraction in (0.01, 0.03, 0.1):
        kinds[f"speckle, {fraction:.0%} of pixels"] = lambda by=fraction: (
            damage.speckle(whole, by, random)
        )
    for factor in (1.5, 2.0):
        kinds[f"contrast, times {factor:g}"] = lambda by=factor: damage.contrast(
            whole, by
        )
    kinds["halves of two faces"] = lambda: damage.halves(whole)
    total = len(slots.SLOTS["hair"])
    for most in (total // 2, total // 4, total // 8):
        kinds[f"{most} of {total} kinds of hair"] = lambda by=most: pixels[of_hair(by)]
    for share in (0.25, 0.5, 1.0):
        kinds[f"copies, {share:.0%}"] = lambda by=share: copied(by)
    return {name: lambda make=make: _as_pixels(make()) for name, make in kinds.items()}


def _as_pixels(images: np.ndarray) -> np.ndarray:
    return images if images.dtype == np.uint8 else to_uint8(images)


def _measures(
    reference: gather.Gathered,
    samples: gather.Gathered,
    held_out: gather.Gathered,
    threshold: float,
    parts: Extractor,
) -> dict[str, float]:
    """Every measure of one set of samples, by name."""
    patches = patch_distances(reference.patches, samples.patches)
    found = {f"sliced Wasserstein, {size}": value for size, value in patches.items()}
    for name, own in samples.features.items():
        real = reference.features[name]
        found[f"{name}, frechet"] = frechet_distance(real, own)
        found[f"{name}, kernel"] = squared_discrepancy(real, own)
        scores = manifold_scores(real, own)
        found |= {f"{name}, {score}": value for score, value in scores.items()}
    copies, _ = faces.copies(
        *(each.features["parts"] for each in (samples, reference, held_out))
    )
    found[COPIES] = copies["share"]
    sure = faces.confidences(parts, samples.features["parts"])
    found[SURE] = sure_rate(sure, threshold)
    return found


if __name__ == "__main__":
    main()
