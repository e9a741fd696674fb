"""Whether the scenes that a run draws are like real ones, and can be edited by object.

Objects of samples are counted, measured and compared with the recipe's shapes, as are
those of real scenes; and a Frechet distance is taken of the features of a classifier
that tells scenes of so many objects apart. Then objects of test scenes are taken out,
moved and exchanged, and what else changes is measured. Writes drawn.json and drawn.png
into the run's directory.
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from hcm_tf import features
from hcm_tf.config import DataConfig, ModelConfig
from hcm_tf.data import scene_source
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.data.scene import Scene
from hcm_tf.errors import UserError
from hcm_tf.evaluate import drawn_table, gather, scene_leakage, scene_runs
from hcm_tf.evaluate.commands import data_of, names_of
from hcm_tf.evaluate.groupings import Drawn
from hcm_tf.evaluate.measurement import Options
from hcm_tf.evaluate.progress import bar
from hcm_tf.evaluate.reals import LEAST
from hcm_tf.evaluate.reconstruction import redraw
from hcm_tf.evaluate.scene_counts import MOST_FREQUENT
from hcm_tf.evaluate.scene_runs import recipe
from hcm_tf.evaluate.scene_scores import summary
from hcm_tf.evaluate.scene_sets import Judge, Judged, compared
from hcm_tf.explain.decoder import Decoder
from hcm_tf.features import Extractor, scenes
from hcm_tf.images import to_float, to_uint8
from hcm_tf.runs import checkpoint
from hcm_tf.runs.checkpoint import Run

# Behind those that the classifier learns from.
MOST = scene_source.TRAIN_SCENES - scenes.LEARNT


@dataclasses.dataclass(frozen=True)
class World:
    """Real scenes of one recipe, judged once for all runs.

    Attributes:
        data: where they come from.
        judge: looks at images.
        scenes: test scenes.
        pixels: they as the networks take them, uint8 `(n, size, size, channels)`.
        training: what is known of as many training scenes: the reference.
        test: of the test scenes.
        floor: how far these are from the reference, as `compared` says it.
    """

    data: DataConfig
    judge: Judge
    scenes: list[Scene]
    pixels: np.ndarray
    training: Judged
    test: Judged
    floor: dict[str, Any]


def look(
    data: DataConfig,
    model: ModelConfig,
    count: int,
    extractor: Extractor,
    seed: int,
) -> World:
    """Draws and judges real scenes.

    Args:
        data: names the recipe, and how images become square.
        model: gives the size and the channels.
        count: the last training scenes, and as many test scenes.
        extractor: gives features.
        seed: of the halves that intervals are made of.
    """
    form = ImageFormat.of(data, model.image_size, model.image_channels)
    judge = Judge(recipe(data), extractor)
    start = scene_source.TRAIN_SCENES
    with bar("Drawing scenes", 2 * count) as advance:
        known, images = [], []
        for numbers in (range(start - count, start), range(start, start + count)):
            known.append(list(scene_source.scenes_of(data, numbers)))
            images.append(
                np.stack([form.apply_to_array(one.image) for one in known[-1]])
            )
            advance(count)
    judged = [judge(pixels) for pixels in images]
    floor = compared(*judged, seed)
    return World(data, judge, known[1], images[1], *judged, floor)


def extractor_of(
    data: DataConfig, model: ModelConfig, labels: str, epochs: int
) -> Extractor:
    """The classifier of a recipe's scenes; where all show as many objects, `random`.

    Args:
        data: names the recipe.
        model: gives the size and the channels.
        labels: file of a classifier to take instead; "" makes one, or finds it made.
        epochs: passes over the scenes that it learns from.

    Raises:
        UserError: no scenes have that name; the file is none, or is of other images.
    """
    channels, kind = model.image_channels, scene_source.recipe_of(data)
    if labels:
        return features.load("labels", channels=channels, path=labels)
    if kind.fewest_seen == kind.most:
        return features.load("random", channels=channels)
    steps = epochs * (scenes.LEARNT // 100)
    with bar("Learning to count", steps) as advance:
        return scenes.counting(
            data,
            model.image_size,
            channels,
            epochs=epochs,
            count=scenes.LEARNT,
            advance=lambda step, steps, loss: advance(1),
        )


def measure(run: Run, world: World, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """All that is measured of one run: JSON values, and a picture of edits.

    Args:
        run: the networks.
        world: real scenes, of the size of the run's.
        seed: of the first sample, and of the control's locations.
    """
    began = time.perf_counter()
    count = len(world.pixels)
    with bar("Reconstructing", count) as advance:
        redrawn = redraw(run, world.pixels, 0, advance=advance)
    samples = np.concatenate(list(gather.samples(run, count, seed)))
    sets = {
        "samples": world.judge(samples),
        "reconstructions": world.judge(to_uint8(redrawn.encoded)),
    }
    found: dict[str, Any] = {
        "features": world.judge.extractor.sees,
        "counters": _counters(world, sets["reconstructions"]),
        "sets": {
            **{name: compared(world.training, one, seed) for name, one in sets.items()},
            "test scenes": world.floor,
        },
        "training_scenes": world.training.about(),
    }
    some = min(count, scene_source.TEST_SCENES)
    decoder = Decoder(run.generator, progress=False)
    drawn = [
        Drawn(image, decoder, recording)
        for image, recording in zip(
            to_float(world.pixels[:some]),
            decoder.record(redrawn.latents[:some]),
            strict=True,
        )
    ]
    with bar("Editing", some) as advance:
        edited = scene_leakage.edit_scenes(
            world.scenes[:some], drawn, seed=seed, advance=advance
        )
    if not edited:
        raise UserError(
            "no two of the scenes have objects, so that none can be exchanged: raise "
            "--count."
        )
    covered = [one for one in edited if one.part.overlap >= scene_leakage.FOUND]
    found["edits"] = {
        "scenes": some,
        "objects": len(edited),
        "found": len(covered),
        "overlap": summary([one.part.overlap for one in edited]),
        "locations": summary([len(one.part.cells) for one in edited]),
        "placed_parts": sum(one.part.placed for one in edited),
        "all": scene_leakage.summaries(edited),
        "of_found": scene_leakage.summaries(covered),
    }
    picture = scene_leakage.picture(world.scenes, drawn, edited)
    return found | {"seconds": time.perf_counter() - began}, picture


def _counters(world: World, reconstructions: Judged) -> dict[str, dict[str, Any]]:
    """How often each way to count is right, where the truth is known."""
    sets = {"test scenes": world.test, "reconstructions": reconstructions}
    truth = np.array([scene.count for scene in world.scenes])
    most = np.full_like(truth, np.argmax(np.bincount(truth)))
    counts = {
        name: {kind: one.counts[name] for kind, one in sets.items()}
        for name in world.test.counts
    }
    counts[MOST_FREQUENT] = dict.fromkeys(sets, most)
    return {
        name: {
            "right": {
                kind: summary(1.0 * (one == truth)) for kind, one in kinds.items()
            }
        }
        for name, kinds in counts.items()
    }


def evaluate(run_dirs: Sequence[str], options: Options, *, epochs: int) -> str:
    """Judges what runs draw, and writes their files; returns what to tell.

    Args:
        run_dirs: what `train_main.py --workdir` wrote, each.
        options: `dataset`, `data_dir`, `count`, `seed` and `labels` count.
        epochs: of the classifier.

    Raises:
        UserError: a run on something else than scenes, or one that cannot be read; too
            few images; a classifier of other images.
    """
    paths = scene_runs.paths_of(
        run_dirs, options.dataset, "--drawn", "judged by the objects of {}, which"
    )
    if options.count < LEAST:
        raise UserError(
            f"--count must be at least {LEAST}, or distances have no interval. "
            f"Received: {options.count}"
        )
    count = min(options.count, MOST)
    worlds: dict[Any, World] = {}
    written = []
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for name, path in zip(names_of(paths), paths, strict=True):
        run = checkpoint.load(path)
        data, model = data_of(run, options), run.config.model
        form = ImageFormat.of(data, model.image_size, model.image_channels)
        key = data.dataset, form
        if key not in worlds:
            extractor = extractor_of(data, model, options.labels, epochs)
            worlds[key] = look(data, model, count, extractor, options.seed)
        found, pixels = measure(run, worlds[key], options.seed)
        about = {"step": run.step, "dataset": data.dataset, "count": count}
        about |= {"seed": options.seed}
        found = {**about, **found}
        results.setdefault(data.dataset, {})[name] = found
        written.append(scene_runs.write(path, "drawn", found, pixels))
    tables = [
        f"{dataset}, {count} samples\n\n{drawn_table.markdown(runs)}"
        for dataset, runs in results.items()
    ]
    return "\n\n".join([*tables, "\n".join(written)])
