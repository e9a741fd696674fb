"""Counts items by a small AIR, trained here: a neighbour for parts that are placed.

    python -m benchmarks.air --seeds=5 --results=docs/scenes/air.json

trains benchmarks/air_model.py on the 60,000 training scenes of `scenes/fashion_items`,
each averaged to 32x32 pixels, once for every seed from 0, and counts the items of the
320 test scenes. Each seed is stored when it is done, whether it learnt to count or not;
start the same command again, and it trains those that are missing. What an interruption
loses is the seed under way. Weights are in --out, and a picture of the median seed is
beside the results. One thread.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import time
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from benchmarks import air_model, air_scores, measure
from benchmarks.air_model import Air
from hcm_tf import files
from hcm_tf.config import DataConfig
from hcm_tf.data import load, load_scenes, make_batches, scene_source
from hcm_tf.errors import UserError
from hcm_tf.evaluate import scene_counts
from hcm_tf.images import write_png

DATASET = "scenes/fashion_items"
BATCH = 64
LEARNING_RATE = 1e-3  # Falls to nothing over the second half.
# Prior probability of another item: that of the scenes' own counts would be about a
# half. It falls exponentially until `ANNEALED` of the steps, so that all looks learn to
# draw before few are asked for.
SUCCESS = (0.5, 0.05)
ANNEALED = 0.6

_ITEM_LEVEL = 25  # Of 255: what is brighter is an item's, by the recipe itself.
_SHOWN = 10

Table = dict[str, Any]


class Scenes(NamedTuple):
    """What is trained and tested on.

    Attributes:
        train: uint8 `(n, 32, 32, 1)`.
        test: the same of the test scenes.
        truth: int64 `(m,)`: how many items each test scene shows.
        large: uint8 `(m, 64, 64, 1)`: the test scenes as they were drawn.
    """

    train: np.ndarray
    test: np.ndarray
    truth: np.ndarray
    large: np.ndarray


def main() -> None:
    """Flags -> table and picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seeds", type=int, default=5, help="How many, from 0.")
    add("--steps", type=int, default=3000, help=f"Of {BATCH} scenes each.")
    add("--results", type=pathlib.Path, default=pathlib.Path("docs/scenes/air.json"))
    add("--out", type=pathlib.Path, default=pathlib.Path("runs/air"))
    add("--manual_dir", default="", help="As for train_main.py.")
    options = parser.parse_args()
    with contextlib.suppress(RuntimeError):  # TensorFlow has begun already.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    try:
        table = _begun(options.results, options.steps)
        scenes = read_scenes(options.manual_dir)
        table["without training"] = without_training(scenes)
        for seed in range(options.seeds):
            if str(seed) not in table["seeds"]:
                table["seeds"][str(seed)] = _run(scenes, seed, options)
                files.write(options.results, json.dumps(table, indent=1) + "\n")
        print(markdown(table))
        _draw_median(table, scenes, options)
    except UserError as error:
        sys.exit(f"benchmarks.air: {error}")
    except KeyboardInterrupt:
        sys.exit(f"Stopped. {options.results} has the seeds that were done.")


def read_scenes(manual_dir: str = "") -> Scenes:
    """All training scenes and all test scenes."""
    config = DataConfig(
        dataset=DATASET,
        manual_dir=manual_dir,
        max_images=0,
        held_out=scene_source.TEST_SCENES,
        resize_filter="area",
    )
    train, test = load(config, air_model.SIDE, channels=1)
    return Scenes(
        train=train.images,
        test=test.images,
        truth=test.labels["count"],
        large=np.stack([scene.image for scene in load_scenes(config)]),
    )


def train(images: np.ndarray, seed: int, steps: int) -> Air:
    """Trains an AIR; its weights, batches and noise are functions of the seed.

    Args:
        images: uint8 `(n, SIDE, SIDE, 1)`.
        seed: of all that is random.
        steps: updates.
    """
    keras.utils.set_random_seed(seed)
    air = Air()
    variables = air.trainable_variables
    optimizer = keras.optimizers.Adam(LEARNING_RATE, global_clipnorm=100.0)
    optimizer.build(variables)
    shape = (air_model.STEPS, BATCH, air_model.WHERE + air_model.WHAT)

    @tf.function(autograph=False)
    def update(
        batch: tf.Tensor, step: tf.Tensor, success: tf.Tensor, rate: tf.Tensor
    ) -> tf.Tensor:
        noise = tf.random.stateless_normal(shape, [seed, step])
        with tf.GradientTape() as tape:
            found = air_model.bound(batch, air.look(batch, noise), success)
            loss = -tf.reduce_mean(found.elbo)
        optimizer.learning_rate.assign(rate)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return -loss

    batches = iter(make_batches(images, BATCH, seed=seed))
    with tqdm(range(steps), desc=f"seed {seed}") as bar:
        for step in bar:
            batch = (next(batches)["image"][..., 0] + 1) / 2
            success, rate = schedule(step / steps)
            elbo = update(
                batch, tf.constant(step), tf.constant(success), tf.constant(rate)
            )
            if step % 100 == 0:
                bar.set_postfix(elbo=f"{float(elbo):.1f}")
    return air


def schedule(done: float) -> tuple[float, float]:
    """The prior probability of another item, and the learning rate.

    Args:
        done: how much of the training is over, from 0 to 1.
    """
    first, last = SUCCESS
    success = first * (last / first) ** min(1.0, done / ANNEALED)
    return success, LEARNING_RATE * min(1.0, 2 * (1 - done))


def without_training(scenes: Scenes) -> dict[str, Any]:
    """Counts that need none, of the test scenes at their full size."""

    def spots(level: int) -> list[int]:
        bright = np.where(scenes.large > level, 1.0, -1.0)
        return [scene_counts.bright_spots(one) for one in bright]

    return scene_counts.summaries(
        scenes.truth.tolist(),
        {
            "bright spots, above the mid grey": spots(127),
            "bright spots, above 25 of 255": spots(_ITEM_LEVEL),
        },
    )


def median_seed(table: Table) -> str:
    """The seed of median accuracy; of an even number, the lower of both."""
    accuracies = {seed: run["accuracy"] for seed, run in table["seeds"].items()}
    median = statistics.median_low(accuracies.values())
    return next(seed for seed, value in accuracies.items() if value == median)


def markdown(table: Table) -> str:
    """All seeds, failures too; their median; and what needs no training."""
    lines = [
        "| counted by | accuracy | mean absolute error | ELBO, nats | error, of the "
        "pixels' variance | minutes of processor |",
        "|---|---|---|---|---|---|",
    ]
    columns = ("accuracy", "mean absolute error", "elbo", "error", "minutes")
    runs = table["seeds"]
    for seed, run in runs.items():
        lines.append(_row(f"AIR, seed {seed}", [run[one] for one in columns]))
    if runs:
        middle = [
            statistics.median(run[one] for run in runs.values()) for one in columns
        ]
        lines.append(_row(f"AIR, median of {len(runs)}", middle))
    for name, row in table["without training"].items():
        values = [row[one]["mean"] for one in columns[:2]]
        lines.append(_row(name, values))
    lines += ["", "| AIR, true count | found 0, 1, 2, 3: seed by seed |", "|---|---|"]
    for count in range(3):
        cells = [" ".join(map(str, run["confusion"][count])) for run in runs.values()]
        lines.append(f"| {count} | {'; '.join(cells)} |")
    return "\n".join(lines)


def _run(scenes: Scenes, seed: int, options: argparse.Namespace) -> Table:
    wall, cpu = time.perf_counter(), time.process_time()
    air = train(scenes.train, seed, options.steps)
    timed = {
        "minutes": (time.process_time() - cpu) / 60,
        "wall_minutes": (time.perf_counter() - wall) / 60,
    }
    path = _weights(options.out, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    air.save_weights(path)
    scores = air_scores.score(air, scenes.test, scenes.truth, success=SUCCESS[1])
    return {**scores, **timed, "machine": measure.machine()}


def _draw_median(table: Table, scenes: Scenes, options: argparse.Namespace) -> None:
    if not table["seeds"]:
        return
    seed = median_seed(table)
    path, out = _weights(options.out, seed), options.results.with_suffix(".png")
    if not path.exists():
        print(f"No picture: {path} is not there.", file=sys.stderr)
        return
    air = Air()
    air.load_weights(path)
    write_png(out, air_scores.picture(air, scenes.test[:_SHOWN]))
    print(f"\n{out}: seed {seed}.")


def _weights(out: pathlib.Path, seed: int | str) -> pathlib.Path:
    return out / f"{seed}.weights.h5"


def _begun(path: pathlib.Path, steps: int) -> Table:
    if not path.exists():
        return {"steps": steps, "seeds": {}}
    table = json.loads(path.read_text())
    if table["steps"] != steps:
        raise UserError(
            f"{path} is of {table['steps']} steps, and not of {steps}: name other "
            "--results, or remove it."
        )
    return table


def _row(name: str, values: list[float]) -> str:
    formats = (".3f", ".3f", ".1f", ".3f", ".1f")
    cells = [format(value, one) for value, one in zip(values, formats, strict=False)]
    cells += ["-"] * (len(formats) - len(cells))
    return "| " + " | ".join([name, *cells]) + " |"


if __name__ == "__main__":
    main()
