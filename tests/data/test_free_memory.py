import pathlib

import pytest

from hcm_tf.data import free_memory


@pytest.mark.skipif(not pathlib.Path("/proc/meminfo").exists(), reason="Linux")
def test_it_is_what_linux_says(monkeypatch):
    monkeypatch.setattr(free_memory, "_LIMITS", ())
    fields = dict(
        line.split(":")
        for line in pathlib.Path("/proc/meminfo").read_text().split("\n")
        if line
    )
    total, available = (
        int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable")
    )
    # Other processes come and go meanwhile.
    assert abs(free_memory.available() - available) < 0.1 * total


def test_a_container_has_no_more_than_its_limit(tmp_path, monkeypatch):
    limit, none, missing = (tmp_path / name for name in ("limit", "none", "missing"))
    limit.write_text("1000000\n")
    none.write_text("max\n")
    monkeypatch.setattr(free_memory, "_LIMITS", (limit, missing))
    assert free_memory.available() == 1_000_000
    monkeypatch.setattr(free_memory, "_LIMITS", (none, missing))
    assert free_memory.available() > 1_000_000
