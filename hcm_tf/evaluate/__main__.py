"""Measures finished runs: samples, reconstructions, sparsity, meaning; or classes.

python -m hcm_tf.evaluate --run_dir=RUN [--run_dir=OTHER ...]
python -m hcm_tf.evaluate classes --run_dir=RUN [--run_dir=OTHER ...]
python -m hcm_tf.evaluate discovered --run_dir=RUN [--run_dir=OTHER ...]
python -m hcm_tf.evaluate --parsing --run_dir=RUN [--run_dir=OTHER ...]
python -m hcm_tf.evaluate --drawn --run_dir=RUN [--run_dir=OTHER ...]

Every run gets an evaluation.json; all of them share one page and one table. `classes`
says whether runs with labels draw what they are asked for, in classes.json;
`discovered` whether discovered classes are those of the data's labels, beside k-means,
in discovered.json. `--parsing` says whether the parts that runs on scenes/NAME draw are
the objects of the test scenes, in parsing.json and parsing.png; `--drawn` whether what
they draw is like scenes, and can be edited by object, in drawn.json and drawn.png.
"""

import sys

from absl import flags

from hcm_tf import command
from hcm_tf.errors import UserError
from hcm_tf.startup import load_tensorflow

COMMANDS = ("runs", "classes", "discovered")
SCENES = 2000  # Of --drawn.
READ_BY_ALL = "run_dir data_dir count seed parsing drawn"
# What each way to measure reads besides.
READ_BY = {
    "a whole evaluation": "dataset extractor labels inception refine faces out",
    "'classes'": "epochs",
    "'discovered'": "",
    "--parsing": "dataset refine",
    "--drawn": "dataset labels epochs",
}


def define() -> flags.FlagValues:
    """The command's flags, fresh."""
    own = flags.FlagValues()
    text, multi, integer, boolean = (
        flags.DEFINE_string,
        flags.DEFINE_multi_string,
        flags.DEFINE_integer,
        flags.DEFINE_boolean,
    )
    multi("run_dir", [], "What train_main.py --workdir wrote; may be repeated.", own)
    text("dataset", "", "Real images to compare with; the run's own if empty.", own)
    text("data_dir", "", "Where prepared data sets are; the run's own if empty.", own)
    boolean("parsing", False, "Parse scenes instead: are parts objects?", own)
    boolean("drawn", False, "Judge scenes instead: like real ones, by objects?", own)
    what = (
        "Samples, and real images for each side; test scenes of --parsing; of --drawn "
        "by itself 2000."
    )
    integer("count", 5000, what, 2, None, own)
    integer("seed", 0, "Of the first sample, and of every random choice.", 0, None, own)
    multi(
        "extractor",
        [],
        "Features of the distances: parts, labels, random or inception; may be "
        "repeated. By itself: what a file is given for, else parts for avatars, else "
        "random.",
        own,
    )
    text("labels", "", "Classifier of python -m hcm_tf.features.train.", own)
    text("inception", "", "The graph of 2015, classify_image_graph_def.pb.", own)
    what = "Held-out images whose latents are refined; of --parsing by itself none."
    integer("refine", 16, what, 0, None, own)
    integer("faces", 32, "Test faces to match units on; 0: none.", 0, None, own)
    integer("epochs", 4, "classes, --drawn: passes of a classifier.", 1, None, own)
    text("out", "", "The page; by itself evaluation.html in the first run.", own)
    return own


def main(argv: list[str]) -> int:
    """Flags -> command; returns the exit status."""
    own = define()

    def act(chosen: str) -> None:
        check(own, chosen)
        print(_run(own, chosen))

    return command.run(
        "hcm_tf.evaluate", own, act, argv, about=__doc__, commands=COMMANDS
    )


def check(own: flags.FlagValues, chosen: str) -> None:
    """Refuses flags that do not go together, or that would change nothing.

    Raises:
        UserError: there are some.
    """
    asked = [f"--{flag}" for flag in ("parsing", "drawn") if own[flag].value]
    if chosen != "runs":
        asked.append(repr(chosen))
    if len(asked) > 1:
        raise UserError(f"{asked[0]} does not go with {asked[1]}: leave one out.")
    (way,) = asked or ["a whole evaluation"]
    read = f"{READ_BY_ALL} {READ_BY[way]}".split()
    idle = [f"--{flag}" for flag in own if own[flag].present and flag not in read]
    if idle:
        raise UserError(f"{way} makes no use of this: leave out {', '.join(idle)}.")


def _run(own: flags.FlagValues, chosen: str) -> str:
    # TensorFlow takes seconds to load: only once the flags are known to be right.
    load_tensorflow()
    asked = {"data_dir": own.data_dir, "count": own.count, "seed": own.seed}
    if chosen == "classes":
        from hcm_tf.evaluate import classes

        return classes.evaluate(own.run_dir, **asked, epochs=own.epochs)
    if chosen == "discovered":
        from hcm_tf.evaluate import discovered

        return discovered.evaluate(own.run_dir, **asked)
    from hcm_tf.evaluate import commands
    from hcm_tf.evaluate.measurement import Options

    options = Options(
        dataset=own.dataset,
        data_dir=own.data_dir,
        count=own.count if own["count"].present or not own.drawn else SCENES,
        seed=own.seed,
        extractors=tuple(own.extractor),
        labels=own.labels,
        inception=own.inception,
        refine=own.refine if own["refine"].present or not own.parsing else 0,
        faces=own.faces,
    )
    if own.parsing:
        from hcm_tf.evaluate import parsing

        return parsing.evaluate(own.run_dir, options)
    if own.drawn:
        from hcm_tf.evaluate import drawn

        return drawn.evaluate(own.run_dir, options, epochs=own.epochs)
    return commands.evaluate(own.run_dir, options, own.out)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
