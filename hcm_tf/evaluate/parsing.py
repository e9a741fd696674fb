"""Whether the parts that a run draws an image of are the objects of the scene.

Every test scene is encoded and drawn again, and what its parts draw, exactly, is
grouped to segments, which are scored against the true ones, and objects are counted.
Beside them: the same clustering of colours, of the input and of what is drawn; the same
groupings of the same networks with random weights; and segmentations that need no
training. Writes parsing.json and parsing.png into the run's directory.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from hcm_tf.config import DataConfig
from hcm_tf.data import load_scenes, scene_source
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.data.scene import Scene
from hcm_tf.evaluate import placing, scene_counts, scene_runs, scene_scores
from hcm_tf.evaluate.commands import data_of, names_of
from hcm_tf.evaluate.gather import in_batches
from hcm_tf.evaluate.groupings import (
    COLOURS,
    CONTROLLED,
    MAIN,
    ORACLE,
    PLACED,
    SOFT,
    Drawn,
    Grouping,
    available,
)
from hcm_tf.evaluate.measurement import Options
from hcm_tf.evaluate.parsing_table import (
    BEST_IOU,
    counts_markdown,
    faults_markdown,
    markdown,
)
from hcm_tf.evaluate.progress import bar
from hcm_tf.evaluate.scene_counts import Counter
from hcm_tf.evaluate.scene_runs import recipe
from hcm_tf.evaluate.segment_pictures import comparison
from hcm_tf.explain import grouping
from hcm_tf.explain.decoder import Decoder
from hcm_tf.explain.refine import encode, refine
from hcm_tf.images import to_float, to_uint8
from hcm_tf.metrics.segmentation import best_overlap
from hcm_tf.runs import checkpoint
from hcm_tf.runs.checkpoint import Run


@dataclasses.dataclass(frozen=True)
class Parsed:
    """What was found in scenes.

    Attributes:
        scores: for each row of the table those of every scene.
        labels: for each grouping the label maps, uint8 `(n, 64, 64)`.
        images: what was drawn, uint8 `(n, size, size, channels)`.
        counts: for each way to count, the objects found in every scene.
    """

    scores: dict[str, list[dict[str, float]]]
    labels: dict[str, np.ndarray]
    images: np.ndarray
    counts: dict[str, list[int]]


def parse(
    run: Run,
    scenes: Sequence[Scene],
    images: np.ndarray,
    latents: np.ndarray,
    groupings: Mapping[str, Grouping],
    *,
    segments: int,
    counters: Mapping[str, Counter] = MappingProxyType({}),
    advance: Callable[[int], object] = lambda count: None,
) -> Parsed:
    """Draws scenes from latents, groups what was drawn, and scores it.

    Args:
        run: the networks.
        scenes: what is true of them.
        images: they as the networks take them, float32 `(n, size, size, channels)`.
        latents: `(n, latent_size)`.
        groupings: by name.
        segments: to cut at, the same for all scenes.
        counters: by name.
        advance: told how many scenes are done.
    """
    decoder = Decoder(run.generator, progress=False)
    scores: dict[str, list[dict[str, float]]] = {}
    labels: dict[str, list[np.ndarray]] = {}
    counts: dict[str, list[int]] = {name: [] for name in counters}
    pictures = []
    for scene, image, latent in zip(scenes, images, latents, strict=True):
        drawn = Drawn(image, decoder, decoder.record(latent[np.newaxis])[0])
        size = len(scene.labels)
        for name, group in groupings.items():
            found = grouping.enlarged(group(drawn, segments), size)
            of_scene = scene_scores.scores(scene.labels, found)
            if name in SOFT:
                masks = grouping.enlarged(SOFT[name](drawn), size)
                of_scene[BEST_IOU] = best_overlap(scene.labels, masks)
            scores.setdefault(name, []).append(of_scene)
            labels.setdefault(name, []).append(found.astype(np.uint8))
            if name in ORACLE:
                found = grouping.enlarged(group(drawn, scene.count + 1), size)
                of_scene = scene_scores.scores(scene.labels, found)
                scores.setdefault(f"{name}, oracle K", []).append(of_scene)
        for name, count in counters.items():
            counts[name].append(count(drawn))
        pictures.append(to_uint8(drawn.recording.image))
        advance(1)
    found = {name: np.stack(maps) for name, maps in labels.items()}
    return Parsed(scores, found, np.stack(pictures), counts)


def measure(
    run: Run, scenes: Sequence[Scene], data: DataConfig, *, refined: int, seed: int
) -> tuple[dict[str, Any], np.ndarray]:
    """Parses scenes by a run and by its controls: JSON values, and a picture.

    Args:
        run: the networks.
        scenes: of one recipe.
        data: names the recipe, and how images become square.
        refined: the first so many are parsed again, from latents that were refined.
        seed: of the random weights.
    """
    began = time.perf_counter()
    model = run.config.model
    form = ImageFormat.of(data, model.image_size, model.image_channels)
    images = to_float(np.stack([form.apply_to_array(one.image) for one in scenes]))
    segments = scene_scores.segments(recipe(data))
    cut = functools.partial(parse, segments=segments)
    latents = _encoded(run, images)
    placed = model.placement == "free"
    groupings = available(placed=placed)
    with bar("Parsing", len(scenes)) as advance:
        parsed = cut(
            *(run, scenes, images, latents, {**groupings, **COLOURS}),
            counters=scene_counts.counters(recipe(data), placed=placed),
            advance=advance,
        )
    rows = {name: scene_scores.summaries(one) for name, one in parsed.scores.items()}
    found = {"segments": segments, "rows": rows}
    true_counts = [scene.count for scene in scenes]
    found["faults"] = {
        name: scene_scores.total_faults(scenes, parsed.labels[name])
        for name in groupings
        if name in PLACED
    }
    found["counts"] = scene_counts.summaries(true_counts, parsed.counts)
    if placed:
        found["placing"] = placing.measure(run, images, latents)
    random = checkpoint.untrained(run.config, seed=seed)
    with bar("Parsing with random weights", len(scenes)) as advance:
        control = cut(
            *(random, scenes, images, _encoded(random, images), CONTROLLED),
            advance=advance,
        )
    found["random_weights"] = {
        name: scene_scores.summaries(one) for name, one in control.scores.items()
    }
    if refined:
        some = slice(refined)
        better = refine(run.generator, images[some], latents[some]).latents
        with bar("Parsing refined", len(better)) as advance:
            again = cut(
                run, scenes[some], images[some], better, groupings, advance=advance
            )
        found["refined"] = {
            name: {
                "count": len(better),
                "refined": scene_scores.summaries(one),
                "same_scenes_encoded": scene_scores.summaries(
                    parsed.scores[name][some]
                ),
            }
            for name, one in again.scores.items()
        }
    covering = np.array([one["MSC-FG"] for one in parsed.scores[MAIN]])
    maps = [parsed.labels[name] for name in groupings]
    picture = comparison(scenes, parsed.images, maps, covering)
    return found | {"seconds": time.perf_counter() - began}, picture


def evaluate(run_dirs: Sequence[str], options: Options) -> str:
    """Parses the test scenes by runs, and writes their files; returns what to tell.

    Args:
        run_dirs: what `train_main.py --workdir` wrote, each.
        options: `dataset`, `data_dir`, `count`, `seed` and `refine` count.

    Raises:
        UserError: a run on something else than scenes, or one that cannot be read.
    """
    paths = scene_runs.paths_of(
        run_dirs, options.dataset, "--parsing", "parsed on {}, whose objects"
    )
    count = min(options.count, scene_source.TEST_SCENES)
    written = []
    untrained: dict[str, dict[str, Any]] = {}
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for name, path in zip(names_of(paths), paths, strict=True):
        run = checkpoint.load(path)
        data = data_of(run, options)
        scenes = load_scenes(data, count)
        if data.dataset not in untrained:
            untrained[data.dataset] = scene_scores.without_training(
                recipe(data), scenes
            )
        found, pixels = measure(
            run, scenes, data, refined=options.refine, seed=options.seed
        )
        about = {"step": run.step, "dataset": data.dataset, "scenes": count}
        about |= {"seed": options.seed}
        found = {**about, **found, "without_training": untrained[data.dataset]}
        results.setdefault(data.dataset, {})[name] = found
        written.append(scene_runs.write(path, "parsing", found, pixels))
    tables = [
        table
        for dataset, runs in results.items()
        for table in (
            f"{dataset}, {count} scenes",
            *(make(runs) for make in (markdown, counts_markdown, faults_markdown)),
        )
    ]
    return "\n\n".join([*filter(None, tables), "\n".join(written)])


def _encoded(run: Run, images: np.ndarray) -> np.ndarray:
    return np.concatenate([encode(run.encoder, some) for some in in_batches(images)])
