"""Explains images of a trained run. One of:

python -m hcm_tf.explain --run_dir=RUN --out=report/ [--image=a.png ... | --seed=3]
python -m hcm_tf.explain atlas --run_dir=RUN --out=atlas/
python -m hcm_tf.explain edit --run_dir=RUN --out=edit/ --do=remove --unit=8x8:3,4:17
python -m hcm_tf.explain --run_dir=RUN --out=session/ --session=FILE
"""

import sys
from typing import TYPE_CHECKING

from absl import flags

from hcm_tf import command
from hcm_tf.errors import UserError
from hcm_tf.startup import load_tensorflow

if TYPE_CHECKING:
    from hcm_tf.explain.commands import Source

COMMANDS = ("report", "atlas", "edit")


def define() -> flags.FlagValues:
    """The flags of all three commands, fresh."""
    own = flags.FlagValues()
    text, multi = flags.DEFINE_string, flags.DEFINE_multi_string
    integer, number, switch = (
        flags.DEFINE_integer,
        flags.DEFINE_float,
        flags.DEFINE_bool,
    )
    text("run_dir", None, "What train_main.py --workdir wrote.", own)
    text("out", "report", "Directory to write.", own)
    text("session", None, "What the studio saved: its picture and changes.", own)
    multi("image", [], "Image files; random latents if none.", own)
    integer("seed", 0, "Seed of the random latents.", flag_values=own)
    integer("count", 1, "Random latents.", 1, flag_values=own)
    flags.DEFINE_list("label", [], "Classes to draw as, of a run with labels.", own)
    switch("fit", False, "Crop, resize and convert files as in training.", own)
    multi("level", [], "Levels to show, by name; all if none.", own)
    integer("refine_steps", 200, "Gradient steps on latents of files.", 0, None, own)
    number("refine_rate", 0.02, "Learning rate of those.", 1e-6, 1.0, own)
    number("memory_mb", 512, "Memory for decoding units, in MiB.", 1, None, own)
    integer("roots", 8, "Attributes that a tree starts from.", 1, None, own)
    integer("breadth", 4, "Children listed for each node of a tree.", 1, None, own)
    integer("samples", 256, "atlas: images.", 1, None, own)
    integer("tiles", 256, "atlas: pictures of a level, the most used.", 1, None, own)
    text("do", "remove", "edit: remove, scale, move, transplant or interpolate.", own)
    multi("unit", [], "edit: level:row,column:basis; numbers, ranges 3-5, or *.", own)
    switch("subtree", False, "edit: what the units compose as well.", own)
    number("factor", 0.0, "edit: scale by this.", flag_values=own)
    integer("rows", 0, "edit: move down by so many cells.", flag_values=own)
    integer("columns", 0, "edit: move right by so many cells.", flag_values=own)
    switch("new_gates", False, "edit: let the levels above decide again.", own)
    integer("into_seed", None, "edit: the other image, by seed.", flag_values=own)
    text("into_image", None, "edit: the other image, a file.", own)
    integer("frames", 9, "edit: images of an interpolation.", 2, None, own)
    return own


def main(argv: list[str]) -> int:
    """Flags -> command; returns the exit status."""
    own = define()

    def act(chosen: str) -> None:
        for name in ("image", "into_image"):
            seeds = ("seed", "count") if name == "image" else ("into_seed",)
            if own[name].present and any(own[seed].present for seed in seeds):
                raise UserError(f"give --{name} or --{seeds[0]}, not both.")
        if own.session:
            drawn = ("image", "seed", "count", "label")
            others = [name for name in drawn if own[name].present]
            words = [] if chosen == COMMANDS[0] else [chosen]
            for other in (*words, *(f"--{name}" for name in others)):
                raise UserError(f"--session draws what it says: leave out {other}.")
        print(_run(chosen, own))

    return command.run(
        "hcm_tf.explain", own, act, argv, about=__doc__, commands=COMMANDS
    )


def _run(chosen: str, own: flags.FlagValues) -> str:
    # TensorFlow takes seconds to load: only once the flags are known to be right.
    load_tensorflow()
    from hcm_tf.explain import commands

    source = _source(own, own.image, own.seed)
    shared = {"memory_mb": own.memory_mb}
    if chosen == "edit":
        return commands.make_edit(
            own.run_dir,
            own.out,
            source,
            operation=own.do,
            units=own.unit,
            subtree=own.subtree,
            factor=own.factor,
            rows=own.rows,
            columns=own.columns,
            new_gates=own.new_gates,
            target=_target(own),
            frames=own.frames,
            **shared,
        )
    if own.session:
        return commands.make_session(own.run_dir, own.out, own.session, **shared)
    shared["levels"] = own.level
    if chosen == "atlas":
        shared |= {"samples": own.samples, "tiles": own.tiles}
        return commands.make_atlas(own.run_dir, own.out, source, **shared)
    shared |= {"roots": own.roots, "breadth": own.breadth}
    return commands.make_report(own.run_dir, own.out, source, **shared)


def _target(own: flags.FlagValues) -> "Source | None":
    if own.into_image is None and own.into_seed is None:
        return None
    images = [] if own.into_image is None else [own.into_image]
    return _source(own, images, own.into_seed or 0)


def _source(own: flags.FlagValues, images: list[str], seed: int) -> "Source":
    from hcm_tf.explain.commands import Source

    return Source(
        images=tuple(images),
        seed=seed,
        count=own.count,
        fit=own.fit,
        refine_steps=own.refine_steps,
        refine_rate=own.refine_rate,
        classes=tuple(own.label),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv))
