"""The machines that train one run together, as `TF_CONFIG` names them."""

import dataclasses
import json
import os
from typing import Any

from hcm_tf.errors import UserError

VARIABLE = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
JOBS = ("chief", "worker")  # In the order in which TensorFlow counts their tasks.


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of a run, and which of them this process is.

    Attributes:
        addresses: `host:port` of each by its name, such as `worker 1`, the chief first.
        name: of this process.
    """

    addresses: dict[str, str]
    name: str


def read() -> Cluster | None:
    """What `TF_CONFIG` says; None where this process trains alone.

    Raises:
        UserError: it is not what TensorFlow's documentation of
            `tf.distribute.cluster_resolver.TFConfigClusterResolver` describes.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if text in ("", "{}"):
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _wrong(f"it is not JSON ({error})") from error
    jobs = _object(value, "the whole").get("cluster")
    jobs = _object(jobs, "`cluster`")
    unknown = sorted(set(jobs) - set(JOBS))
    if unknown:
        raise _wrong(f"`cluster` has {unknown}, and only chief and worker train here")
    addresses = {job: _addresses(jobs[job], job) for job in JOBS if job in jobs}
    if len(addresses.get("chief", ())) > 1:
        raise _wrong("there is more than one chief")
    named = {
        f"{job} {number}": address
        for job, own in addresses.items()
        for number, address in enumerate(own)
    }
    if not named:
        raise _wrong("`cluster` is empty")
    if len(set(named.values())) < len(named):
        raise _wrong("two workers have the same address")
    task = _object(value.get("task"), "`task`")
    name = f"{task.get('type')} {task.get('index')}"
    if name not in named:
        raise _wrong(f"`task` is {name}, and `cluster` has {', '.join(named)}")
    return Cluster(named, name) if len(named) > 1 else None


def _addresses(value: Any, job: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(own, str) for own in value):
        raise _wrong(f"`{job}` must be a list of addresses")
    for address in value:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise _wrong(f"{address!r} is not host:port")
    return tuple(value)


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(f"{name} must be a JSON object")
    return value


def _wrong(what: str) -> UserError:
    return UserError(
        f"{VARIABLE}: {what}. It must look like {EXAMPLE}; unset it to train on this "
        "machine alone."
    )
