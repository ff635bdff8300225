"""A worker whose disk is really full: a small one of its own, in a mount namespace."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.conftest import Cloud
from tests.cloud.test_protocol_worker import until

ROOT = Path(__file__).parents[2]
#: runs a command for which the folder in TMPDIR is a disk of a megabyte and sixteen files
OWN_DISK = [
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mount -t tmpfs -o size=1m,nr_inodes=16 none "$TMPDIR" && exec "$@"',
    "sh",
]


def _has_disks(folder: Path) -> bool:
    try:
        return subprocess.run([*OWN_DISK, "true"], env=os.environ | {"TMPDIR": str(folder)}).returncode == 0
    except OSError:
        return False


@pytest.fixture
def worker(cloud: Cloud, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    if not _has_disks(tmp_path):
        pytest.skip("this system gives nobody a disk of their own")
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    command = [*OWN_DISK, sys.executable, "-m", "tests.cloud.stand_in", "quick"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment | cloud.environment)
    yield process
    process.kill()
    process.wait()


def test_a_full_disk_costs_an_attempt_and_the_job_succeeds_when_there_is_room(
    cloud: Cloud, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    _send(cloud, "before")
    until(lambda: cloud.table.get("before").status == "succeeded")
    fillers = _fill(Path(f"/proc/{worker.pid}/root{tmp_path}"))
    _send(cloud, "meanwhile")
    until(lambda: cloud.table.get("meanwhile").notice is not None)
    job = cloud.table.get("meanwhile")
    assert (job.status, job.attempt, (job.notice or {})["code"]) == ("queued", 1, "internal_error")
    for filler in fillers:
        filler.unlink()
    until(lambda: cloud.table.get("meanwhile").terminal)
    assert (cloud.table.get("meanwhile").status, cloud.table.get("meanwhile").attempt) == ("succeeded", 2)
    assert worker.poll() is None


def _send(cloud: Cloud, job_id: str) -> None:
    cloud.queued(job_id)
    cloud.queue.send(job_id)


def _fill(folder: Path) -> list[Path]:
    """Files until there is room for none."""
    fillers: list[Path] = []
    for number in itertools.count():
        filler = folder / f"filler-{number}"
        try:
            filler.touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return fillers
        fillers.append(filler)
    raise AssertionError
