"""Do the units mean anything? Measured on avatars, whose true parts are known.

python -m benchmarks.explanation --run_dir=RUN --dense_run_dir=CONTROL

Encodes and refines test faces, decodes the strongest units of every level by
themselves, and compares their pictures with the true masks of the face's parts. The
dense control is the same network with k = everything, trained at equal cost. Prints
Markdown tables; --out writes them to a file.
"""

import pathlib
import sys

from absl import flags

from hcm_tf import command, files
from hcm_tf.startup import load_tensorflow


def define() -> flags.FlagValues:
    """The flags of this command, fresh."""
    own = flags.FlagValues()
    flags.DEFINE_string("run_dir", None, "Run trained on avatars.", own)
    flags.DEFINE_string("dense_run_dir", None, "Dense control, shown beside it.", own)
    flags.DEFINE_integer("images", 32, "Test faces to measure on.", 2, 1000, own)
    flags.DEFINE_integer(
        "units", 64, "Strongest units of a level and face to look at.", 1, None, own
    )
    flags.DEFINE_integer(
        "refine_steps", 100, "Gradient steps on the latents of faces.", 0, None, own
    )
    flags.DEFINE_integer("seed", 0, "Seed of the shuffled maps.", flag_values=own)
    flags.DEFINE_string("out", None, "Also write the tables to this file.", own)
    return own


def main(argv: list[str]) -> int:
    """Flags -> measurements -> tables; returns the exit status."""
    own = define()

    def act() -> None:
        # TensorFlow takes seconds to load: only once the flags are known to be right.
        load_tensorflow()
        from benchmarks import explanation_study as study

        runs = {"sparse": own.run_dir, "dense": own.dense_run_dir}
        results = {
            name: study.measure(
                run_dir,
                images=own.images,
                units=own.units,
                refine_steps=own.refine_steps,
                seed=own.seed,
            )
            for name, run_dir in runs.items()
            if run_dir is not None
        }
        tables = study.tables(results, images=own.images, units=own.units)
        print(tables)
        if own.out is not None:
            path = pathlib.Path(own.out)
            files.write(path, tables + "\n")

    return command.run("benchmarks.explanation", own, act, argv, about=__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
