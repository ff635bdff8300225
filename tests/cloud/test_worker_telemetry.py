"""What a worker tells of itself: lines that know their job, and metrics that do not count by it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.job import Job
from infra.jobs import JobTable
from tests.cloud.conftest import Cloud
from tests.cloud.test_protocol_worker import until, waiting

ROOT = Path(__file__).parents[2]

Line = dict[str, Any]


class Told:
    """What a worker wrote on standard output, which is where CloudWatch reads it."""

    def __init__(self, text: str) -> None:
        self.lines: list[Line] = [json.loads(line) for line in text.splitlines()]
        self.records = [line for line in self.lines if "_aws" not in line]

    def record(self, message: str) -> Line:
        (found,) = [line for line in self.records if line["message"] == message]
        return found

    def metrics(self, name: str) -> list[tuple[float, str, dict[str, str]]]:
        """Value, unit and dimensions, each time it was written."""
        found = []
        for line in self.lines:
            for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                assert directive["Namespace"] == "Maquette"
                (names,) = directive["Dimensions"]
                for metric in directive["Metrics"]:
                    if metric["Name"] == name:
                        (value,) = line[name]
                        found.append(
                            (value, metric["Unit"], {dimension: line[dimension] for dimension in names})
                        )
        return found

    def metric(self, name: str) -> tuple[float, str, dict[str, str]]:
        (found,) = self.metrics(name)
        return found


@pytest.fixture
def work(cloud: Cloud, tmp_path: Path) -> Iterator[Callable[..., Told]]:
    """Let a worker process work on job ``job`` until something is true of it; then, what it has told."""
    started: list[subprocess.Popen[str]] = []

    def work(pipeline: str, done: Callable[[Job], bool], **variables: str) -> Told:
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "MAQUETTE_LOG": "json"}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cloud.stand_in", pipeline],
            cwd=ROOT,
            env=environment | cloud.environment | {"MAQUETTE_DEPLOYMENT": "studio"} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        until(lambda: done(cloud.table.get("job")))
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        return Told(output)

    yield work
    for process in started:
        process.kill()
        process.wait()


def ended(job: Job) -> bool:
    return job.terminal


def broken(job: Job) -> bool:
    return job.notice is not None and job.status == "queued"


def test_every_line_says_when_who_and_what_and_knows_its_job(cloud: Cloud, work: Callable[..., Told]) -> None:
    waiting(cloud)
    told = work("talkative", ended)
    for line in told.records:
        assert list(line)[:5] == ["timestamp", "level", "service", "logger", "message"]
        assert line["service"] == "studio"
    (ready,) = [line for line in told.records if line["message"].endswith("is ready")]
    assert not {"job_id", "attempt", "stage"} & set(ready), "there is no job yet"
    about = {"job_id": "job", "attempt": 1}
    for message in ("claimed", "succeeded"):
        line = told.record(message)
        assert {name: line.get(name) for name in ("job_id", "attempt", "stage")} == {**about, "stage": None}
    of_pipeline = [line for line in told.records if line["logger"] == "gpu_container.stand_in"]
    assert [line["stage"] for line in of_pipeline] == ["decode"] * 2 + ["mesh"] * 2 + ["export"] * 2
    assert all(about.items() <= line.items() for line in of_pipeline), "it has a thread of its own"


def test_a_job_that_went_well_is_measured_and_no_metric_counts_by_it(
    cloud: Cloud, work: Callable[..., Told]
) -> None:
    waiting(cloud)
    told = work("quick", ended)
    service = {"service": "studio"}
    waited, unit, dimensions = told.metric("QueueSeconds")
    assert 0 <= waited < 60
    assert (unit, dimensions) == ("Seconds", service)
    timings = cloud.table.get("job").timings
    assert told.metrics("StageSeconds") == [
        (seconds, "Seconds", {**service, "stage": stage}) for stage, seconds in timings.items()
    ]
    assert set(timings) == {"decode", "mesh", "upload"}
    peak, unit, dimensions = told.metric("PeakMemory")
    assert 20 < peak < 1000
    assert (unit, dimensions) == ("Megabytes", service)
    assert told.metrics("PeakDeviceMemory") == []
    assert told.metrics("AttemptsBroken") == []
    assert {line["job_id"] for line in told.lines if "_aws" in line} == {"job"}, "to be searched for"


def test_waiting_begins_when_the_photo_is_there(cloud: Cloud, work: Callable[..., Told]) -> None:
    uploaded = cloud.queued("other").source
    an_hour_ago = JobTable(cloud.settings.jobs_table, clock=lambda: time.time() - 3600)
    job = an_hour_ago.create("job", "operator", uploaded, {"resolution": 64}, arrived=False)
    cloud.table.photo_arrived(job, uploaded)
    cloud.queue.send("job")
    assert work("quick", ended).metric("QueueSeconds")[0] < 60


def test_an_attempt_that_broke_is_counted_and_told_with_its_stage_and_trace(
    cloud: Cloud, work: Callable[..., Told]
) -> None:
    waiting(cloud)
    told = work("defective", broken)
    assert told.metric("AttemptsBroken") == (1.0, "Count", {"service": "studio"})
    line = told.record("an error that nobody expected")
    assert line["level"] == "ERROR"
    assert {"job_id": "job", "attempt": 1, "stage": "decode"}.items() <= line.items()
    assert "ZeroDivisionError: secret detail of the trace" in line["exception"]
    assert told.metrics("StageSeconds") == []
    assert len(told.metrics("PeakMemory")) == 1

    told = work("quick", ended)
    assert told.record("claimed")["attempt"] == 2
    assert told.metrics("QueueSeconds") == [], "it waited for a pause to be over, not for a worker"


def test_a_photo_that_cannot_be_used_is_no_broken_attempt(cloud: Cloud, work: Callable[..., Told]) -> None:
    waiting(cloud)
    told = work("damaged", ended)
    assert told.metrics("AttemptsBroken") == []
    line = told.record("corrupt_image: This picture is damaged.")
    assert (line["level"], line["job_id"]) == ("WARNING", "job")


def test_on_a_terminal_it_speaks_plainly(cloud: Cloud, tmp_path: Path) -> None:
    waiting(cloud)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cloud.stand_in", "talkative"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)} | cloud.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: cloud.table.get("job").terminal)
        process.send_signal(signal.SIGTERM)
        output, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert output == "", "nobody would add metrics up"
    assert "INFO gpu_container.worker claimed (job_id=job attempt=1)\n" in told
    assert "INFO gpu_container.stand_in working on it (job_id=job attempt=1 stage=mesh)\n" in told
