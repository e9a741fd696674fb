"""What placing parts costs: training step and sampling, against the grid.

*free* is `--placement=free` alone; *scenes* has a background, hard presences and a
shared opacity besides, as `configs/scenes.flags` has.

python -m benchmarks.placing [--models=quickstart] [--batch=16]
"""

import argparse
import dataclasses

import numpy as np

from benchmarks import measure, sample, train
from hcm_tf.config import ModelConfig
from hcm_tf.networks import build_generator

KINDS = {
    "free": {"placement": "free"},
    "scenes": {
        "placement": "free",
        "presence": "hard",
        "opacity": "shared",
        "stretch_parts": True,
        "background_attributes": 2,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="quickstart")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    rows = [
        row
        for name in options.models.split(",")
        for row in compare(name, options.batch, options.rounds)
    ]
    kinds = [f"{kind}{of}" for kind in KINDS for of in ("", ", of its CPU time")]
    columns = ("model", "what", "batch", "grid, ms", *kinds)
    measure.report("placing", columns, rows)


def compare(name: str, batch: int, rounds: int) -> list[tuple]:
    """Rows of one model, sampling and the training step: parts of the grid's time."""
    grid = measure.MODELS[name]
    models = {"grid": grid}
    models |= {kind: dataclasses.replace(grid, **own) for kind, own in KINDS.items()}
    random = np.random.default_rng(0)
    latent = random.uniform(-1, 1, (batch, grid.latent_size)).astype("float32")
    shape = (batch, grid.image_size, grid.image_size, grid.image_channels)
    images = random.uniform(-1, 1, shape).astype("float32")

    def stepper(model: ModelConfig):
        return train.stepper(train.configuration(model, batch), images)

    found = []
    for what, make in (
        ("sampling", lambda model: sample.sampler(build_generator(model), latent)),
        ("training step", stepper),
    ):
        runs = {kind: make(model) for kind, model in models.items()}
        times = measure.interleave(runs, rounds=rounds)
        ratios = [
            times[kind][key] / times["grid"][key]
            for kind in KINDS
            for key in ("ms", "cpu_ms")
        ]
        found.append((name, what, batch, times["grid"]["ms"], *ratios))
    return found


if __name__ == "__main__":
    main()
