"""Explains images of a trained run. One of:

python -m hcm_tf.explain --run_dir=RUN --out=report/ [--image=a.png ... | --seed=3]
python -m hcm_tf.explain atlas --run_dir=RUN --out=atlas/
python -m hcm_tf.explain edit --run_dir=RUN --out=edit/ --do=remove --unit=8x8:3,4:17
"""

import os
import sys

from absl import flags

from hcm_tf.errors import UserError

RUN_DIR = flags.DEFINE_string("run_dir", None, "What train_main.py --workdir wrote.")
OUT = flags.DEFINE_string("out", "report", "Directory to write.")
IMAGE = flags.DEFINE_multi_string("image", [], "Image files; random latents if none.")
SEED = flags.DEFINE_integer("seed", 0, "Seed of the random latents.")
COUNT = flags.DEFINE_integer("count", 1, "Random latents.")
FIT = flags.DEFINE_bool(
    "fit", False, "Crop, resize and convert image files as in training."
)
LEVEL = flags.DEFINE_multi_string("level", [], "Levels to show, by name; all if none.")
REFINE_STEPS = flags.DEFINE_integer(
    "refine_steps", 200, "Gradient steps on the encoder's latent; 0: none."
)
REFINE_RATE = flags.DEFINE_float("refine_rate", 0.02, "Learning rate of those.")
MEMORY_MB = flags.DEFINE_float(
    "memory_mb", 512, "Memory for decoding units, in MiB.", lower_bound=1
)
ROOTS = flags.DEFINE_integer(
    "roots", 8, "Attributes that a tree starts from.", lower_bound=1
)
BREADTH = flags.DEFINE_integer(
    "breadth", 4, "Children listed for each node of a tree.", lower_bound=1
)
SAMPLES = flags.DEFINE_integer("samples", 256, "atlas: images.", lower_bound=1)
TILES = flags.DEFINE_integer(
    "tiles", 256, "atlas: pictures of a level, the most used.", lower_bound=1
)
DO = flags.DEFINE_string(
    "do", "remove", "edit: remove, scale, move, transplant or interpolate."
)
UNIT = flags.DEFINE_multi_string(
    "unit", [], "edit: level:row,column:basis; each a number, a range 3-5, or *."
)
SUBTREE = flags.DEFINE_bool("subtree", False, "edit: what the units compose as well.")
FACTOR = flags.DEFINE_float("factor", 0.0, "edit: scale by this.")
ROWS = flags.DEFINE_integer("rows", 0, "edit: move down by so many cells.")
COLUMNS = flags.DEFINE_integer("columns", 0, "edit: move right by so many cells.")
NEW_GATES = flags.DEFINE_bool(
    "new_gates", False, "edit: let the levels above the edit decide again."
)
INTO_SEED = flags.DEFINE_integer(
    "into_seed", None, "edit: transplant into, or interpolate to, this seed's image."
)
INTO_IMAGE = flags.DEFINE_string("into_image", None, "edit: likewise, an image file.")
FRAMES = flags.DEFINE_integer("frames", 9, "edit: images of an interpolation.")


def main(argv: list[str]) -> int:
    """Flags -> command; returns the exit status."""
    try:
        command, *rest = [*flags.FLAGS(argv)[1:], "report"]
        if command not in ("report", "atlas", "edit") or len(rest) > 1:
            raise UserError(f"unexpected argument {command!r}; see --help.")
        if RUN_DIR.value is None:
            raise UserError("name a run directory: --run_dir=RUN.")
        # TensorFlow takes seconds to load: only once the flags are known to be right.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        print(_run(command))
    except (UserError, flags.Error) as error:
        print(f"hcm_tf.explain: {error}", file=sys.stderr)
        return 1
    return 0


def _run(command: str) -> str:
    from hcm_tf.explain import commands

    def source(
        images: list[str], seed: int, seed_given: bool = False
    ) -> commands.Source:
        if images and seed_given:
            raise UserError("name image files or a seed, not both.")
        return commands.Source(
            images=tuple(images),
            seed=seed,
            count=COUNT.value,
            fit=FIT.value,
            refine_steps=REFINE_STEPS.value,
            refine_rate=REFINE_RATE.value,
        )

    given = source(IMAGE.value, SEED.value, bool(SEED.present or COUNT.present))
    common = {"memory_mb": MEMORY_MB.value}
    if command == "report":
        return commands.make_report(
            RUN_DIR.value,
            OUT.value,
            given,
            levels=LEVEL.value,
            roots=ROOTS.value,
            breadth=BREADTH.value,
            **common,
        )
    if command == "atlas":
        return commands.make_atlas(
            RUN_DIR.value,
            OUT.value,
            given,
            levels=LEVEL.value,
            samples=SAMPLES.value,
            tiles=TILES.value,
            **common,
        )
    target = None
    if INTO_IMAGE.value is not None or INTO_SEED.value is not None:
        images = [INTO_IMAGE.value] if INTO_IMAGE.value is not None else []
        target = source(images, INTO_SEED.value or 0, INTO_SEED.value is not None)
    return commands.make_edit(
        RUN_DIR.value,
        OUT.value,
        given,
        operation=DO.value,
        units=UNIT.value,
        subtree=SUBTREE.value,
        factor=FACTOR.value,
        rows=ROWS.value,
        columns=COLUMNS.value,
        new_gates=NEW_GATES.value,
        target=target,
        frames=FRAMES.value,
        **common,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv))
