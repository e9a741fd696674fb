"""One experiment from its configuration: data, networks, training, what came out."""

import contextlib
import dataclasses
import json
import pathlib
import re
import sys
import time
import zlib

import numpy as np
import tensorflow as tf

from hcm_tf import data, labels
from hcm_tf.config import ExperimentConfig
from hcm_tf.errors import Stopped, UserError
from hcm_tf.images import to_float
from hcm_tf.runs import (
    callbacks,
    checkpoint,
    cluster,
    devices,
    loop,
    meeting,
    run_directory,
    warm_start,
)
from hcm_tf.runs.building import build_trainer, saved_objects
from hcm_tf.runs.divergence import Diverged, Guard
from hcm_tf.runs.lock import locked
from hcm_tf.runs.preview import Preview
from hcm_tf.runs.workers import Workers, watched
from hcm_tf.training.trainer import Trainer

RETREATS = 3  # Times that one session goes back after it has diverged.


def run(config: ExperimentConfig, workdir: str | pathlib.Path) -> dict[str, float]:
    """Trains, or goes on training, in `workdir`.

    Args:
        config: what to train, on what, for how long.
        workdir: gets `config.json`, `metrics.jsonl`, `images/`, `checkpoints/` and
            `tensorboard/`. If it holds a run of the same configuration, that is resumed
            with the step it would have taken next. No other process may train there
            (`lock`).

    Where `TF_CONFIG` names several workers (`cluster`), each is a process that calls
    this with the same arguments. They share every batch; the first of them, the chief,
    writes `workdir`, which all must see.

    Returns:
        The last measurements, as in `preview.Preview.measure`; none on workers that are
        not the chief.

    Where training diverges it goes back to the last checkpoint, with half the learning
    rate, up to RETREATS times; a later session begins with the configured rate again.

    Raises:
        UserError: something that the user can mend, in one line.
        Stopped: a signal ended training, which was saved.
    """
    workdir = pathlib.Path(workdir)
    with watched(), contextlib.ExitStack() as stack:
        workers = _assemble(config)
        if workers.is_chief:
            run_directory.make(workdir)
            with run_directory.writing(workdir):
                stack.enter_context(locked(workdir))
        try:
            goes_on = _goes_on(config, workdir, workers)
            stop = callbacks.Stop(config.train.seconds, workers)
            for _ in range(RETREATS):
                try:
                    return _run(config, workdir, goes_on, stop, workers)
                except Diverged as error:
                    config, goes_on = _slower(config, error), True
            return _run(config, workdir, goes_on, stop, workers)
        except tf.errors.OpError as error:
            if not _is_out_of_memory(error):
                raise
            raise UserError(_out_of_memory(workdir, error)) from error


def _assemble(config: ExperimentConfig) -> Workers:
    """The workers that `TF_CONFIG` names, once all are there; or this process alone."""
    named = cluster.read()
    if named is None:
        return Workers(devices.make_strategy(config))
    meeting.wait_for_all(named)
    return Workers(devices.make_strategy(config, named), named)


def _goes_on(config: ExperimentConfig, workdir: pathlib.Path, workers: Workers) -> bool:
    """Whether the directory holds a run that is to go on, for all workers alike."""
    data_config = dataclasses.replace(config.data, data_dir="")
    same = dataclasses.replace(config, data=data_config).to_json()
    # Waits for the chief, too, to make the directory.
    workers.agree(
        zlib.crc32(json.dumps(same, sort_keys=True).encode()),
        "the workers were started with different flags. Give all of them the same "
        "command.",
    )
    goes_on = workdir.is_dir() and run_directory.check(config, workdir)
    workers.agree(
        2 * workdir.is_dir() + goes_on,
        f"the workers do not see the same files in {workdir}. It must be on a file "
        "system that all of them see.",
    )
    return goes_on


def _slower(config: ExperimentConfig, error: Diverged) -> ExperimentConfig:
    """The configuration to go back with, of half the learning rate; says so."""
    rate = config.train.learning_rate / 2
    print(f"{error} This is done now, with {rate:g}.", file=sys.stderr)
    return dataclasses.replace(
        config, train=dataclasses.replace(config.train, learning_rate=rate)
    )


def _run(
    config: ExperimentConfig,
    workdir: pathlib.Path,
    goes_on: bool,
    stop: callbacks.Stop,
    workers: Workers,
) -> dict[str, float]:
    strategy = workers.strategy
    train_images, held_out = workers.chief_first(lambda: _load_images(config))
    images = {"images": len(train_images), "sha256": train_images.digest()}
    workers.agree(
        int(images["sha256"][:15], 16),
        f"the workers do not have the same images of --dataset={config.data.dataset}.",
    )
    config, numbers = _with_labels(config, train_images)
    if goes_on:
        run_directory.check_data(workdir, images)
        run_directory.check_labels(workdir, config)
    with strategy.scope():
        trainer = build_trainer(config, strategy.num_replicas_in_sync)
    saved = saved_objects(trainer)
    first_step, origin = 0, None
    if goes_on:
        first_step = _resume(config, workdir, trainer, saved, workers)
        origin = run_directory.origin(workdir)
    elif config.train.init_from:
        origin = warm_start.begin(config, saved)
    _compare_weights(workdir, saved, workers)
    steps, batch_size = config.train.steps, config.train.batch_size

    def labels_of(chosen: np.ndarray) -> np.ndarray:
        return labels.one_hot(config.model.given, numbers[chosen])

    dataset = data.make_batches(
        train_images.images,
        batch_size,
        seed=config.train.seed,
        start_step=first_step,
        horizontal_flip=config.data.horizontal_flip,
        batch_order=trainer.noise.batch_order,
        rows=workers.share(batch_size),
        labels=labels_of if numbers.size else None,
        balanced=numbers[:, 0] if config.data.balanced else None,
    )
    guard = Guard(saved, first_step, config.train.learning_rate)
    manager = writer = preview = None
    if workers.is_chief:
        with run_directory.writing(workdir):
            manager = checkpoint.manager(workdir, tf.train.Checkpoint(**saved))
            writer = tf.summary.create_file_writer(str(workdir / "tensorboard"))
        preview = Preview(
            trainer.average_generator or trainer.generator,
            trainer.encoder,
            to_float(held_out.images),
            trainer.prior,
            config.model.labels,
            labels.numbers(config.model.given, held_out),
        )
    saving = callbacks.Checkpoints(
        *(first_step, workdir, manager, guard),
        every=config.train.checkpoint_every,
        minutes=config.train.checkpoint_minutes,
        workers=workers,
    )
    if not goes_on:
        saving.save()
    if workers.is_chief:
        with run_directory.writing(workdir):
            run_directory.write_config(
                *(config, workdir, strategy.num_replicas_in_sync),
                origin=origin,
                data=images,
            )
    drawing = callbacks.Pictures(
        *(first_step, workdir, writer, preview, guard),
        every=config.train.image_every,
        workers=workers,
    )
    logging = callbacks.MetricsLog(
        *(first_step, workdir, writer, guard),
        every=config.train.log_every,
        batch_size=batch_size,
        workers=workers,
    )
    progress = []
    if workers.is_chief:
        progress = [callbacks.Progress(first_step, steps, batch_size)]
        print(
            _opening(
                *(config, workdir, train_images, held_out, first_step, goes_on), workers
            )
        )
    began = time.perf_counter()
    if first_step < steps:
        try:
            loop.train(
                trainer,
                dataset,
                steps - first_step,
                [*progress, logging, drawing, stop, saving],
                workers,
            )
        finally:
            for bar in progress:
                bar.close()
            stop.release()
    step = int(trainer.step.numpy())
    measured = drawing.draw(step)
    if workers.is_chief:
        seconds = time.perf_counter() - began
        print(_closing(workdir, step, steps, stop.reason, measured, seconds))
    number = workers.most(stop.number)
    workers.part()
    if number:
        raise Stopped(stop.reason, number)
    return measured


def _with_labels(
    config: ExperimentConfig, images: data.ImageSet
) -> tuple[ExperimentConfig, np.ndarray]:
    """The configuration with the labels of its data; their classes, `(n, labels)`."""
    found = labels.all_of(config.model, config.data, images)
    model = dataclasses.replace(config.model, labels=found)
    numbers = labels.numbers(model.given, images)
    return dataclasses.replace(config, model=model), numbers


def _compare_weights(
    workdir: pathlib.Path, saved: dict[str, tf.Module], workers: Workers
) -> None:
    """Makes sure that all workers begin with the same values of what is saved."""
    if workers.count == 1:
        return
    checksum = 0
    for holder in saved.values():
        for variable in holder.variables:
            checksum = zlib.crc32(np.ascontiguousarray(variable.numpy()), checksum)
    workers.agree(
        checksum,
        "the workers do not begin with the same weights. What --init_from names and "
        f"{workdir} must be the same files for all.",
    )


def _load_images(config: ExperimentConfig) -> tuple[data.ImageSet, data.ImageSet]:
    """`data.load`; what fails is blamed on the data."""
    name, model = config.data.dataset, config.model
    try:
        return data.load(config.data, model.image_size, model.image_channels)
    except MemoryError as error:
        raise UserError(
            f"the images of --dataset={name} do not fit into memory: lower "
            "--max_images."
        ) from error
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"the images of --dataset={name} cannot be read: {_first_line(error)}. "
            "Mend the cause, or change --dataset or --data_dir."
        ) from error


def _resume(
    config: ExperimentConfig,
    workdir: pathlib.Path,
    trainer: Trainer,
    saved: dict[str, tf.Module],
    workers: Workers,
) -> int:
    """Restores what was saved last; returns its step."""
    step = checkpoint.resume(workdir, saved, workers)
    # A checkpoint holds a constant learning rate too, but the flag decides. A
    # schedule is made from the flags and not saved, and Keras lets nobody set it.
    if not config.train.cooldown_steps:
        for optimizer in (trainer.generator_optimizer, trainer.critic_optimizer):
            optimizer.learning_rate = config.train.learning_rate
    before = checkpoint.read_config(workdir).train.learning_rate
    if before != config.train.learning_rate and workers.is_chief:
        change = {"step": step, "learning_rate": config.train.learning_rate}
        with run_directory.writing(workdir):
            callbacks.forget_after(workdir / run_directory.METRICS_FILE, step)
            callbacks.append(workdir / run_directory.METRICS_FILE, change)
    return step


def _is_out_of_memory(error: tf.errors.OpError) -> bool:
    # CUDA's own allocator fails with an internal error.
    return isinstance(error, tf.errors.ResourceExhaustedError) or (
        "out of memory" in str(error).lower().replace("_", " ")
    )


def _out_of_memory(workdir: pathlib.Path, error: tf.errors.OpError) -> str:
    # The message may begin with the graph's own traceback, whose lines name files.
    lines = [line.strip() for line in str(error).splitlines()]
    told = (
        line
        for line in lines
        if not line.startswith("File ") and ("OOM" in line or "memory" in line.lower())
    )
    # TensorFlow names the node too: {{node ...}}.
    reason = re.sub(r"{{.*?}} *", "", next(told, _first_line(error)))
    return (
        f"out of memory: {reason}. Start the same command with "
        "--recompute, or with a lower --batch_size in another --workdir. What was "
        f"saved in {workdir} is intact."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _opening(
    config: ExperimentConfig,
    workdir: pathlib.Path,
    train_images: data.ImageSet,
    held_out: data.ImageSet,
    first_step: int,
    goes_on: bool,
    workers: Workers,
) -> str:
    size, channels = config.model.image_size, config.model.image_channels
    used = ", ".join(
        device.rsplit("device:", 1)[-1]
        for device in workers.strategy.extended.worker_devices
    )
    if workers.count > 1:
        used = f"{workers.count} workers, each on {used}"
    begins = f"resumes after step {first_step}" if goes_on else "begins"
    if config.train.init_from and not goes_on:
        begins += f" with the networks of {config.train.init_from}"
    return (
        f"{workdir} {begins}: {train_images.name}, {len(train_images.images)} images "
        f"to train on, {len(held_out.images)} held out, {size}x{size}x{channels}; "
        f"batch {config.train.batch_size} on {used}"
    )


def _closing(
    workdir: pathlib.Path,
    step: int,
    steps: int,
    reason: str,
    measured: dict[str, float],
    seconds: float,
) -> str:
    done, more = "Done", "to train longer, raise --steps"
    if step < steps:
        done = f"Paused ({reason})"
        more = "the same command again goes on from here"
    return f"""{done} after step {step} of {steps} and {seconds:.0f} s; {more}.
Held-out reconstruction error: {measured["held_out_error"]:.4f}, that is \
{measured["held_out_of_pixel_variance"]:.3f} of the variance of the pixels
({measured["held_out_of_image_variance"]:.3f} of the variance around the mean image).

  {workdir}/images/samples-{step:06d}.png          drawn from latents
  {workdir}/images/reconstructions-{step:06d}.png  held-out images, drawn again below
  {workdir}/metrics.jsonl                   losses and speed; with pictures, sparsity
  {workdir}/checkpoints/                    what the next session goes on from

Curves and pictures in the browser:  tensorboard --logdir={workdir}"""
