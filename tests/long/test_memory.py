"""A run of ten thousand steps needs no more memory at its end than at its beginning."""

import json
import pathlib
import time

import pytest
from recipe_run import start
from small_run import draw_pictures

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
STEPS = 10_000


def resident(process):
    """Bytes of memory in use."""
    pages = pathlib.Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


def last_step(log):
    if not log.exists() or not log.stat().st_size:
        return 0
    return json.loads(log.read_text().splitlines()[-1])["step"]


def test_memory_stays_what_it_is_at_step_1000(tmp_path):
    draw_pictures(tmp_path / "pictures")
    process = start(tmp_path / "pictures", tmp_path / "run", STEPS)
    log, used = tmp_path / "run" / "metrics.jsonl", {}
    while process.poll() is None:
        step = last_step(log)
        used.setdefault(step // 1000, resident(process))
        time.sleep(0.2)
    assert process.returncode == 0
    megabytes = {thousand: size / 1e6 for thousand, size in used.items()}
    print({thousand: round(size) for thousand, size in megabytes.items()})
    assert max(used.values()) <= 1.05 * used[1]
