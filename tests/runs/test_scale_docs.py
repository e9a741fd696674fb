"""The launchers of docs/scale: the TF_CONFIG that each makes, and the manifest."""

import copy
import json
import os
import pathlib
import subprocess

import kubernetes_validate
import pytest
import yaml

from hcm_tf.runs import cluster

SCALE = pathlib.Path(__file__).parents[2] / "docs" / "scale"
# In place of Python: says what it is given.
ECHO = '#!/bin/sh\necho "$TF_CONFIG" "$@"\n'


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Function that puts programs first on the PATH."""

    def make(**scripts):
        for name, text in scripts.items():
            path = tmp_path / name
            path.write_text(text)
            path.chmod(0o755)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return make


def said(command, environment):
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def read_all(lines, monkeypatch):
    """The clusters that workers would read, and their arguments."""
    read, arguments = [], set()
    for line in lines:
        value, end = json.JSONDecoder().raw_decode(line)
        monkeypatch.setenv("TF_CONFIG", json.dumps(value))
        read.append(cluster.read())
        arguments.add(line[end:].strip())
    return read, arguments


def test_slurm_starts_a_worker_on_every_node(programs, monkeypatch):
    environment = programs(
        python=ECHO,
        scontrol='#!/bin/sh\n[ "$*" = "show hostnames node[7-9]" ] || exit 1\n'
        "printf 'node7\\nnode8\\nnode9\\n'\n",
        srun="#!/bin/sh\nwhile [ $1 != bash ]; do shift; done\n"
        'for index in 0 1 2; do SLURM_PROCID=$index "$@"; done\n',
    )
    environment |= {"SLURM_JOB_NODELIST": "node[7-9]", "PORT": "2345"}
    lines = said(["bash", SCALE / "slurm.sh", "--a=b c", "--d"], environment)
    read, arguments = read_all(lines, monkeypatch)
    assert arguments == {"train_main.py --a=b c --d"}
    assert [one.name for one in read] == ["worker 0", "worker 1", "worker 2"]
    for one in read:
        assert list(one.addresses.values()) == [f"node{n}:2345" for n in (7, 8, 9)]


def test_local_starts_workers_on_the_loopback(programs, monkeypatch):
    environment = programs(python=ECHO) | {"PORT": "2345"}
    lines = said(["bash", SCALE / "local.sh", "2", "--steps=7"], environment)
    read, arguments = read_all(sorted(lines), monkeypatch)
    assert arguments == {"train_main.py --steps=7"}
    assert [one.name for one in read] == ["worker 0", "worker 1"]
    assert list(read[0].addresses.values()) == ["127.0.0.1:2345", "127.0.0.1:2346"]


def test_local_gives_the_status_of_a_worker_that_fails(programs):
    failing = "#!/bin/sh\ncase $TF_CONFIG in *'\"index\": 0'*) exit 3;; esac\n"
    done = subprocess.run(
        ["bash", SCALE / "local.sh", "2"], env=programs(python=failing)
    )
    assert done.returncode == 3


@pytest.fixture(scope="module")
def manifest():
    text = (SCALE / "kubernetes.yaml").read_text()
    service, job = yaml.safe_load_all(text)
    return service, job


def test_the_manifest_is_one_of_kubernetes(manifest):
    for part in manifest:
        kubernetes_validate.validate(part, "1.37", strict=True)
        wrong = copy.deepcopy(part)
        wrong["spec"]["completion"] = 4
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, "1.37", strict=True)


def test_the_pods_find_each_other(manifest, programs, monkeypatch):
    service, job = manifest
    spec, template = job["spec"], job["spec"]["template"]
    pod, name = template["spec"], job["metadata"]["name"]
    (container,) = pod["containers"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    count = spec["completions"]
    assert count == spec["parallelism"] == int(variables["WORKERS"])
    assert spec["completionMode"] == "Indexed"
    # The names that Kubernetes gives: of the pod, and in the Service's domain.
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == template["metadata"]["labels"]
    (port,) = (one["containerPort"] for one in container["ports"])
    lines = []
    for index in range(count):
        environment = programs(python=ECHO) | variables
        environment["JOB_COMPLETION_INDEX"] = str(index)
        lines += said([*container["command"], *container["args"]], environment)
    read, (arguments,) = read_all(lines, monkeypatch)
    assert arguments.startswith("train_main.py --flagfile=configs/celeba64.flags")
    assert [one.name for one in read] == [f"worker {n}" for n in range(count)]
    for one in read:
        assert list(one.addresses.values()) == [
            f"{name}-{n}.{pod['subdomain']}:{port}" for n in range(count)
        ]
