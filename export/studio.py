"""Writes the studio as a folder for any static host, and as one file:

python -m export.studio --run_dir=RUN --out=site/
"""

import pathlib
import sys

from absl import flags

from hcm_tf import command
from hcm_tf.files import whole_directory
from hcm_tf.startup import load_tensorflow


def define() -> flags.FlagValues:
    """The command's flags, fresh."""
    own = flags.FlagValues()
    flags.DEFINE_string("run_dir", None, "What train_main.py --workdir wrote.", own)
    flags.DEFINE_string("out", "site", "Directory to write.", own)
    return own


def main(argv: list[str]) -> int:
    """Flags -> folder; returns the exit status."""
    own = define()
    return command.run(
        "export.studio", own, lambda: print(_export(own)), argv, about=__doc__
    )


def _export(own: flags.FlagValues) -> str:
    # TensorFlow takes seconds to load: only once the flags are known to be right.
    load_tensorflow()
    from hcm_tf.runs.checkpoint import load
    from hcm_tf.studio import site
    from hcm_tf.studio.engine import Engine

    name = pathlib.Path(own.run_dir).resolve().name
    engine = Engine(load(own.run_dir), name)
    with whole_directory(own.out) as directory:
        site.write(directory, engine)
        files = list(directory.iterdir())
        one = (directory / "studio.html").stat().st_size
        folder = sum(path.stat().st_size for path in files) - one
    return (
        f"{own.out}: a folder for any static host ({folder / 2**20:.1f} MB), and "
        f"studio.html, which opens by double click ({one / 2**20:.1f} MB)."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv))
