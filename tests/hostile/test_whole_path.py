"""Hostile files and names through the whole cloud: upload, event, job, queue, and a worker that outlives them.

``HOSTILE=all`` sends every file of the corpus, as ``make test-hostile`` does; without it, some of each kind.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.dynamodb import from_dynamodb
from infra.job import TERMINAL, Job
from infra.machine import memory_for_work
from tests.access.names import HOSTILE
from tests.cloud.machine import Machine, machine, wait_for
from tests.hostile.corpus import corpus
from tests.hostile.oddities import SECRET
from tests.hostile.samples import ACCEPTED, Sample, encode, picture

#: as little work as can be asked for
SMALLEST = {
    "resolution": "32",
    "views": "4",
    "view-size": "64",
    "target-faces": "500",
    "texture-size": "256",
    "engine": "inflate",
}
#: what may be said of a picture that can be decoded but shows no object
NO_OBJECT = {"no_clear_object", "empty_surface"}
#: kinds whose accepted files all show the object
SHOWING = {"harmless", "orientation", "metadata", "profile", "truncated"}
#: most that the worker may have in RAM at once, MB
MOST_MEMORY = 1_200

EVERYTHING = os.environ.get("HOSTILE") == "all"


def chosen() -> list[Sample]:
    """Of each kind of file one that ends in each way; few of those that are taken, since these cost most."""
    if EVERYTHING:
        return list(corpus())
    seen: dict[tuple[str, str], Sample] = {}
    for sample in corpus():
        if sample.expected != ACCEPTED or SECRET in sample.data or sample.kind in ("bomb", "numbers"):
            seen.setdefault((sample.kind, sample.expected), sample)
    refused = [sample for sample in corpus() if sample.expected != ACCEPTED]
    return list(dict.fromkeys([*seen.values(), *refused[::15]]))


def keys(samples: list[Sample]) -> dict[str, Sample]:
    """A key in the drop folder for each; hostile ones as far as they go round and S3 takes them."""
    names = [name for name in HOSTILE.values() if _is_key(f"inbox/0/{name}")] + MORE_NAMES
    return {f"inbox/{index}/{names[index % len(names)]}": sample for index, sample in enumerate(samples)}


#: beside those that tests of access know
MORE_NAMES = [
    "NUL",
    "aux.jpg",
    "robot.png.exe",
    "robot",
    ".png",
    "👾🤖\u200d.png",
    "ﷺ" * 300,
    "a" * 1_000,
    "+%2B+ +.png",
    "&amp;.png",
]


def _is_key(key: str) -> bool:
    """Whether S3, and moto in its place, takes it: short UTF-8 without controls that stays in its bucket."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return False
    return len(encoded) <= 1_024 and "/../" not in key and not re.search("[\x00-\x1f\ufffe\uffff]", key)


@dataclass
class Aftermath:
    """What became of them."""

    machine: Machine
    processes: set[int]
    temporary: Path
    samples: dict[str, Sample]
    jobs: dict[str, Job]


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    folder, temporary = tmp_path_factory.mktemp("hostile"), tmp_path_factory.mktemp("temporary")
    told = {"MAQUETTE_THREADS": "1", "MAQUETTE_LOG": "json", "TMPDIR": str(temporary)}
    with machine(folder, "--workers", "1", **told) as running:
        s3, given = running.client("s3"), running.running.environment
        assert given["MAQUETTE_JOB_MEMORY"] == f"{(memory_for_work() or 0) / 1e6:.0f}", (
            "all of it, for one worker"
        )
        processes = wait_for(lambda: _at_least(2, running.descendants()), "a worker")
        samples = keys(chosen())
        started = time.monotonic()
        for key, sample in samples.items():
            s3.put_object(Bucket=given["MAQUETTE_UPLOAD_BUCKET"], Key=key, Body=sample.data, Metadata=SMALLEST)
        dynamodb = running.client("dynamodb")

        def ended() -> dict[str, Job] | None:
            time.sleep(0.5 + len(samples) / 200)  # reading the whole table costs the emulator something
            pages = dynamodb.get_paginator("scan").paginate(TableName=given["MAQUETTE_JOBS_TABLE"])
            jobs = [Job.from_item(from_dynamodb(item)) for page in pages for item in page["Items"]]
            found = {job.source.key: job for job in jobs if job.status in TERMINAL}
            return found if len(found) >= len(samples) else None

        jobs = wait_for(ended, "the end of all jobs", 110 if not EVERYTHING else 1_000)
        print(f"{len(jobs)} files in {time.monotonic() - started:.0f} s")
        yield Aftermath(running, processes, temporary, samples, jobs)


def test_each_is_told_its_right_code_at_once_or_becomes_a_model(aftermath: Aftermath) -> None:
    wrong = {}
    for key, sample in aftermath.samples.items():
        job = aftermath.jobs[key]
        code = job.error["code"] if job.error else ACCEPTED
        right = code == sample.expected or (
            sample.expected == ACCEPTED and code in NO_OBJECT and sample.kind not in SHOWING
        )
        if not right or job.attempt > 1:
            wrong[sample.name] = f"{code} in attempt {job.attempt} in place of {sample.expected}"
    assert wrong == {}


def test_the_same_worker_outlives_them_within_memory_and_makes_a_model_of_a_good_photo(
    aftermath: Aftermath,
) -> None:
    running = aftermath.machine
    assert running.descendants() == aftermath.processes, "nobody has died or been replaced"
    running.drop("inbox/good.png", encode(picture(), "png"), **SMALLEST)
    assert running.ended_job("inbox/good.png").status == "succeeded"
    log = (running.data / "logs" / "worker-1.log").read_text()
    assert "Traceback" not in log
    assert "internal_error" not in log
    peaks = [float(found) for found in re.findall(r'"PeakMemory": ?\[?([\d.]+)', log)]
    assert len(peaks) >= len(aftermath.samples)
    print(f"at most {max(peaks):.0f} MB")
    assert max(peaks) < MOST_MEMORY


def test_nothing_waits_in_any_queue_and_nothing_is_set_aside(aftermath: Aftermath) -> None:
    sqs = aftermath.machine.client("sqs")
    for url in sqs.list_queues()["QueueUrls"]:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert attributes["ApproximateNumberOfMessages"] == "0", url
        assert attributes["ApproximateNumberOfMessagesNotVisible"] == "0", url


def test_no_file_of_a_model_tells_what_stood_beside_the_pixels(aftermath: Aftermath) -> None:
    s3 = aftermath.machine.client("s3")
    bucket = aftermath.machine.running.environment["MAQUETTE_ARTIFACT_BUCKET"]
    looked_at = 0
    for key, sample in aftermath.samples.items():
        job = aftermath.jobs[key]
        if SECRET not in sample.data or job.manifest_key is None:
            continue
        prefix = job.manifest_key.rpartition("/")[0] + "/"
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
            assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9]+)+", entry["Key"].removeprefix(prefix))
            body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            assert SECRET not in body
            assert b"Exif\0\0" not in body
            looked_at += 1
    assert looked_at >= 5


def test_failed_jobs_leave_no_file_behind(aftermath: Aftermath) -> None:
    s3 = aftermath.machine.client("s3")
    bucket = aftermath.machine.running.environment["MAQUETTE_ARTIFACT_BUCKET"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    with_files = {entry["Key"].split("/")[1] for page in pages for entry in page.get("Contents", [])}
    failed = {job.job_id for job in aftermath.jobs.values() if job.status == "failed"}
    assert not with_files & failed
    assert list(aftermath.temporary.glob("maquette-*")) == []


def _at_least(count: int, found: set[int]) -> set[int] | None:
    return found if len(found) >= count else None
