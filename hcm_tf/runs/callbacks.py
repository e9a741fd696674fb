"""What happens around the training steps: progress, logs, pictures, checkpoints.

Of several workers only the chief writes; what may end the training all of them check.
"""

import json
import pathlib
import signal
import time
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from hcm_tf import files, images
from hcm_tf.runs.divergence import Guard
from hcm_tf.runs.preview import Preview
from hcm_tf.runs.run_directory import METRICS_FILE, records, writing
from hcm_tf.runs.workers import ALONE, Workers

SHOWN = {
    "critic_loss": "critic",
    "generator_loss": "generator",
    "reconstruction_error": "reconstruction",
}
_OVER = 1  # A number that no signal has which `Stop` listens to.


class _StepCallback(keras.callbacks.Callback):
    """Calls `on_step(step, logs)` with the run's step, counted from 1."""

    def __init__(self, first_step: int) -> None:
        super().__init__()
        self.first_step = first_step

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.on_step(self.first_step + batch + 1, logs or {})

    def on_step(self, step: int, logs: dict[str, Any]) -> None:
        raise NotImplementedError


class Progress(_StepCallback):
    """A progress bar: steps, images per second, time left and losses."""

    def __init__(self, first_step: int, steps: int, batch_size: int) -> None:
        super().__init__(first_step)
        self.steps = steps
        self.batch_size = batch_size
        self.bar = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.bar = tqdm(
            total=self.steps,
            initial=self.first_step,
            unit="step",
            dynamic_ncols=True,
            mininterval=0.5,
            bar_format="{n_fmt}/{total_fmt} steps |{bar:12}| {remaining} left{postfix}",
        )
        self.bar.set_postfix_str("the first step takes a little longer")

    def on_step(self, step: int, logs: dict[str, Any]) -> None:
        shown = self.bar.last_print_t
        self.bar.update(step - self.bar.n)
        if self.bar.last_print_t != shown and step > self.first_step + 1:
            rate = self.bar.format_dict["rate"] or 0.0
            losses = (f"{SHOWN[name]} {float(logs[name]):.3g}" for name in SHOWN)
            self.bar.set_postfix_str(
                f"{rate * self.batch_size:.1f} images/s, {', '.join(losses)}",
                refresh=False,
            )

    def close(self) -> None:
        """Leaves the line, also after an error."""
        if self.bar is not None:
            self.bar.close()


class MetricsLog(_StepCallback):
    """Writes losses and speed to `metrics.jsonl` and to TensorBoard.

    A step that was left out has no losses, but a line that says so. Losses of any other
    that are not finite end the training; see `divergence`.
    """

    def __init__(
        self,
        first_step: int,
        run_dir: pathlib.Path,
        writer: tf.summary.SummaryWriter | None,
        guard: Guard,
        *,
        every: int,
        batch_size: int,
        workers: Workers = ALONE,
    ) -> None:
        super().__init__(first_step)
        self.run_dir = run_dir
        self.path = run_dir / METRICS_FILE
        self.writer = writer
        self.guard = guard
        self.every = every
        self.batch_size = batch_size
        self.writes = workers.is_chief

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.writes:
            with writing(self.run_dir):
                forget_after(self.path, self.first_step)
        self.since = (self.first_step, time.perf_counter())

    def on_step(self, step: int, logs: dict[str, Any]) -> None:
        if step == self.first_step + 1:
            # Tracing belongs to the first step and would spoil the first rate.
            self.since = (step, time.perf_counter())
        left_out = float(logs["left_out"]) > 0
        if left_out and self.writes:
            tqdm.write(f"Step {step} is left out: its gradients are not finite.")
            with writing(self.run_dir):
                append(self.path, {"step": step, "left_out": 1})
        self.guard.count(step, left_out)
        if step % self.every or left_out:
            return
        values = {name: float(logs[name]) for name in logs if name != "left_out"}
        self.guard.check_metrics(step, values)
        if not self.writes:
            return
        then, now = self.since, (step, time.perf_counter())
        if now[0] > then[0]:
            steps_per_second = (now[0] - then[0]) / (now[1] - then[1])
            values["images_per_second"] = steps_per_second * self.batch_size
        self.since = now
        with writing(self.run_dir), self.writer.as_default(step=step):
            append(self.path, {"step": step, **values})
            for name, value in values.items():
                tf.summary.scalar(f"training/{name}", value)


class Pictures(_StepCallback):
    """Draws fixed seeds and held-out reconstructions, and measures them."""

    def __init__(
        self,
        first_step: int,
        run_dir: pathlib.Path,
        writer: tf.summary.SummaryWriter | None,
        preview: Preview | None,
        guard: Guard,
        *,
        every: int,
        workers: Workers = ALONE,
    ) -> None:
        super().__init__(first_step)
        self.run_dir = run_dir
        self.writer = writer
        self.preview = preview
        self.guard = guard
        self.every = every
        self.writes = workers.is_chief
        self.drawn_at = None

    def on_step(self, step: int, logs: dict[str, Any]) -> None:
        if step % self.every == 0:
            self.draw(step)

    def draw(self, step: int) -> dict[str, float]:
        """Writes the pictures of one step; returns what was measured, if it was here.

        Raises:
            UserError: the weights are not finite, or the files cannot be written.
        """
        if self.drawn_at == step:
            return self.measured
        self.guard.check_weights(step)
        if not self.writes:
            return {}
        self.measured = self.preview.measure()
        grids = {
            "samples": images.grid(self.preview.samples()),
            "reconstructions": images.grid(self.preview.reconstructions(), columns=8),
        }
        log = self.run_dir / METRICS_FILE
        with writing(self.run_dir), self.writer.as_default(step=step):
            # A finished run that is started again measures the same once more.
            if step > self.first_step or not _is_measured(log, step):
                append(log, {"step": step, **self.measured})
            for name, pixels in grids.items():
                path = self.run_dir / "images" / f"{name}-{step:06d}.png"
                images.write_png(path, pixels, scale=2)
                tf.summary.image(name, pixels[None] / 255.0)
            for name, value in self.measured.items():
                tf.summary.scalar(f"evaluation/{name}", value)
            self.writer.flush()
        self.drawn_at = step
        return self.measured


class Checkpoints(_StepCallback):
    """Saves everything that training needs to go on, also at the end.

    A checkpoint holds finite numbers only; others end the training, see `divergence`.
    """

    def __init__(
        self,
        first_step: int,
        run_dir: pathlib.Path,
        manager: tf.train.CheckpointManager | None,
        guard: Guard,
        *,
        every: int,
        minutes: float,
        workers: Workers = ALONE,
    ) -> None:
        super().__init__(first_step)
        self.run_dir = run_dir
        self.manager = manager
        self.guard = guard
        self.every = every
        self.seconds = 60 * minutes
        self.workers = workers
        self.step = self.saved = first_step
        self.saved_at = time.monotonic()

    def on_step(self, step: int, logs: dict[str, Any]) -> None:
        self.step = step
        # Steps that are left out may be the end of it: none of them is gone back to.
        if self.guard.left_out:
            return
        if step % self.every == 0 or self._is_late():
            self.save()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.step > self.saved:
            self.save()

    def save(self) -> None:
        """Saves the step that training is at.

        Raises:
            UserError: the weights are not finite, or the files cannot be written.
        """
        self.guard.check_weights(self.step)
        # Not collective: every worker has all weights, and nobody reads another's.
        if self.workers.is_chief:
            with writing(self.run_dir):
                self.manager.save(checkpoint_number=self.step)
        self.saved, self.saved_at = self.step, time.monotonic()
        self.guard.good = self.step

    def _is_late(self) -> bool:
        if not self.seconds:
            return False
        late = time.monotonic() - self.saved_at >= self.seconds
        return self.workers.most(int(late)) > 0


class Stop(keras.callbacks.Callback):
    """Ends training between two steps: after a time, on Ctrl-C or on SIGTERM.

    A second Ctrl-C ends the program at once. What ends one worker's training ends that
    of all, after the same step. The time is that of the session, which may begin to
    train several times: again after each divergence.
    """

    def __init__(self, seconds: float, workers: Workers = ALONE) -> None:
        super().__init__()
        self.seconds = seconds
        self.workers = workers
        self.reason = ""
        self.number = 0
        self.began = None
        self.previous = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.began is None:
            self.began = time.perf_counter()
        self.previous = {
            number: signal.signal(number, self.on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        own = self.number
        if self.seconds and time.perf_counter() - self.began >= self.seconds:
            own = own or _OVER
        number = self.workers.most(own)
        if number == _OVER:
            self.reason = f"--seconds={self.seconds:g} are over"
        elif number:
            self.number = number
            self.reason = f"stopped by {signal.Signals(number).name}"
        if number:
            self.model.stop_training = True

    def release(self) -> None:
        """Gives the signals back to whoever had them, also after an error."""
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}

    def on_signal(self, number: int, frame: Any) -> None:
        """Asks for the end of training after this step."""
        self.number = number
        self.reason = f"stopped by {signal.Signals(number).name}"
        tqdm.write("Stopping after this step, and saving; press Ctrl-C again to quit.")
        self.release()


def append(path: pathlib.Path, values: dict[str, Any]) -> None:
    """Adds one line of JSON to a file."""
    with path.open("a") as file:
        file.write(json.dumps(values) + "\n")


def _is_measured(path: pathlib.Path, step: int) -> bool:
    """Whether the last line of a log is a measurement of this step."""
    last = [{}, *records(path)][-1]
    return last.get("step") == step and "held_out_error" in last


def forget_after(path: pathlib.Path, step: int) -> None:
    """Removes the lines of steps that will be run again, and a torn last line."""
    if not path.exists():
        return
    # A power cut leaves bytes of any kind.
    lines = path.read_text(errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if _is_up_to(line, step)]
    if kept != lines:
        files.write(path, "".join(kept))


def _is_up_to(line: str, step: int) -> bool:
    try:
        return json.loads(line)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False
