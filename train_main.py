"""Trains: python train_main.py --flagfile=configs/quickstart.flags"""

import sys

from absl import flags

from hcm_tf import command, config_flags
from hcm_tf.errors import Stopped, UserError
from hcm_tf.startup import load_tensorflow

WORKDIR = flags.DEFINE_string(
    "workdir", "runs/hcm", "Directory of the run; the same one resumes it."
)


def main(argv: list[str]) -> int:
    """Flags -> configuration -> experiment; returns the exit status."""
    try:
        config_flags.define()
        if command.show_help(argv, flags.FLAGS, __doc__):
            return 0
        config = config_flags.parse(argv)
    except (flags.Error, ValueError) as error:
        return refuse(error)
    # TensorFlow takes seconds to load: only once the flags are known to be right.
    load_tensorflow()
    from hcm_tf.runs import experiment

    try:
        experiment.run(config, WORKDIR.value)
    except UserError as error:  # Any other error is ours, and shows its traceback.
        return refuse(error)
    except Stopped as stopped:
        return stopped.status
    return 0


def refuse(error: Exception) -> int:
    """Tells of a mistake in one line; returns the exit status."""
    print(f"train_main: {command.printable(str(error))}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
