"""The recipe at the size of `small_run`, as a process that a test can watch or kill."""

import pathlib
import subprocess

from small_run import ENVIRONMENT, command

RECIPE = {
    "objective": "relativistic",
    "r1_weight": 0.3,
    "r2_weight": 0.3,
    "latents": "posterior",
    "leak_steps": 100,
    "revival_weight": 0.1,
    "log_every": 20,
    "checkpoint_every": 20,
    "image_every": 200,
}


def start(folder, workdir, steps):
    """Begins the run, or goes on with it; what it says goes to `workdir`.log."""
    with pathlib.Path(f"{workdir}.log").open("a") as log:
        return subprocess.Popen(
            command(folder, workdir, steps=steps, **RECIPE),
            stdout=log,
            stderr=log,
            env=ENVIRONMENT,
        )
