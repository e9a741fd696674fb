"""Makes a classifier of a data set's labels, to see generated images with.

python -m hcm_tf.features.train --dataset=avatars --out=parts.npz
python -m hcm_tf.features.train --dataset=fashion_mnist --image_size=32 --channels=1 \\
    --out=labels.npz
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator

import tqdm

from hcm_tf.config import DataConfig
from hcm_tf.errors import UserError
from hcm_tf.startup import load_tensorflow

_SEES = {
    "parts": (
        "the eleven labels of the drawn faces: which part is in each slot, and three "
        "colours. It sees a wrong, missing or mixed part, and heavy damage; mild blur, "
        "noise and shifts, which it was trained to overlook, count for little, and "
        "what no label tells counts for nothing."
    ),
    "labels": (
        "what tells the labels of {dataset} apart, and heavy damage; mild blur, noise "
        "and shifts, which it was trained to overlook, count for little, and what "
        "differs within a label for next to nothing."
    ),
}


def main(argv: list[str]) -> int:
    """Flags -> file; returns the exit status."""
    options = _parser().parse_args(argv[1:])
    load_tensorflow()
    try:
        _make(options)
    except (UserError, ValueError) as error:
        text = " ".join(str(error).split())
        print(f"hcm_tf.features.train: {text}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hcm_tf.features.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--out", required=True, help="The .npz file to write.")
    add("--dataset", default="avatars", help="As for train_main.py; with labels.")
    add("--count", type=_positive, default=24_000, help="Images to train on.")
    add("--epochs", type=_positive, default=5, help="Passes over them.")
    add("--image_size", type=int, choices=(32, 64, 128), default=64, help="Pixels.")
    add("--channels", type=int, choices=(1, 3), default=3, help="1 grey, 3 colour.")
    add("--data_dir", default="", help="Directory of prepared data sets.")
    add("--manual_dir", default="", help="Directory with files fetched by hand.")
    add("--seed", type=int, default=0, help="Of weights, order and damage.")
    add("--threads", type=_positive, default=2, help="Processor threads.")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, and is {number}")
    return number


def _make(options: argparse.Namespace) -> None:
    _check_place(options.out)
    import tensorflow as tf

    from hcm_tf.features import classifier, sources, training

    with contextlib.suppress(RuntimeError):  # A TensorFlow that runs keeps its own.
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    _check_count(options.count, training.BATCH)
    if options.dataset == "avatars":
        if (options.image_size, options.channels) != (64, 3):
            raise UserError(
                "the avatars are drawn in colour, 64 pixels wide, and the classifier "
                "resizes what it is given: leave out --image_size and --channels."
            )
        labelled = sources.avatars(options.count)
    else:
        config = DataConfig(
            dataset=options.dataset,
            data_dir=options.data_dir,
            manual_dir=options.manual_dir,
            max_images=options.count,
            held_out=sources.HELD_OUT,
        )
        labelled = sources.data_set(config, options.image_size, options.channels)
    train = labelled.train
    _check_count(len(train), training.BATCH)
    heads = {head: tuple(names) for head, names in train.label_names.items()}
    with _progress(options.epochs * (len(train) // training.BATCH)) as report:
        weights = training.trained_weights(
            train.images,
            train.labels,
            heads,
            epochs=options.epochs,
            seed=options.seed,
            report=report,
        )
    kind = "parts" if options.dataset == "avatars" else "labels"
    about = {
        "name": kind,
        "sees": _SEES[kind].format(dataset=options.dataset),
        "dataset": options.dataset,
        "images": labelled.where,
        "epochs": options.epochs,
        "seed": options.seed,
        "side": options.image_size,
        "channels": options.channels,
        "tensorflow": tf.__version__,
    }
    made = training.calibrate(weights, heads, about, labelled.held_out)
    classifier.save(made, options.out)
    print("\n".join(_table(made)))
    size = os.path.getsize(options.out) / 2**20
    print(f"Wrote {options.out} ({size:.2f} MiB)")


def _check_place(path: str) -> None:
    """Minutes of training must not end at a directory that is not there."""
    directory = os.path.dirname(os.path.abspath(path))
    if not path.endswith(".npz"):
        raise UserError(f"--out must end in .npz, and is {path}.")
    if not os.access(directory, os.W_OK):
        raise UserError(f"{directory} cannot be written to: choose another --out.")


def _check_count(images: int, least: int) -> None:
    if images < least:
        raise UserError(
            f"{images} images are too few to train on: at least {least} are needed."
        )


class _progress:
    """A bar on a terminal; elsewhere a line now and then."""

    def __init__(self, steps: int) -> None:
        self._bar = tqdm.tqdm(total=steps, desc="Training", unit="step", disable=None)
        self._loss = None

    def __enter__(self) -> Callable[[int, int, float], None]:
        return self._report

    def __exit__(self, *_) -> None:
        self._bar.close()

    def _report(self, step: int, steps: int, loss: float) -> None:
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        if self._bar.disable:
            if step % max(steps // 20, 1) == 0 or step == steps:
                print(f"step {step} of {steps}, loss {self._loss:.3f}", flush=True)
        else:
            self._bar.set_postfix(loss=f"{self._loss:.3f}", refresh=False)
            self._bar.update()


def _table(made: "classifier.Classifier") -> Iterator[str]:  # noqa: F821
    about = made.about
    yield f"{'label':<20}{'classes':>8}{'most frequent':>15}{'accuracy':>10}"
    for head, names in made.heads.items():
        yield (
            f"{head:<20}{len(names):>8}{about['most_frequent'][head]:>15.3f}"
            f"{about['accuracy'][head]:>10.3f}"
        )
    yield ""
    yield f"{'held-out images with':<28}{'confidence':>11}{'sure':>7}"
    for name, values in about["damage"].items():
        yield f"{name:<28}{values['confidence']:>11.3f}{values['sure']:>7.3f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv))
