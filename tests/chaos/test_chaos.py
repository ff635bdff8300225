"""Workers are killed, put to sleep and starved, messages and events repeated, calls fail: nothing is lost."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.job import Job, Source
from tests.chaos.faults import ONE_FOR, schedule
from tests.chaos.invariants import of_an_outcome
from tests.cloud.machine import PATIENCE, clean_environment

ROOT = Path(__file__).parents[2]


def test_whatever_happens_every_job_comes_to_its_one_end(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    # A seed whose first photo is the one that kills: it takes longest to be given up.
    answer = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seed", "33", "--jobs", "12", "--report", path],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr[-3000:]
    report = json.loads(path.read_text())
    assert set(report["faults"]) == set(ONE_FOR), "a kind of fault met with nobody"
    assert sum(report["statuses"].values()) == report["jobs"] == 12


def test_a_seed_gives_the_same_faults_again_and_each_kind_of_them() -> None:
    assert schedule(3, 60, 10.0) == schedule(3, 60, 10.0) != schedule(4, 60, 10.0)
    assert {fault.kind for fault in schedule(5, 4, 10.0)} == set(ONE_FOR)


@pytest.mark.parametrize(
    ("code", "struck", "holds"),
    [
        ("out_of_memory", set(), True),
        ("worker_lost", {11, 12}, True),
        ("worker_lost", {11}, False),
        ("worker_lost", set(), False),
    ],
)
def test_a_photo_that_wants_all_memory_is_not_to_take_its_worker_with_it(
    code: str, struck: set[int], holds: bool
) -> None:
    queued = Job("j", "o", "queued", Source("photos", "inbox/hungry.png"), 0.0, 0.0, 1.0)
    first = dataclasses.replace(queued, status="running", attempt=1, worker="machine-11-a")
    second = dataclasses.replace(first, attempt=2, worker="machine-12-b")
    end = dataclasses.replace(second, status="failed", worker=None, error={"code": code})
    found = list(of_an_outcome("hungry", [queued, first, second, end], set(), struck))
    assert found == [] if holds else len(found) == 1
