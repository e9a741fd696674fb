"""Opens the studio on a trained run, for a browser on this machine:

python -m hcm_tf.studio --run_dir=RUN
"""

import pathlib
import sys
import webbrowser

from absl import flags

from hcm_tf import command
from hcm_tf.startup import load_tensorflow


def define() -> flags.FlagValues:
    """The command's flags, fresh."""
    own = flags.FlagValues()
    flags.DEFINE_string("run_dir", None, "What train_main.py --workdir wrote.", own)
    flags.DEFINE_integer("port", 0, "0 takes a free one.", 0, 65535, flag_values=own)
    flags.DEFINE_bool("open_browser", True, "Open the link.", own)
    return own


def main(argv: list[str]) -> int:
    """Flags -> server; returns the exit status."""
    own = define()
    return command.run("hcm_tf.studio", own, lambda: _serve(own), argv, about=__doc__)


def _serve(own: flags.FlagValues) -> None:
    # TensorFlow takes seconds to load: only once the flags are known to be right.
    load_tensorflow()
    from hcm_tf.runs.checkpoint import load
    from hcm_tf.studio.api import Api
    from hcm_tf.studio.engine import Engine
    from hcm_tf.studio.server import Studio, listen

    name = pathlib.Path(own.run_dir).resolve().name
    studio = Studio(Api(Engine(load(own.run_dir), name), own.run_dir))
    with listen(studio, own.port) as server:
        link = f"http://127.0.0.1:{studio.port}/#token={studio.token}"
        print(f"The studio is at {link}\nCtrl-C ends it.", flush=True)
        if own.open_browser:
            webbrowser.open(link)
        server.serve_forever()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
