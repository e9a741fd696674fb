"""What the processes that train one run together agree on.

Each computes the same step on its share of the batch, so all hold the same weights, and
most decisions need no talk. What only one of them knows (a signal, a clock, the files
that it sees) is put to all before anybody acts on it: a worker that acted alone would
leave the others waiting for it.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

import tensorflow as tf

from hcm_tf.errors import UserError
from hcm_tf.runs import cluster

T = TypeVar("T")


class Workers:
    """The processes of a run, and this one's place among them; one may be alone.

    Every method but `share` is collective: all workers must call it, in the same order.

    Args:
        strategy: that the run trains under.
        cluster: of its processes; None: this one is alone.

    Attributes:
        strategy: as above.
        count: of processes.
        index: of this one.
        is_chief: whether it is the one that writes the run directory.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy | None = None,
        cluster: cluster.Cluster | None = None,
    ) -> None:
        self.strategy = strategy
        self.count = len(cluster.addresses) if cluster else 1
        self.index = list(cluster.addresses).index(cluster.name) if cluster else 0
        self.is_chief = self.index == 0
        self._gather = tf.function(self._by_replica, autograph=False)

    def gather(self, value: int) -> list[int]:
        """The value that each worker calls this with, an int64, in their order."""
        if self.count == 1:
            return [value]
        values = self._gather(tf.constant(value, tf.int64))
        (values, *_) = self.strategy.experimental_local_results(values)
        # A worker's replicas stand together, and say the same.
        return values.numpy()[:: len(values) // self.count].tolist()

    def most(self, value: int) -> int:
        """The largest of all workers' values."""
        return max(self.gather(value))

    def agree(self, value: int, otherwise: str) -> None:
        """Compares a value of all workers, and so waits for them.

        Args:
            value: what must be the same.
            otherwise: what is wrong if it is not; `{values}` stands for the values.

        Raises:
            UserError: it is not.
        """
        values = self.gather(value)
        if len(set(values)) > 1:
            listed = ", ".join(str(value) for value in values)
            raise UserError(otherwise.replace("{values}", listed))

    def chief_first(self, function: Callable[[], T]) -> T:
        """What a function returns, which leaves files for the others on the chief."""
        if self.is_chief:
            result = function()
            self.gather(0)
            return result
        self.gather(0)
        return function()

    def part(self) -> None:
        """Waits until all are here, after which any of them may end."""
        self.gather(0)
        # Whoever comes back from this one knows that all came back from the one above,
        # and ends; to those who still wait that looks like a death.
        with contextlib.suppress(tf.errors.OpError):
            self.gather(0)

    def share(self, batch_size: int) -> slice:
        """The rows of a batch that this worker's replicas train on."""
        own = batch_size // self.count
        return slice(self.index * own, (self.index + 1) * own)

    def _by_replica(self, value: tf.Tensor) -> tf.Tensor:
        def place(value: tf.Tensor) -> tf.Tensor:
            replica = tf.distribute.get_replica_context()
            own = tf.one_hot(
                replica.replica_id_in_sync_group,
                replica.num_replicas_in_sync,
                dtype=tf.int64,
            )
            return replica.all_reduce(tf.distribute.ReduceOp.SUM, own * value)

        return self.strategy.run(place, args=(value,))


ALONE = Workers()


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """What a worker's death does to the others is told in one line.

    TensorFlow's coordination service misses the heartbeat of a worker that is dead,
    stopped or out of reach, after about ten seconds, and aborts what waits for it.

    Raises:
        UserError: a worker is lost, or never came.
    """
    try:
        yield
    except tf.errors.OpError as error:
        known = cluster.read()
        if known is None or not _is_loss(error):
            raise
        raise UserError(
            f"{known.name} has lost {_lost(error, known)}. Start all of them again "
            "with the same command: they go on from the last checkpoint."
        ) from error


def _is_loss(error: tf.errors.OpError) -> bool:
    kinds = (
        tf.errors.UnavailableError,
        tf.errors.DeadlineExceededError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
    )
    return isinstance(error, kinds) or "ollective" in str(error)


def _lost(error: tf.errors.OpError, known: cluster.Cluster) -> str:
    """The other worker that an error names, or that there is one."""
    for job, task in re.findall(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)", str(error)):
        name = f"{job} {task}"
        if name != known.name and name in known.addresses:
            return f"{name} ({known.addresses[name]})"
    return "another worker"
