"""What skipping tiles saves: multiply-adds and time, at given shares of closed tiles.

    python -m benchmarks.gated_blocks [--models=quickstart,full] [--batches=1,16]

Gates are closed at random: what a skipped tile saves does not depend on why it is
skipped. Against the generator without gates, with the same weights.
"""

import argparse

import numpy as np
from keras import ops

from benchmarks import measure, sample
from hcm_tf import operations
from hcm_tf.layers import TileGate
from hcm_tf.networks import Generator, build_generator
from hcm_tf.networks.multiply_adds import (
    computed,
    gated_blocks,
    of_gates,
    skippable,
)
from hcm_tf.operations.tiles import SIDE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="quickstart,full")
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--skipped", default="0,0.3,0.5,0.7,0.9")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    rows = [
        compare(name, int(batch), float(skipped), options.rounds)
        for name in options.models.split(",")
        for batch in options.batches.split(",")
        for skipped in options.skipped.split(",")
    ]
    columns = (
        "model",
        "batch",
        "skipped",
        "multiply-adds, M",
        "of those without gates",
        "without gates, ms",
        "computing all, ms",
        "skipping, ms",
        "without gates / skipping",
        "CPU time",
    )
    measure.report("gated_blocks", columns, rows)


def compare(name: str, batch: int, skipped: float, rounds: int) -> tuple:
    """A row: a model, a batch, and the share of its gated tiles that is closed."""
    config = measure.MODELS[name]
    latent = np.random.default_rng(0).uniform(-1, 1, (batch, config.latent_size))
    latent = latent.astype("float32")
    without = build_generator(config)
    plain, skipping = (
        operations.apply(gated(without, batch, skipped), execution)
        for execution in ("fast", "skipping")
    )
    macs = measure.useful_macs(config)
    done = computed(plain, plain.trace(latent).gates).sum(axis=1).mean()
    left = macs - sum(skippable(plain)) + done + of_gates(plain)
    runs = {
        "without": sample.sampler(without, latent),
        "plain": sample.sampler(plain, latent),
        "skipping": sample.sampler(skipping, latent),
    }
    times = measure.interleave(runs, rounds=rounds)
    cpu = times["without"]["cpu_ms"] / times["skipping"]["cpu_ms"]
    ms = [times[kind]["ms"] for kind in runs]
    return name, batch, skipped, left / 1e6, left / macs, *ms, ms[0] / ms[2], cpu


def gated(without: Generator, batch: int, skipped: float) -> Generator:
    """The same weights with gates, of which that share is closed at random."""
    generator = Generator.from_config({**without.get_config(), "gated": True})
    generator.build((None, without.latent_size))
    values = iter(without.get_weights())
    for variable in generator.weights:
        if "/gate/" not in variable.path:
            variable.assign(next(values))
    random = np.random.default_rng(1)
    blocks = [block for block in generator.blocks if block.gate is not None]
    for block, (side, _) in zip(blocks, gated_blocks(generator), strict=True):
        tiles = side // SIDE
        ranks = random.permutation(batch * tiles**2).reshape(batch, tiles, tiles, 1)
        close(block.gate, ranks >= round(skipped * ranks.size))
    return generator


def close(gate: TileGate, stays: np.ndarray) -> None:
    """Closes a gate's tiles but those that stay; what it reads is computed as ever."""
    read = gate.call
    gate.call = lambda hidden: read(hidden) * ops.cast(stays, "float32")


if __name__ == "__main__":
    main()
