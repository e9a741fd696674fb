"""The model card beside an export, written from what the run directory says."""

import datetime
import pathlib
from collections.abc import Sequence

from hcm_tf.config import Label, ModelConfig
from hcm_tf.networks.levels import Level
from hcm_tf.runs import run_directory
from hcm_tf.runs.checkpoint import Run
from hcm_tf.version import __version__

PACKAGE = "hcm_tf"
# What a score says, by its name or, of a score of every level, the name's beginning.
SCORES = {
    "held_out_error": "mean squared error per pixel and channel of pictures kept from "
    "training, encoded and drawn again; pictures in [-1, 1], 0 is perfect",
    "held_out_of_pixel_variance": "that error over the variance of all their pixel "
    "values: 1 is what one grey level everywhere would give",
    "held_out_of_image_variance": "that error over their variance around the mean "
    "picture: 1 is what one picture for all would give",
    "active_": "fraction of the activations of level {} that are not zero: how sparse "
    "its codes are",
    "misread_": "fraction of pictures kept from training of whose {} the encoder reads "
    "another class",
    "never_active_": "fraction of the units of level {} that are zero in every "
    "sample that was measured: what the network does not use",
}
LICENCES = {
    "avatars": "DiceBear's style Lorelei, a remix of Lorelei by Lisa Wischofsky; CC0 "
    "1.0.",
    "fashion_mnist": "Fashion-MNIST by Zalando SE; MIT.",
}
INPUTS = {
    "generator": "a latent vector of {latent_size} numbers in [-1, 1], or a seed",
    "encoder": "a picture, {size}x{size}x{channels} in [-1, 1], or an image file",
}
OUTPUTS = {
    "generator": "a picture, {size}x{size}x{channels} in [-1, 1]",
    "encoder": "the latent vector from which the generator draws the picture again",
}


def text(
    name: str, run: Run, run_dir: str | pathlib.Path, signatures: list[str]
) -> str:
    """The card of the "generator" or the "encoder", as Markdown."""
    model, train, data = run.config.model, run.config.train, run.config.data
    shape = {
        "latent_size": run.generator.latent_size,
        "size": model.image_size,
        "channels": model.image_channels,
    }
    average = (
        f"weights averaged over training (decay {train.ema_decay:g})"
        if train.ema_decay
        else "the last weights, not averaged"
    )
    about = provenance(run_dir, data.dataset)
    levels = run.generator.levels
    selection = "; ".join(
        level.selection(model.top_p, model.temperature) for level in levels
    )
    return f"""# {name.capitalize()} of a sparse compositional image model

A Keras implementation (`hcm_tf`) of Xing, Wu, Zhu, Wu, *Inducing Hierarchical
Compositional Model by Sparsifying Generator Network*, CVPR 2020.

* Input: {INPUTS[name].format(**shape)}.
* Output: {OUTPUTS[name].format(**shape)}.
* Signatures: {", ".join(f"`{signature}`" for signature in signatures)}.
{_labels(model.labels)}\
* Architecture: {_architecture(model)}.
* Selection: {selection}.
* Generator: {average}.

## Training

* Data: `{data.public_name}`, at most {data.max_images or "all"} images, up to \
{data.held_out} held out.
* Steps: {run.step} of {train.steps} planned, batches of {train.batch_size}, \
seed {train.seed}.
* Revision: {about["revision"]}.
* Exported: {about["exported"]}, by {PACKAGE} {about["version"]}.

## Scores

{scores(run_dir, run.step)}
## Licence

* Code: Apache-2.0.
* Data: {_licence(data.dataset)}

## Intended use

Research and teaching: drawing pictures like the training data, and looking at how they
are composed of parts. The sparse codes say which units drew a picture, and nothing
about the world.

## Limits

* It knows only what its training data shows, and repeats that data's biases; a picture
  of anything else is encoded as the nearest thing the generator can draw.
* {model.image_size}x{model.image_size} pixels; {_conditions(model.labels)}.
{_rounding(levels)}\
* Pictures of persons that it draws are of nobody; do not use them to deceive.
"""


def _architecture(model: ModelConfig) -> str:
    """What the networks are made of, and what the published ones have not."""
    parts = [
        f"c = {model.base_channels}",
        f"{model.attributes} attributes a location",
    ]
    if model.placement != "grid":
        stretched = ", stretched" if model.stretch_parts else ""
        parts.append(
            f"parts placed freely (presence {model.presence}, opacity {model.opacity}"
            f"{stretched})"
        )
    if model.background_attributes:
        parts.append(
            f"in front of a background of {model.background_attributes} attributes"
        )
    if model.normalizer != "none":
        parts.append(f"{model.normalizer} blocks")
    if model.gated_blocks:
        parts.append("gated blocks")
    if model.location_latents:
        parts.append("latent values of each location")
    if model.location_attention:
        parts.append("attention between locations")
    return ", ".join(parts)


def _rounding(levels: Sequence[Level]) -> str:
    """What rounding can do; nothing where all gates are shares."""
    names = ", ".join(level.name for level in levels if level.whole)
    if not names:
        return ""
    return (
        f"* Activations are kept or left out whole ({names}), which is\n"
        "  discontinuous: where two are nearly equal, or one is at a threshold,\n"
        "  rounding on another processor or at lower precision can exchange or drop\n"
        "  them, which changes pixels visibly now and then.\n"
    )


def _labels(labels: Sequence[Label]) -> str:
    """What stands behind a latent; nothing for a model without labels."""
    if not labels:
        return ""
    lines = "".join(
        f"  * {label.name}: {', '.join(label.classes)}.\n" for label in labels
    )
    return (
        "* Labels, by which pictures are drawn: the last entries of a latent, for\n"
        "  each label a 1 for its class and 0 for the others, in this order:\n" + lines
    )


def _conditions(labels: Sequence[Label]) -> str:
    names = ", ".join(label.name for label in labels)
    return (
        f"no text or condition but {names}"
        if labels
        else ("no text, class or other condition")
    )


def provenance(run_dir: str | pathlib.Path, dataset: str) -> dict[str, str]:
    """Where an export comes from, as its metadata say it.

    Returns:
        `revision` of the sources the run was trained with, `version` of this package,
        `exported`, today's date, and `licence`.
    """
    run = run_directory.provenance(pathlib.Path(run_dir))
    return {
        "revision": run.get("git_revision") or "unknown",
        "version": __version__,
        "exported": datetime.date.today().isoformat(),
        "licence": f"Code: Apache-2.0. Data: {_licence(dataset)}",
    }


def _licence(dataset: str) -> str:
    return LICENCES.get(dataset, "see the data set; not known to this program.")


def scores(run_dir: str | pathlib.Path, step: int) -> str:
    """The last measurement up to the exported step, as a list."""
    measured = {}
    log = pathlib.Path(run_dir) / run_directory.METRICS_FILE
    for record in run_directory.records(log):
        if record["step"] <= step and "held_out_error" in record:
            measured = record
    if not measured:
        return "None: nothing was measured in this run.\n"
    lines = [
        f"* `{name}`: {value:.4g}{explained(name)}"
        for name, value in measured.items()
        if name != "step"
    ]
    return f"Measured at step {measured['step']} (`hcm_tf/runs/preview.py`):\n\n" + (
        "\n".join(lines) + "\n"
    )


def explained(name: str) -> str:
    """What a score means, in brackets; nothing for an unknown one."""
    for beginning, meaning in SCORES.items():
        if name.startswith(beginning):
            return f" ({meaning.format(name.removeprefix(beginning))})"
    return ""
