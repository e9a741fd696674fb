"""What `python -m hcm_tf.explain` does: a report, an edit, an atlas, a session."""

import dataclasses
import json
import pathlib
import time
from collections.abc import Sequence

import numpy as np

from hcm_tf import labels
from hcm_tf.errors import UserError
from hcm_tf.explain import atlas, edits, inputs, names, rendering, report, tree
from hcm_tf.explain import session as sessions
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.identity import model_hash
from hcm_tf.explain.refine import encode, refine
from hcm_tf.files import whole_directory
from hcm_tf.images import grid, write_png
from hcm_tf.prior import draw
from hcm_tf.runs import checkpoint
from hcm_tf.runs.checkpoint import Run

OPERATIONS = ("remove", "scale", "move", "transplant", "interpolate")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Which images to explain: files, or random latents of a seed.

    Attributes:
        images: image files; empty for random latents.
        seed: of the latents.
        count: number of latents.
        fit: convert files that do not fit.
        refine_steps: gradient steps on the latents of files.
        refine_rate: learning rate of those.
        classes: of a run with labels, what the images are drawn as, whatever the seed
            or the encoder says; see `labels.parse`.
    """

    images: tuple[str, ...] = ()
    seed: int = 0
    count: int = 1
    fit: bool = False
    refine_steps: int = 200
    refine_rate: float = 0.02
    classes: tuple[str, ...] = ()


def make_report(
    run_dir: str,
    out: str,
    source: Source,
    *,
    levels: Sequence[str] = (),
    roots: int = tree.ROOTS,
    breadth: int = tree.BREADTH,
    memory_mb: float,
) -> str:
    """Writes a report; returns what to tell the user.

    Raises:
        UserError: something that the user can mend, in one line.
    """
    began = time.perf_counter()
    run = checkpoint.load(run_dir)
    called = names.read(run_dir, model_hash(run.generator))
    decoder = Decoder(run.generator, memory_mb=memory_mb)
    known = decoder.level_names
    chosen = sorted({inputs.level_index(name, known) for name in levels})
    chosen = chosen or list(range(len(known)))
    with whole_directory(out) as directory:
        subjects = find_subjects(run, decoder, source)
        latents = draw(run.prior, 0, report.PAGE_SAMPLES)
        atlases = [
            atlas.level_atlas(decoder, latents, level, report.PAGE_TILES)
            for level in chosen
        ]
        residual = report.write(
            directory,
            decoder,
            subjects,
            atlases,
            about=_about(run),
            levels=chosen,
            roots=roots,
            breadth=breadth,
            names=called,
            labels=run.config.model.labels,
        )
        size = (directory / "report.html").stat().st_size / 2**20
    lines = [
        f"{subject.title}: mean squared error {subject.error_before:.4f} encoded, "
        f"{subject.error_after:.4f} refined."
        for subject in subjects
        if subject.original is not None
    ]
    lines += [
        f"All sums hold: largest residual {residual:.1e} of the largest value.",
        f"{pathlib.Path(out) / 'report.html'} ({size:.1f} MB), after "
        f"{time.perf_counter() - began:.0f} s. Open it in a browser.",
    ]
    return "\n".join(lines)


def make_atlas(
    run_dir: str,
    out: str,
    source: Source,
    *,
    levels: Sequence[str] = (),
    samples: int = atlas.SAMPLES,
    tiles: int = atlas.TILES,
    memory_mb: float,
) -> str:
    """Writes atlases as PNG files and for TensorBoard; returns what to tell the user.

    Raises:
        UserError: something that the user can mend, in one line.
    """
    run = checkpoint.load(run_dir)
    decoder = Decoder(run.generator, memory_mb=memory_mb)
    known = decoder.level_names
    chosen = sorted({inputs.level_index(name, known) for name in levels})
    with whole_directory(out) as directory:
        subject = find_subjects(run, decoder, source)[0]
        latents = draw(run.choose(source.classes).prior, source.seed, samples)
        atlases = [
            atlas.level_atlas(decoder, latents, level, tiles)
            for level in chosen or range(len(known))
        ]
        sheets = atlas.image_sheets(decoder, subject.recording)
        atlas.write(directory, sheets, atlases, run.step)
    lines = [f"{one.name}: {one.caption()}." for one in atlases]
    return "\n".join([*lines, f"In the browser: tensorboard --logdir={out}"])


def make_edit(
    run_dir: str,
    out: str,
    source: Source,
    *,
    operation: str,
    units: Sequence[str] = (),
    subtree: bool = False,
    factor: float = 0.0,
    rows: int = 0,
    columns: int = 0,
    new_gates: bool = False,
    target: Source | None = None,
    frames: int = 9,
    memory_mb: float,
) -> str:
    """Edits one image and writes before, after and difference.

    Args:
        operation: one of OPERATIONS.
        units: such as "8x8:3,4:17" or "attributes:1,1-2:*", all of one level.
        subtree: edit what the units compose as well.
        factor: for scale.
        rows, columns: for move, in cells of the units' level.
        new_gates: let the levels above decide again.
        target: for transplant, the image that receives; for interpolate, the end.
        frames: for interpolate.

    Raises:
        UserError: something that the user can mend, in one line.
    """
    _check_edit(operation, units, target, subtree, new_gates, frames)
    run = checkpoint.load(run_dir)
    decoder = Decoder(run.generator, memory_mb=memory_mb)
    with whole_directory(out) as directory:
        given = find_subjects(run, decoder, source)[0].recording
        other = find_subjects(run, decoder, target)[0].recording if target else None
        if operation == "interpolate":
            between = edits.interpolate(decoder, given.latent, other.latent, frames)
            pixels = [rendering.image_pixels(one.logits) for one in between]
            sheet = grid(np.stack(pixels), columns=frames, gap=2)
            write_png(directory / "interpolation.png", sheet, scale=2)
            edit = edits.Edit(given.logits, other.logits)
        else:
            part = _find_part(decoder, given, units, subtree)
            if operation == "transplant":
                edit = edits.transplant(
                    decoder, given, part, other, new_gates=new_gates
                )
            elif operation == "move":
                edit = edits.move(
                    decoder, given, part, rows, columns, new_gates=new_gates
                )
            else:
                factor = factor if operation == "scale" else 0.0
                edit = edits.scale(decoder, given, part, factor, new_gates=new_gates)
        change = _write_edit(directory, edit)
    return f"{out}: before.png, after.png, difference.png; {change}."


def make_session(run_dir: str, out: str, session: str, *, memory_mb: float) -> str:
    """Draws a session of the studio: before, after and difference.

    Raises:
        UserError: something that the user can mend, in one line.
    """
    run = checkpoint.load(run_dir)
    decoder = Decoder(run.generator, memory_mb=memory_mb)
    found = sessions.read(session, run)
    with whole_directory(out) as directory:
        change = _write_edit(directory, sessions.compose(run, decoder, found))
    return (
        f"{out}: before.png, after.png, difference.png of {session}, "
        f"{len(found.changes)} change(s); {change}."
    )


def find_subjects(run: Run, decoder: Decoder, source: Source) -> list[report.Subject]:
    """Draws or encodes, refines and records what a source names.

    Raises:
        UserError: an image that does not fit, or a count below 1.
    """
    if not source.images:
        if source.count < 1:
            raise UserError(f"--count must be at least 1. Received: {source.count}")
        prior = run.choose(source.classes).prior
        latents = draw(prior, source.seed, source.count)
        return [
            report.Subject(_titled(f"seed {number}", run, recording), recording)
            for number, recording in enumerate(decoder.record(latents), source.seed)
        ]
    images = np.stack(
        [inputs.read_image(path, run.config, fit=source.fit) for path in source.images]
    )
    known = run.config.model.labels
    first = labels.replaced(
        *(known, encode(run.encoder, images)), labels.parse(known, source.classes)
    )
    try:
        refined = refine(
            run.generator,
            images,
            first,
            steps=source.refine_steps,
            learning_rate=source.refine_rate,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    encoded = decoder.record(first)
    return [
        report.Subject(
            title=_titled(pathlib.Path(path).name, run, recording),
            recording=recording,
            original=image,
            encoded=before.image,
            error_before=float(error_before),
            error_after=float(error_after),
        )
        for path, recording, image, before, error_before, error_after in zip(
            source.images,
            decoder.record(refined.latents),
            images,
            encoded,
            refined.error_before,
            refined.error_after,
            strict=True,
        )
    ]


def _titled(title: str, run: Run, recording: Recording) -> str:
    """With the classes that a picture is drawn as, of a run with labels."""
    known = run.config.model.labels
    if not known:
        return title
    return f"{title}, {labels.describe(known, recording.latent[None])[0]}"


def _about(run: Run) -> str:
    model, levels = run.config.model, run.generator.levels
    normalizer = "" if model.normalizer == "none" else f"; {model.normalizer} blocks"
    gated = "; gated blocks" if model.gated_blocks else ""
    size, data = model.image_size, run.config.data.public_name
    selection = "; ".join(
        level.selection(model.top_p, model.temperature) for level in levels
    )
    return (
        f"{data}, {size} by {size} pixels, step {run.step:,}; selection: {selection}"
        f"{normalizer}{gated}"
    )


def _check_edit(
    operation: str,
    units: Sequence[str],
    target: Source | None,
    subtree: bool,
    new_gates: bool,
    frames: int,
) -> None:
    if operation not in OPERATIONS:
        raise UserError(f"--do must be one of {', '.join(OPERATIONS)}.")
    if operation != "interpolate" and not units:
        raise UserError(f"--do={operation} needs --unit=level:row,column:basis.")
    if operation in ("transplant", "interpolate") and target is None:
        raise UserError(
            f"--do={operation} needs a second image: --into_seed or --into_image."
        )
    if subtree and new_gates:
        raise UserError("--subtree needs recorded gates: leave out --new_gates.")
    if operation == "interpolate" and frames < 2:
        raise UserError(f"--frames must be at least 2. Received: {frames}")


def _find_part(
    decoder: Decoder, recording: Recording, chosen: Sequence[str], subtree: bool
) -> edits.Part:
    part: edits.Part = {}
    for name in chosen:
        level, units = inputs.find_units(name, decoder.level_names, recording.codes)
        if part and level not in part:
            raise UserError(
                f"{name} is of another level than the --unit before it; edit one level "
                "at a time."
            )
        part[level] = edits.join(part[level], units) if part else units
    if not subtree:
        return part
    return edits.grow_part(decoder, recording, part)


def _write_edit(directory: pathlib.Path, edit: edits.Edit) -> str:
    before, after = np.tanh(edit.before), np.tanh(edit.after)
    change = float(np.mean(np.square(after - before)))
    for name, logits in (("before", edit.before), ("after", edit.after)):
        write_png(directory / f"{name}.png", rendering.image_pixels(logits), scale=4)
    write_png(
        directory / "difference.png",
        rendering.signed_pixels(edit.after - edit.before),
        scale=4,
    )
    text = json.dumps({"mean_squared_change": change}) + "\n"
    (directory / "edit.json").write_text(text)
    return f"mean squared change {change:.2g}"
