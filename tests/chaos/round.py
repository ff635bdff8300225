"""One round: a cloud, photos, faults, and a look at what is left when all has come to rest."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image, ImageDraw

from functions.sweep import sweep
from infra.dynamodb import from_dynamodb
from infra.job import TERMINAL, Job
from infra.local.cloud import Cloud, CloudOptions
from infra.local.endpoint import Endpoint
from infra.local.invoke import Functions
from infra.settings import settings
from tests.chaos import invariants
from tests.chaos.faults import GONE, Faults, Place, fill, schedule
from tests.chaos.trouble import Trouble
from tests.chaos.witnesses import Witnesses

WORKERS = 3
PIPELINES = ("light", "real")
#: short times, so that much happens in a round: seconds of a lease, megabytes that a job may have
LEASE_SECONDS, MEMORY = 2.0, {"light": 400, "real": 2500}
#: seconds in which photos come, for each
PACE = {"light": 0.25, "real": 0.9}
#: jobs are lost that have not ended when no other has for so many seconds
PATIENCE = 120.0
#: one photo of so many kills the process, or wants all memory
ONE_POISON, ONE_HUNGRY = 20, 20
OPTIONS = {"resolution": 32, "views": 4, "view_size": 64, "target_faces": 500, "texture_size": 256}


@dataclass
class Report:
    """What a round showed."""

    seed: int
    jobs: int
    pipeline: str
    happened: list[str]
    #: how often each kind of fault came to pass
    faults: dict[str, int]
    statuses: dict[str, int] = field(default_factory=dict)
    #: jobs by the number of the attempt that they ended with
    attempts: dict[str, int] = field(default_factory=dict)
    #: writes that were refused because their worker had lost its job
    refused: int = 0
    lives: int = 0
    #: good photos that became no model, and why
    given_up: list[str] = field(default_factory=list)
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)


def play(seed: int, jobs: int, pipeline: str) -> Report:
    """Photos and faults by the seed; raises nothing that belongs to the game."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "MAQUETTE_LEASE_SECONDS": str(LEASE_SECONDS),
            "MAQUETTE_JOB_MEMORY": str(MEMORY[pipeline]),
            "MAQUETTE_THREADS": "1",
        }
        Trouble(f"{seed}-functions").install()
        with (
            _listening() as events,
            Cloud(CloudOptions(port=0, workers=0, data=Path(folder))) as cloud,
        ):
            report = _Round(cloud, events, seed, jobs, pipeline).play()
    report.seconds = time.monotonic() - began
    return report


class _Round:
    def __init__(self, cloud: Cloud, events: list[Any], seed: int, jobs: int, pipeline: str) -> None:
        self._cloud = cloud
        self._seed = seed
        self._pipeline = pipeline
        self._kinds = _kinds(seed, jobs)
        self._planned = schedule(seed, jobs, jobs * PACE[pipeline])
        running = cloud.running
        self._names = running.environment
        endpoint = Endpoint(running.endpoint_url)  # the referee's clients meet with no trouble
        self._s3, self._sqs, self._dynamodb, self._streams = (
            endpoint.client(service) for service in ("s3", "sqs", "dynamodb", "dynamodbstreams")
        )
        #: what S3 has told of so far
        self._events = events
        self._witnesses = Witnesses(running.url, running.socket_url)

    def play(self) -> Report:
        logs = self._cloud.folder.logs
        places = [
            Place(number, self._seed, self._pipeline, logs / f"worker-{number}.log")
            for number in range(1, WORKERS + 1)
        ]
        others: dict[str, Callable[[float], None]] = {
            "repeat event": self._repeat_event,
            "repeat message": self._repeat_message,
            "restart gateway": self._restart_gateway,
        }
        faults = Faults(self._planned, places, self._holders, others, LEASE_SECONDS)
        self._witnesses.start()
        with contextlib.ExitStack() as parts:
            for place in places:
                parts.callback(place.stop)
            parts.callback(self._witnesses.stop)
            parts.enter_context(self._again_and_again(lambda: fill(places), 0.1))
            parts.enter_context(self._again_and_again(self._sweep, 1.0))
            faults.start()
            parts.callback(faults.stop)
            self._drop_photos()
            faults.join()
            jobs = self._wait_for_the_end()
            behind = self._witnesses.wait(30.0)
            report = Report(self._seed, len(self._kinds), self._pipeline, faults.happened, dict(faults.counts))
            report.lives = sum(place.lives for place in places)
        report.statuses = dict(Counter(job.status for job in jobs.values()))
        report.attempts = dict(Counter(str(job.attempt) for job in jobs.values()))
        log = "".join(path.read_text(errors="replace") for path in logs.glob("worker-*.log"))
        report.refused = log.count("is not attempt")
        report.given_up = [
            f"{name}: {job.error}"
            for name, job in jobs.items()
            if self._kinds[name] == "good" and job.status != "succeeded"
        ]
        report.violations = [
            *self._look(jobs, faults.struck),
            *(f"{job_id}: still followed" for job_id in sorted(behind)),
        ]
        return report

    def _drop_photos(self) -> None:
        pause = random.Random(f"{self._seed}-pauses")
        metadata = {name: str(value) for name, value in OPTIONS.items()}
        for name in self._kinds:
            self._s3.put_object(
                Bucket=self._names["MAQUETTE_UPLOAD_BUCKET"], Key=f"inbox/{name}", Body=_photo(name),
                Metadata=metadata,
            )  # fmt: skip
            time.sleep(pause.uniform(0, 2 * PACE[self._pipeline]))

    def _jobs(self) -> dict[str, Job]:
        """All jobs by the names of their photos."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._names["MAQUETTE_JOBS_TABLE"])
        jobs = [Job.from_item(from_dynamodb(item)) for page in pages for item in page["Items"]]
        for job in jobs:
            self._witnesses.follow(job.job_id)
        return {job.source.key.removeprefix("inbox/"): job for job in jobs}

    def _wait_for_the_end(self) -> dict[str, Job]:
        deadline, most = time.monotonic() + PATIENCE, 0
        while True:
            jobs = self._jobs()
            ended = sum(job.status in TERMINAL for job in jobs.values())
            if ended > most:
                deadline, most = time.monotonic() + PATIENCE, ended
            if ended == len(self._kinds) or time.monotonic() > deadline:
                return jobs
            time.sleep(0.2)

    def _look(self, jobs: dict[str, Job], struck: set[int]) -> Iterator[str]:
        names = self._names
        arn = self._dynamodb.describe_table(TableName=names["MAQUETTE_JOBS_TABLE"])["Table"]["LatestStreamArn"]
        histories = invariants.history(self._streams, arn)
        set_aside = invariants.messages(self._sqs, self._queue("-dead"))
        if len(histories) != len(self._kinds):
            yield f"{len(self._kinds)} photos became {len(histories)} jobs"
        for name, kind in self._kinds.items():
            job = jobs.get(name)
            if job is None:
                yield f"{name} became no job"
                continue
            yield from invariants.of_a_history(histories[job.job_id])
            yield from invariants.of_an_outcome(kind, histories[job.job_id], set_aside, struck)
            yield from invariants.of_a_witness(job, self._witnesses.seen.get(job.job_id, []))
            if job.status == "succeeded":
                yield from invariants.of_a_model(self._s3, names["MAQUETTE_ARTIFACT_BUCKET"], job)
        yield from invariants.of_the_good(
            jobs[name] for name, kind in self._kinds.items() if kind == "good" and name in jobs
        )
        yield from (f"{job_id}: {error}" for job_id, error in self._witnesses.broken.items())

    # --- what happens to it ---

    def _queue(self, end: str) -> str:
        """The URL of the queue whose name ends so."""
        urls = self._sqs.list_queues(QueueNamePrefix="maquette-")["QueueUrls"]
        return next(str(url) for url in urls if url.endswith(end))

    def _sweep(self) -> None:
        with contextlib.suppress(BotoCoreError, ClientError):  # the schedule comes again
            sweep(settings())

    @contextlib.contextmanager
    def _again_and_again(self, do: Callable[[], object], pause: float) -> Iterator[None]:
        """Call ``do`` from a thread of its own, with a pause after each call."""
        ended = threading.Event()

        def run() -> None:
            while not ended.wait(pause):
                do()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(30.0)

    def _holders(self) -> list[int]:
        """Process ids of workers that hold a job; their names tell."""
        running = [job for job in self._jobs().values() if job.status == "running"]
        return [pid for job in running if (pid := invariants.process_of(job)) is not None]

    def _repeat_event(self, draw: float) -> None:
        """S3 tells of some photos again, the last first."""
        first = int(draw * len(self._events))
        for event in reversed(self._events[first : first + 3]):
            self._sqs.send_message(QueueUrl=self._queue("-notifications"), MessageBody=json.dumps(event))

    def _repeat_message(self, draw: float) -> None:
        jobs = sorted(self._jobs().values(), key=lambda job: job.created_at)
        for job in jobs[int(draw * len(jobs)) :][:2]:
            body = json.dumps({"job_id": job.job_id})
            self._sqs.send_message(QueueUrl=self._names["MAQUETTE_JOB_QUEUE_URL"], MessageBody=body)

    def _restart_gateway(self, draw: float) -> None:
        self._cloud.stop_gateway()
        time.sleep(GONE)
        self._cloud.start_gateway()


@contextlib.contextmanager
def _listening() -> Iterator[list[Any]]:
    """Every event of S3 that a function is called with, as it comes."""
    heard: list[Any] = []
    invoke = Functions.invoke

    def listen(self: Functions, path: str, event: Any, **more: Any) -> Any:
        if isinstance(event, dict) and event.get("Records", [{}])[0].get("eventSource") == "aws:s3":
            heard.append(event)
        return invoke(self, path, event, **more)

    Functions.invoke = listen  # type: ignore[method-assign]
    try:
        yield heard
    finally:
        Functions.invoke = invoke  # type: ignore[method-assign]


def _kinds(seed: int, jobs: int) -> dict[str, str]:
    """What each photo does to its worker, by its name."""
    bad = ["poison"] * max(1, jobs // ONE_POISON) + ["hungry"] * max(1, jobs // ONE_HUNGRY)
    kinds = bad + ["good"] * (jobs - len(bad))
    random.Random(f"{seed}-kinds").shuffle(kinds)
    return {f"{kind}-{number}.png": kind for number, kind in enumerate(kinds)}


def _photo(name: str) -> bytes:
    """A picture of a disc on nothing; each name has another."""
    drawn = random.Random(name)
    picture = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
    color = tuple(drawn.randrange(256) for _ in range(3))
    ImageDraw.Draw(picture).ellipse((20, 30, 100, 110), fill=(*color, 255))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
