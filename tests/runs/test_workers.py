"""Two worker processes of one run: the same as one process, and none without the other.

They talk over the loopback. Of two numbers the sum does not depend on their order: so
two workers are two replicas of one process, bit for bit, and one but for rounding.
"""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from small_run import (
    ENVIRONMENT,
    ROOT,
    assert_near,
    assert_same_weights,
    command,
    lines,
    train,
)
from worker_runs import Team, team, train_together

from hcm_tf.errors import UserError
from hcm_tf.runs import checkpoint, cluster

STEPS = 24  # Of a run that is stopped on its way.


@pytest.fixture(scope="module")
def together(folder, tmp_path_factory):
    """The run of `finished`, by two workers."""
    workdir = tmp_path_factory.mktemp("together") / "run"
    return workdir, train_together(folder, workdir)


@pytest.fixture(scope="module")
def twin(folder, tmp_path_factory):
    """The same by one process, of two replicas."""
    workdir = tmp_path_factory.mktemp("twin") / "run"
    assert train(folder, workdir, replicas=2).returncode == 0
    return workdir


@pytest.fixture(scope="module")
def longer(folder, tmp_path_factory):
    """A run of STEPS by one process, of two replicas."""
    workdir = tmp_path_factory.mktemp("longer") / "run"
    assert train(folder, workdir, replicas=2, steps=STEPS).returncode == 0
    return workdir


def contents(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
    }


def test_two_workers_write_the_weights_and_the_log_of_one_process(
    finished, twin, together
):
    workdir, _ = together
    assert checkpoint.saved_steps(workdir) == [7, 6]
    assert_near(finished[0], workdir)
    assert_same_weights(twin, workdir)
    assert lines(workdir) == lines(twin)


@pytest.mark.long
def test_the_recipe_is_the_same_for_two_workers(folder, tmp_path):
    """With every reduction that a step can have, and more than one of some."""
    recipe = {
        "objective": "relativistic",
        "latents": "posterior",
        "r1_weight": 0.3,
        "r2_weight": 0.3,
        "penalty_interval": 2,
        "revival_weight": 0.1,
        "leak_steps": 5,
        "critic_steps": 2,
        "augment": "color,translation,cutout",
        "steps": 2,
    }
    one, two = tmp_path / "one", tmp_path / "two"
    assert train(folder, one, **recipe).returncode == 0
    train_together(folder, two, **recipe)
    assert_near(one, two)


def test_the_chief_says_what_one_process_says(finished, together):
    workdir, workers = together
    assert "batch 8 on 2 workers, each on CPU:0" in workers.said(0)
    assert "Done after step 7 of 7" in workers.said(0)
    assert workers.said(1) == ""
    for index in range(2):
        for line in workers.told(index):
            assert line.startswith(f"worker {index} waits for worker {1 - index} (127")
    assert len(list((workdir / "tensorboard").glob("events*"))) == 1
    saved = json.loads((workdir / "config.json").read_text())
    assert saved["provenance"]["replicas"] == 2


def test_every_image_of_an_epoch_goes_to_one_worker(tmp_path):
    """Counted by the workers themselves: no overlap, no loss."""
    script = str(ROOT / "tests" / "runs" / "counting.py")
    with Team([[sys.executable, script]] * 2, tmp_path / "told") as workers:
        assert workers.wait() == [0, 0], workers.told(0)
    first, second = (json.loads(workers.said(index)) for index in range(2))
    assert [len(numbers) for numbers in first + second] == [4] * 16
    assert first[:4] + second[:4] != first[4:] + second[4:]
    for start in (0, 4):  # Two epochs of 32 images, 4 batches of 8.
        epoch = first[start : start + 4] + second[start : start + 4]
        assert np.sort(epoch, axis=None).tolist() == list(range(32))
    alone = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
    )
    assert json.loads(alone.stdout) == [
        own + other for own, other in zip(first, second, strict=True)
    ]


@pytest.mark.long
def test_a_session_of_two_goes_on_with_what_one_saved(twin, folder, tmp_path):
    """And writes nothing but from the chief: the other has a copy, which stays so."""
    workdir, copy = tmp_path / "run", tmp_path / "copy"
    assert train(folder, workdir, steps=4, replicas=2).returncode == 0
    shutil.copytree(workdir, copy)
    before = contents(copy)
    with team(folder, [workdir, copy], tmp_path / "told") as workers:
        assert workers.wait() == [0, 0], workers.told(0)
    assert "resumes after step 4" in workers.said(0)
    assert_same_weights(twin, workdir)
    assert contents(copy) == before


@pytest.mark.long
def test_seconds_end_all_after_one_step_and_one_process_goes_on(twin, folder, tmp_path):
    workdir = tmp_path / "run"
    workers = train_together(folder, workdir, seconds=0.001)
    assert "Paused (--seconds=0.001 are over) after step 1 of 7" in workers.said(0)
    assert checkpoint.latest(workdir)[1] == 1
    assert train(folder, workdir, replicas=2).returncode == 0
    assert_same_weights(twin, workdir)


@pytest.mark.parametrize(
    ("number", "index"),
    [(signal.SIGTERM, 1), (signal.SIGINT, 0)],
)
@pytest.mark.long
def test_a_signal_to_one_stops_both(number, index, longer, folder, tmp_path):
    workdir = tmp_path / "run"
    with team(folder, [workdir] * 2, tmp_path / "told", steps=STEPS) as workers:
        workers.wait_for_step(workdir, 8)
        workers.processes[index].send_signal(number)
        assert workers.wait() == [128 + number] * 2, workers.told(0)
    saved = checkpoint.latest(workdir)[1]
    assert 8 <= saved < STEPS
    name = signal.Signals(number).name
    assert f"Paused (stopped by {name}) after step {saved}" in workers.said(0)
    train_together(folder, workdir, steps=STEPS)
    assert_same_weights(longer, workdir)


@pytest.mark.long
def test_a_killed_worker_ends_the_other_and_both_go_on(longer, folder, tmp_path):
    workdir = tmp_path / "run"
    with team(folder, [workdir] * 2, tmp_path / "told", steps=STEPS) as workers:
        workers.wait_for_step(workdir, 8)
        workers.processes[1].kill()
        killed = time.monotonic()
        assert workers.wait(60) == [1, -signal.SIGKILL]
        print(f"the other ended after {time.monotonic() - killed:.1f} s")
    *_, line = workers.told(0)
    assert line.startswith("train_main: worker 0 has lost worker 1 (127.0.0.1:")
    assert line.endswith(
        "Start all of them again with the same command: they go on from the last "
        "checkpoint."
    )
    assert "Traceback" not in "\n".join(workers.told(0))
    assert checkpoint.latest(workdir)[1] < STEPS
    train_together(folder, workdir, steps=STEPS)
    assert_same_weights(longer, workdir)


@pytest.mark.long
def test_workers_that_diverge_go_back_together(folder, tmp_path):
    workdir = tmp_path / "run"
    values = {"learning_rate": 1.0, "reconstruction_weight": 1e37}
    with team(folder, [workdir] * 2, tmp_path / "told", **values) as workers:
        assert workers.wait() == [1, 1], workers.told(0)
    for index in range(2):
        *_, line = workers.told(index)
        assert line.startswith("train_main: training has diverged: at step 5")
        assert "below 0.125 to go on" in line
        retreats = [line for line in workers.told(index) if "This is done now" in line]
        assert [line.split()[-1] for line in retreats] == ["0.5.", "0.25.", "0.125."]
    assert checkpoint.saved_steps(workdir) == [0]


def refusals(folder, workdirs, log, commands=None, **values):
    """The last line of each of two workers that do not begin."""
    commands = commands or [{}, {}]
    with Team(
        [
            command(folder, workdir, **values, **own)
            for workdir, own in zip(workdirs, commands, strict=True)
        ],
        log,
    ) as workers:
        assert workers.wait() == [1, 1], workers.told(0)
    for index in range(2):
        assert "Traceback" not in "\n".join(workers.told(index))
    return [workers.told(index)[-1] for index in range(2)]


def test_workers_with_different_flags_are_refused(folder, tmp_path):
    own = [{"seed": 0}, {"seed": 1}]
    for line in refusals(folder, [tmp_path / "run"] * 2, tmp_path / "told", own):
        assert line == (
            "train_main: the workers were started with different flags. Give all of "
            "them the same command."
        )
    assert not (tmp_path / "run" / "config.json").exists()


def test_workers_that_see_different_files_are_refused(finished, folder, tmp_path):
    workdir, empty, older = (tmp_path / name for name in ("run", "empty", "older"))
    shutil.copytree(finished[0], workdir)
    shutil.copytree(finished[0], older)
    for path in (older / "checkpoints").glob("ckpt-7.*"):
        path.unlink()
    empty.mkdir()
    before = contents(workdir)
    for line in refusals(folder, [workdir, empty], tmp_path / "told", steps=9):
        assert line.startswith("train_main: the workers do not see the same files in ")
        assert line.endswith("It must be on a file system that all of them see.")
    for line in refusals(folder, [workdir, older], tmp_path / "told", steps=9):
        assert line.startswith("train_main: the workers find different checkpoints in ")
        assert "of the steps 7, 6." in line
    before.pop("lock")
    after = contents(workdir)
    after.pop("lock")
    assert after == before


GOOD = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "it is not JSON (Expecting property name"),
        ([], "the whole must be a JSON object"),
        ({"task": GOOD["task"]}, "`cluster` must be a JSON object"),
        (GOOD | {"cluster": {}}, "`cluster` is empty"),
        (GOOD | {"cluster": {"worker": "a:1"}}, "`worker` must be a list of addresses"),
        (GOOD | {"cluster": {"worker": [1]}}, "`worker` must be a list of addresses"),
        (GOOD | {"cluster": {"worker": ["a"]}}, "'a' is not host:port"),
        (GOOD | {"cluster": {"worker": ["a:0"]}}, "'a:0' is not host:port"),
        (GOOD | {"cluster": {"worker": ["a:70000"]}}, "'a:70000' is not host:port"),
        (GOOD | {"cluster": {"worker": ["a:1"] * 2}}, "have the same address"),
        (GOOD | {"cluster": {"chief": ["a:1", "b:1"]}}, "more than one chief"),
        (GOOD | {"cluster": {"ps": ["a:1"], "worker": ["b:1"]}}, "has ['ps']"),
        ({"cluster": GOOD["cluster"]}, "`task` must be a JSON object"),
        (
            GOOD | {"task": {"type": "worker", "index": 2}},
            "`task` is worker 2, and `cluster` has worker 0, worker 1",
        ),
        (
            GOOD | {"task": {"type": "worker", "index": -1}},
            "`task` is worker -1, and `cluster` has worker 0, worker 1",
        ),
        (GOOD | {"task": {"index": 0}}, "`task` is None 0, and `cluster` has worker 0"),
    ],
)
def test_a_malformed_tf_config_is_one_line(value, message, monkeypatch):
    text = value if isinstance(value, str) else json.dumps(value)
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError) as error:
        cluster.read()
    line = str(error.value)
    assert line.startswith("TF_CONFIG: ")
    assert message in line
    assert '{"cluster": {"worker": ["host0:12345"' in line
    assert "\n" not in line


def test_a_malformed_tf_config_ends_the_command(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "TF_CONFIG", "{")
    done = train(folder, tmp_path / "run")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("train_main: TF_CONFIG: it is not JSON")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("task", "name"),
    [({"type": "worker", "index": "1"}, "worker 1"), (None, "chief 0")],
)
def test_the_chief_comes_first(task, name, monkeypatch):
    jobs = {"worker": ["a:1", "b:2"], "chief": ["c:3"]}
    task = task or {"type": "chief", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": task}))
    read = cluster.read()
    assert read.name == name
    assert list(read.addresses.items()) == [
        ("chief 0", "c:3"),
        ("worker 0", "a:1"),
        ("worker 1", "b:2"),
    ]


@pytest.mark.parametrize("value", ["", "{}", None])
def test_without_other_workers_a_process_is_alone(value, monkeypatch):
    one = {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}
    text = json.dumps(one) if value is None else value
    monkeypatch.setenv("TF_CONFIG", text)
    assert cluster.read() is None
