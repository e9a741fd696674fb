"""A trained model to publish: python -m export.pretrained --run_dir=RUN --out=DIRECTORY

Writes a run directory that holds the networks in half precision, the configuration and
the last measurements: what `hcm_tf.sample`, `hcm_tf.explain`, `hcm_tf.evaluate`, the
exports and `--init_from` read. Training does not go on from it.
"""

import json
import pathlib
import sys

import numpy as np
from absl import flags

from hcm_tf import command
from hcm_tf.errors import UserError
from hcm_tf.startup import load_tensorflow

SEEDS = 64
# Of 256, on average over pixels: less than a picture's own rounding to whole levels.
GREY_LEVELS = 0.5


def export(run_dir: str | pathlib.Path, out: str | pathlib.Path) -> str:
    """Writes the directory; returns what half precision changes, in a line.

    Raises:
        UserError: no such run, `out` is not empty or cannot be written, or half
            precision changes the pictures of the first SEEDS seeds by GREY_LEVELS or
            more on average.
    """
    load_tensorflow()
    from hcm_tf.files import whole_directory
    from hcm_tf.runs import checkpoint, weights

    out = pathlib.Path(out)
    if out.is_dir() and any(out.glob("checkpoints/ckpt-*")):
        raise UserError(f"{out} holds a run of its own. Name another --out directory.")
    run = checkpoint.load(run_dir)
    before = run.sample(SEEDS)
    networks = {name: getattr(run, name) for name in ("generator", "encoder", "critic")}
    with whole_directory(out) as directory:
        weights.write(directory / weights.FILE, networks, run.prior, run.step)
        config = _config(pathlib.Path(run_dir))
        (directory / checkpoint.CONFIG_FILE).write_text(config)
        (directory / "metrics.jsonl").write_text(
            _measured(pathlib.Path(run_dir) / "metrics.jsonl", run.step)
        )
        change = 127.5 * np.abs(checkpoint.load(directory).sample(SEEDS) - before)
        if change.mean() >= GREY_LEVELS:
            raise UserError(
                f"half precision changes pictures by {change.mean():.2f} grey levels "
                "on average: publish this run's checkpoint instead."
            )
    return (
        f"{out}: half precision changes {SEEDS} pictures by {change.mean():.3f} of 256 "
        f"grey levels on average, by more than one level in "
        f"{(change > 1).mean():.2%} of the values, by {change.max():.0f} at most"
    )


def _config(run_dir: pathlib.Path) -> str:
    """The run's configuration, without the paths of the machine it was made on."""
    from hcm_tf.config import DataConfig
    from hcm_tf.runs import checkpoint

    config = json.loads((run_dir / checkpoint.CONFIG_FILE).read_text())
    config["provenance"].pop("command", None)
    origin = config["provenance"].get("init_from", {})
    dataset = DataConfig(dataset=config["data"]["dataset"]).public_name
    config["data"] |= {"dataset": dataset, "data_dir": "", "manual_dir": ""}
    for holder, name in ((config["train"], "init_from"), (origin, "run_dir")):
        if holder.get(name):
            holder[name] = pathlib.Path(holder[name]).name
    return json.dumps(config, indent=2) + "\n"


def _measured(path: pathlib.Path, step: int) -> str:
    """The last measurement up to a step, as a line of `metrics.jsonl`."""
    from hcm_tf.runs import run_directory

    measured = [
        record
        for record in run_directory.records(path)
        if "held_out_error" in record and record["step"] <= step
    ]
    return f"{json.dumps(measured[-1])}\n" if measured else ""


def main(argv: list[str]) -> int:
    """Flags -> directory; returns the exit status."""
    own = flags.FlagValues()
    flags.DEFINE_string("run_dir", None, "What train_main.py --workdir wrote.", own)
    flags.DEFINE_string("out", None, "Directory to write.", own)

    def act() -> None:
        if not own.out:
            raise UserError("--out is missing: name a directory to write.")
        print(export(own.run_dir, own.out))

    return command.run("export.pretrained", own, act, argv, about=__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
