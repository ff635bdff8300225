"""What a job asks of the cloud, counted on its way through it, against what the cost model believes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import gpu_container.worker
import infra.attempt
from functions import app
from gpu_container.worker import Worker
from infra.artifacts import MANIFEST, expected_names
from infra.attempt import REPORT_SECONDS, Progress
from infra.clients import client
from infra.connections import ConnectionTable
from infra.dynamodb import to_dynamodb
from infra.economy.usage import RECEIVE_SECONDS, WRITES, Assumptions, writes_per_job
from infra.job import Job, Source
from infra.jobs import JobTable
from infra.options import Options
from infra.settings import Settings
from infra.stages import STAGES
from infra.tokens import Bearer
from tests.cloud.conftest import Clock, Cloud, Rest, s3_record
from tests.cloud.stand_in import Result

Calls = Counter[str]
#: of S3, as long as they come
VERSION = "3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrHY"


@pytest.fixture
def calls(cloud: Cloud) -> Iterator[Calls]:
    """Every call of the four services, as ``service.operation``."""
    counted: Calls = Counter()

    def note(model: Any, **_: Any) -> None:
        counted[f"{model.service_model.service_name}.{model.name}"] += 1

    services = [client(name) for name in ("s3", "sqs", "dynamodb", "events")]
    for service in services:
        service.meta.events.register("before-call", note, unique_id="economy")
    yield counted
    for service in services:
        service.meta.events.unregister("before-call", unique_id="economy")


def every_stage(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """All files of a real model, and one piece of news per stage."""
    for stage in STAGES[:-1]:
        progress(stage, 0.0)
    files = [folder / name for name in expected_names(options.views)]
    for path in files:
        path.write_bytes(b"{}")
    return Result(files, folder / MANIFEST, {})


def test_a_job_makes_as_many_calls_as_are_paid_for(
    cloud: Cloud, rest: Rest, ann: str, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infra.attempt, "REPORT_SECONDS", math.inf)  # news of stages only, however slow this is
    calls.clear()
    _, body, _ = rest("POST", "/jobs", token=ann, body={"filename": "robot.jpg"})
    expected = writes_per_job(0.0, 0.0, 60.0)
    assert calls["dynamodb.PutItem"] == expected["create"]
    job = cloud.table.get(body["job"]["job_id"])
    put = client("s3").put_object(Bucket=job.source.bucket, Key=job.source.key, Body=b"photo")
    record = s3_record(job.source.bucket, job.source.key, 5, put["ETag"].strip('"'), versionId=put["VersionId"])

    calls.clear()
    app.on_upload({"Records": [record]}, None)
    assert calls["dynamodb.UpdateItem"] == expected["arrive"]
    assert calls["sqs.SendMessage"] == 1

    calls.clear()
    Worker(
        every_stage,
        cloud.table,
        cloud.queue,
        cloud.settings.artifact_bucket,
        lease_seconds=60,
        deadline_seconds=900,
    ).serve_one()
    made = dict(calls)
    assert cloud.table.get(job.job_id).status == "succeeded"
    assert made == {
        "sqs.ReceiveMessage": 1,
        "dynamodb.UpdateItem": expected["claim"] + expected["report"] + expected["end"],
        "s3.GetObject": 1,
        "s3.PutObject": len(expected_names(Options().views)),
        "sqs.DeleteMessage": 1,
    }


@pytest.fixture
def life(cloud: Cloud, clock: Clock) -> dict[str, Job]:
    """A job after each kind of write, its record as long as it gets."""
    table = JobTable(cloud.settings.jobs_table, clock=clock)
    job_id = "0b3dbb06-3cf5-4c4c-9a3c-6d3a1a1c4b1d"
    key = f"uploads/{job_id}/IMG_20261123_120000 (1).jpg"
    waiting = Source("maquette-upload-123456789012-eu-central-1", key)
    states = {
        "create": table.create(job_id, job_id, waiting, Options(print_height_mm=123.4).as_dict(), arrived=False)
    }
    source = Source(states["create"].source.bucket, key, VERSION, "9b2cf535f27731c974343645a3985328", 2_000_000)
    states["create"] = table.get(job_id)

    def after(name: str, job: Job) -> None:
        clock.advance(7.654321)
        states[name] = job

    after("arrive", table.photo_arrived(states["create"], source))
    worker = "ip-10-42-12-123.eu-central-1.compute.internal-1-abcdef"
    after("claim", table.claim(job_id, worker, lease_seconds=60, deadline_seconds=900).job)
    after("report", table.report(states["claim"], "reconstruct", 0.123456))
    after("heartbeat", table.heartbeat(states["report"], lease_seconds=60))
    timings = dict.fromkeys(STAGES, 12.345678)
    manifest = f"jobs/{job_id}/1/manifest.json"
    after("end", table.succeed(states["heartbeat"], manifest_key=manifest, engine="triposr", timings=timings))
    return states


def test_each_write_costs_as_many_units_as_are_paid_for(life: dict[str, Job]) -> None:
    before: Job | None = None
    for kind, job in life.items():
        record = max(item_bytes(job), item_bytes(before) if before else 0)
        assert record <= 1024, "a longer record takes two units"
        # The table, the index by owner, which holds all of it, and the sweeper's, by status and sweep_at.
        assert WRITES[kind] == 2 + sweep_units(before, job), kind
        before = job
    assert set(life) == set(WRITES)


def test_every_write_but_a_heartbeat_is_news_for_two_kinds_of_followers(
    cloud: Cloud, life: dict[str, Job], calls: Calls
) -> None:
    before: Job | None = None
    queries = {}
    for number, (kind, job) in enumerate(life.items()):
        calls.clear()
        images = {"NewImage": job} | ({"OldImage": before} if before else {})
        change = {name: to_dynamodb(image.as_item()) for name, image in images.items()}
        app.on_job_changed({"Records": [{"dynamodb": {"SequenceNumber": str(number), **change}}]}, None)
        queries[kind] = calls["dynamodb.Query"]
        assert calls["events.PutEvents"] == (kind == "end")
        before = job
    assert queries == {kind: 0 if kind == "heartbeat" else 2 for kind in WRITES}


def test_a_connection_is_written_three_times_and_twice_into_its_index(cloud: Cloud, calls: Calls) -> None:
    connections = ConnectionTable(cloud.settings.connections_table)
    calls.clear()
    connections.open("c", Bearer(owner="ann"))
    connections.follow_all("c")
    connections.close("c")
    writes = calls["dynamodb.PutItem"] + calls["dynamodb.UpdateItem"] + calls["dynamodb.DeleteItem"]
    assert writes + 2 == 5  # the topic enters the index and leaves it


def test_heartbeats_news_and_looks_come_as_often_as_the_code_makes_them() -> None:
    assert writes_per_job(100.0, 0.0, Settings({}).lease_seconds)["heartbeat"] == 3
    assert Assumptions().reports_per_second <= 1 / REPORT_SECONDS
    assert RECEIVE_SECONDS == gpu_container.worker.RECEIVE_SECONDS


def test_a_frame_of_a_socket_is_one_message(life: dict[str, Job]) -> None:
    assert all(len(json.dumps(job.as_public())) < 32_000 for job in life.values())


def sweep_units(before: Job | None, after: Job) -> int:
    """What a write costs in the sweeper's index: a changed key is taken away and put anew."""
    old = (before.status, before.sweep_at) if before and before.sweep_at is not None else None
    new = (after.status, after.sweep_at) if after.sweep_at is not None else None
    return 0 if old == new else (old is not None) + (new is not None)


def item_bytes(job: Job) -> int:
    """The size that DynamoDB counts. Developer Guide, "DynamoDB item sizes and formats"."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in to_dynamodb(job.as_item()).items())


def value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return math.ceil(len(content.replace(".", "").strip("-0")) / 2) + 1
        case "BOOL":
            return 1
        case "L":
            return 3 + sum(1 + value_bytes(inner) for inner in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_bytes(inner) for name, inner in content.items())
    raise AssertionError(f"a record holds a value of the kind {kind}")
