"""What every command of this package shares with the others: `hcm_tf.command`."""

from hcm_tf.command import FAILURES, printable, run

__all__ = ["FAILURES", "printable", "run"]
