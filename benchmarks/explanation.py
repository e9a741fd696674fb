"""Do the units mean anything? Measured on avatars, whose true parts are known.

python -m benchmarks.explanation --run_dir=RUN --dense_run_dir=CONTROL

Encodes and refines test faces, decodes the strongest units of every level by
themselves, and compares their pictures with the true masks of the face's parts. The
dense control is the same network with k = everything, trained at equal cost. Prints
Markdown tables; --out writes them to a file.
"""

import os
import pathlib
import sys

from absl import flags

from hcm_tf.errors import UserError

RUN_DIR = flags.DEFINE_string("run_dir", None, "Run trained on avatars.")
DENSE_RUN_DIR = flags.DEFINE_string(
    "dense_run_dir", None, "Dense control, shown beside it."
)
IMAGES = flags.DEFINE_integer("images", 32, "Test faces to measure on.", lower_bound=2)
UNITS = flags.DEFINE_integer(
    "units", 64, "Strongest units of a level and face to look at.", lower_bound=1
)
REFINE_STEPS = flags.DEFINE_integer(
    "refine_steps", 100, "Gradient steps on the encoder's latents.", lower_bound=0
)
SEED = flags.DEFINE_integer("seed", 0, "Seed of the shuffled maps.")
OUT = flags.DEFINE_string("out", None, "Also write the tables to this file.")


def main(argv: list[str]) -> int:
    """Flags -> measurements -> tables; returns the exit status."""
    try:
        rest = flags.FLAGS(argv)[1:]
        if rest:
            raise UserError(f"unexpected argument {rest[0]!r}.")
        if RUN_DIR.value is None:
            raise UserError("name a run directory: --run_dir=RUN.")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        from benchmarks import explanation_study as study

        runs = {"sparse": RUN_DIR.value, "dense": DENSE_RUN_DIR.value}
        results = {
            name: study.measure(
                run_dir,
                images=IMAGES.value,
                units=UNITS.value,
                refine_steps=REFINE_STEPS.value,
                seed=SEED.value,
            )
            for name, run_dir in runs.items()
            if run_dir is not None
        }
        tables = study.tables(results, images=IMAGES.value, units=UNITS.value)
        print(tables)
        if OUT.value is not None:
            path = pathlib.Path(OUT.value)
            partial = path.with_name(path.name + ".partial")
            partial.write_text(tables + "\n")
            partial.replace(path)
    except (UserError, flags.Error, OSError) as error:
        print(f"explanation: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
