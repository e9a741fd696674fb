"""The devices a run trains on: every GPU, or the CPU, of one machine or several."""

import contextlib
import faulthandler
import signal
import sys

import tensorflow as tf

from hcm_tf.config import ExperimentConfig, check_batch
from hcm_tf.errors import UserError
from hcm_tf.runs.cluster import Cluster

CONNECTING = 60.0  # Seconds that TensorFlow may take to connect workers that are there.


def make_strategy(
    config: ExperimentConfig, cluster: Cluster | None = None
) -> tf.distribute.Strategy:
    """A strategy over `replicas` GPUs or logical CPUs, of each of the workers.

    All workers of a cluster must be there (`meeting`).

    Raises:
        UserError: there are fewer devices, or the batch cannot be shared by them.
    """
    if cluster is None:
        return _of_one_machine(config)
    _repeatable()
    _choose_devices(config.train.replicas)
    before = signal.getsignal(signal.SIGTERM)
    # All are there. Should one die right now, TensorFlow would wait for it, and deaf.
    faulthandler.dump_traceback_later(CONNECTING, exit=True)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    finally:
        faulthandler.cancel_dump_traceback_later()
    # TensorFlow has taken SIGTERM for itself, and would do nothing about it.
    signal.signal(signal.SIGTERM, before)
    _check_batch(config, strategy.num_replicas_in_sync)
    return strategy


def _of_one_machine(config: ExperimentConfig) -> tf.distribute.MirroredStrategy:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    wanted = config.train.replicas
    if kind == "CPU" and wanted > 1:
        _split_cpu(wanted)
    available = [device.name for device in tf.config.list_logical_devices(kind)]
    replicas = wanted or (len(available) if kind == "GPU" else 1)
    if replicas > len(available):
        raise UserError(
            f"`replicas`: {replicas} asked for, but only {len(available)} "
            f"{kind}(s) found. Lower --replicas."
        )
    _check_batch(config, replicas)
    return mirrored(available[:replicas])


def mirrored(devices: list[str]) -> tf.distribute.MirroredStrategy:
    """A MirroredStrategy that reduces in the way that suits the devices."""
    _repeatable()
    if "GPU" in devices[0]:
        return tf.distribute.MirroredStrategy(devices)
    # The default's collective operations on logical CPUs confuse the several
    # reductions of one step ("Shape mismatch in the collective instance").
    return tf.distribute.MirroredStrategy(
        devices, cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


def _check_batch(config: ExperimentConfig, replicas: int) -> None:
    try:
        check_batch(config, replicas)
    except ValueError as error:
        raise UserError(str(error)) from error
    batch = config.train.batch_size
    group, share = min(config.model.stddev_group_size, batch), batch // replicas
    if share < group:
        print(
            f"Each of {replicas} replicas has {share} image(s) of a batch and compares "
            f"those, not groups of {group} (--stddev_group_size): one alone would "
            "compute other numbers.",
            file=sys.stderr,
        )


def _choose_devices(wanted: int) -> None:
    """Leaves this worker as many GPUs as are wanted; it has one CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    available = len(gpus) or 1
    if wanted > available:
        raise UserError(
            f"`replicas`: {wanted} asked for of each worker, but this one has "
            f"{available} {'GPU' if gpus else 'CPU'}(s). Lower --replicas."
        )
    if wanted and gpus:
        tf.config.set_visible_devices(gpus[:wanted], "GPU")


def _repeatable() -> None:
    """Sets for all graphs that come after what makes training repeatable."""
    # This pass of TensorFlow 2.21 drops control edges between reading a variable and
    # its new value: a step of the published recipe then took the critic's last weights
    # now from before its update, now from after it (tests/training/test_read_order.py).
    tf.config.optimizer.set_experimental_options({"dependency_optimization": False})


def _split_cpu(parts: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    # Once TensorFlow is in use this fails, and the devices it has are counted.
    with contextlib.suppress(RuntimeError):
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * parts
        )
