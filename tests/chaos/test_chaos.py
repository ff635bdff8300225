"""Workers are killed, put to sleep and starved, messages and events repeated, calls fail: nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.chaos.faults import ONE_FOR, schedule
from tests.cloud.machine import PATIENCE, clean_environment

ROOT = Path(__file__).parents[2]


def test_whatever_happens_every_job_comes_to_its_one_end() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seed", "11", "--jobs", "16"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr[-3000:]


def test_a_seed_gives_the_same_faults_again_and_each_kind_of_them() -> None:
    assert schedule(3, 60, 10.0) == schedule(3, 60, 10.0) != schedule(4, 60, 10.0)
    assert {fault.kind for fault in schedule(5, 4, 10.0)} == set(ONE_FOR)
