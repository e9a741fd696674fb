"""How far a TFLite model is from Keras, how fast it is and what it takes."""

import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from export.signatures import Signature
from hcm_tf.runs.checkpoint import Run

BATCH = 16
GREY_LEVELS = 127.5  # Images in [-1, 1] span 255.
COLUMNS = (
    ("network", "{}"),
    ("precision", "{}"),
    ("size MB", "{:.1f}"),
    ("mean error", "{:.4f}"),
    ("99th percentile", "{:.3f}"),
    ("worst", "{:.2f}"),
    ("flipped units", "{}"),
    ("ms, 1 thread", "{:.1f}"),
    ("ms, 2 threads", "{:.1f}"),
    ("peak MB, 1 thread", "{:.0f}"),
    ("peak MB, 2 threads", "{:.0f}"),
    ("written", "{}"),
)


class Judge:
    """Compares TFLite models with the networks they were made from.

    Args:
        run: the networks; the generator in the execution that was exported.
        count: latents to compare on: those of the seeds 0 to count - 1.
    """

    def __init__(self, run: Run, count: int) -> None:
        self.run = run
        generator = run.generator
        seeds = tf.range(count)
        self.latents = run.prior.from_seeds(seeds).numpy()
        self._draw = tf.function(generator.call, reduce_retracing=True)
        self._encode = tf.function(run.encoder.call, reduce_retracing=True)
        self._active = tf.function(self._active_units, reduce_retracing=True)
        self.images = _in_batches(self._draw, self.latents)

    def twin_signatures(self, name: str) -> dict[str, dict[str, Signature]]:
        """Signatures of a second model, "twin", which shows what an export hides.

        The encoder has none.
        """
        if name == "encoder":
            return {}
        spec = tf.TensorSpec((None, self.latents.shape[1]), tf.float32, "latent")
        return {
            "twin": {
                "active": Signature(lambda x: {"active": self._active_units(x)}, spec)
            }
        }

    def measure(self, name: str, contents: bytes) -> dict[str, object]:
        """Errors in grey levels, of the signature where each is largest.

        Args:
            name: "generator" or "encoder"; the encoder's images are those that the
                Keras generator draws from its latents.
            contents: the model to judge.

        Returns:
            `mean_error`, `percentile_99_error`, `worst_error` over pixels, and
            `mean_errors`, the first of them for each signature.

        Raises:
            ValueError: a signature draws from what is neither a latent nor a seed.
        """
        if name == "generator":
            drawn = self._drawn(contents)
            expected = self.images
        else:
            model = runner(contents, "encode")
            latents = _in_batches(lambda x: model(image=x)["latent"], self.images)
            drawn = {"encode": _in_batches(self._draw, latents)}
            expected = _in_batches(self._draw, _in_batches(self._encode, self.images))
        errors = {
            signature: np.abs(images - expected) * GREY_LEVELS
            for signature, images in drawn.items()
        }
        mean_errors = {key: float(values.mean()) for key, values in errors.items()}
        return {
            "mean_error": max(mean_errors.values()),
            "percentile_99_error": max(
                float(np.percentile(values, 99)) for values in errors.values()
            ),
            "worst_error": max(float(values.max()) for values in errors.values()),
            "mean_errors": mean_errors,
        }

    def mean_error(self, contents: bytes) -> float:
        """Mean error, in grey levels, of a generator for a batch of 1."""
        model = runner(contents, "generate")
        drawn = [model(latent=latent[None])["images"] for latent in self.latents]
        errors = np.abs(np.concatenate(drawn) - self.images)
        return float(errors.mean() * GREY_LEVELS)

    def flipped(self, twin: bytes) -> float:
        """The fraction of units that flipped.

        Args:
            twin: of `twin_signatures`, in the precision to judge.

        Returns:
            Of the units active in Keras, over all sparse levels, the fraction that is
            not active in the model.
        """
        model = runner(twin, "active")
        lost = active = 0
        for start in range(0, len(self.latents), BATCH):
            latent = self.latents[start : start + BATCH]
            expected = self._active(latent).numpy()
            found = model(latent=latent)["active"] > 0
            lost += np.count_nonzero((expected > 0) & ~found)
            active += np.count_nonzero(expected)
        return float(lost / active)

    def _drawn(self, contents: bytes) -> dict[str, np.ndarray]:
        """The images of every signature that draws, by its name."""
        inputs = {
            "latent": self.latents,
            "seed": np.arange(len(self.latents), dtype="int32"),
        }
        drawn = {}
        for signature, described in signatures(contents).items():
            if "images" not in described["outputs"]:
                continue
            named = set(described["inputs"]) - {"label"}
            if named not in ({"latent"}, {"seed"}):
                raise ValueError(
                    f"no way to judge `{signature}` of inputs {described['inputs']}: "
                    "expected `latent` or `seed`."
                )
            (key,) = named
            labelled = named != set(described["inputs"])
            model = runner(contents, signature)
            drawn[signature] = _in_batches(
                lambda x, model=model, key=key, labelled=labelled: model(
                    **{key: x}, **(self._no_class(len(x)) if labelled else {})
                )["images"],
                inputs[key],
            )
        return drawn

    def _no_class(self, rows: int) -> dict[str, np.ndarray]:
        """An input by which each seed decides its classes, as where there is none."""
        return {"label": np.full((rows, len(self.run.generator.classes)), -1, "int32")}

    def _active_units(self, latent: tf.Tensor) -> tf.Tensor:
        """1 for each active unit of all levels, else 0: float32 `(batch, units)`."""
        codes = self.run.generator.trace(latent).codes
        return tf.concat(
            [
                tf.reshape(
                    tf.cast(tf.not_equal(code, 0.0), tf.float32),
                    (-1, int(np.prod(code.shape[1:]))),
                )
                for code in codes
            ],
            axis=1,
        )


def signatures(contents: bytes) -> dict[str, dict[str, list[str]]]:
    """Names of `inputs` and of `outputs` of each signature of a TFLite model."""
    interpreter = Interpreter(model_content=contents, num_threads=1)
    return interpreter.get_signature_list()


def runner(contents: bytes, signature: str):
    """A function of one signature of a TFLite model; inputs by name."""
    # More threads wait for each other by spinning: endlessly, on a busy machine.
    interpreter = Interpreter(model_content=contents, num_threads=1)
    return interpreter.get_signature_runner(signature)


def speed(contents: bytes) -> dict[str, float]:
    """Milliseconds and peak memory in MB at 1 and 2 threads, in a fresh process each.

    Args:
        contents: a model for a batch of 1.
    """
    script = pathlib.Path(__file__).parent / "device" / "measure.py"
    measured = {}
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(contents)
        file.flush()
        for threads in (1, 2):
            finished = subprocess.run(
                [sys.executable, str(script), file.name, str(threads)],
                capture_output=True,
                text=True,
                check=True,
            )
            one = json.loads(finished.stdout.splitlines()[-1])
            measured[f"milliseconds_{threads}"] = one["milliseconds"]
            measured[f"peak_megabytes_{threads}"] = one["peak_megabytes"]
    return measured


def table(rows: list[dict], *, speeds: bool = True) -> str:
    """The measurements as a Markdown table.

    Args:
        rows: of `export.tflite.export`; errors are in grey levels of 255.
        speeds: with the columns in milliseconds.
    """
    shown = [speeds or not name.startswith("ms") for name, _ in COLUMNS]
    names = [name for name, _ in itertools.compress(COLUMNS, shown)]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in rows:
        flipped = row["flipped"]
        values = (
            row["network"],
            row["precision"],
            row["bytes"] / 1e6,
            row["mean_error"],
            row["percentile_99_error"],
            row["worst_error"],
            "" if flipped is None else f"{flipped:.2%}",
            row["milliseconds_1"],
            row["milliseconds_2"],
            row["peak_megabytes_1"],
            row["peak_megabytes_2"],
            "yes" if row["written"] else "no",
        )
        cells = [
            form.format(value) for (_, form), value in zip(COLUMNS, values, strict=True)
        ]
        lines.append("| " + " | ".join(itertools.compress(cells, shown)) + " |")
    return "\n".join(lines)


def _in_batches(function, inputs: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [
            np.asarray(function(inputs[start : start + BATCH]))
            for start in range(0, len(inputs), BATCH)
        ]
    )
