"""A photo's way through the whole local cloud, with a real worker."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from websockets.sync.client import connect

from infra.artifacts import expected_names
from infra.job import Job
from tests.cloud.machine import PATIENCE, QUICK, Machine, alive, machine, photo_of_a_vase, wait_for


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    # A short lease, so that a killed worker's job is soon free again.
    with machine(tmp_path_factory.mktemp("cloud"), MAQUETTE_LEASE_SECONDS="4") as running:
        yield running


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return photo_of_a_vase(tmp_path_factory.mktemp("photo") / "vase.png").read_bytes()


def worker_pid(job: Job) -> int:
    """The worker's name is host-pid-random."""
    assert job.worker is not None
    return int(job.worker.split("-")[-2])


def manifest_of(cloud: Machine, job: Job) -> dict[str, Any]:
    bucket = cloud.running.environment["MAQUETTE_ARTIFACT_BUCKET"]
    return dict(json.load(cloud.client("s3").get_object(Bucket=bucket, Key=job.manifest_key)["Body"]))


def test_a_photo_copied_into_the_drop_folder_becomes_a_model_with_no_other_call(
    cloud: Machine, photo: bytes
) -> None:
    key = cloud.drop("inbox/a folder/vase + 1 ü.png", photo, **QUICK)
    job = cloud.ended_job(key)
    assert (job.status, job.attempt, job.progress, job.error) == ("succeeded", 1, 1.0, None), cloud.logs()
    assert job.owner == "operator"
    assert {name: job.options[name] for name in QUICK} == QUICK

    manifest = manifest_of(cloud, job)
    assert manifest["mesh"]["watertight"] is True
    assert 0 < manifest["mesh"]["faces"] <= QUICK["target_faces"] * 1.01
    s3, bucket = cloud.client("s3"), cloud.running.environment["MAQUETTE_ARTIFACT_BUCKET"]
    prefix = f"jobs/{job.job_id}/1/"
    stored = {o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix=f"jobs/{job.job_id}/")["Contents"]}
    assert {prefix + name for name in expected_names(QUICK["views"])} <= stored
    for entry in manifest["files"]:
        body = s3.get_object(Bucket=bucket, Key=prefix + entry["name"])["Body"].read()
        assert hashlib.sha256(body).hexdigest() == entry["sha256"], entry["name"]


def test_the_same_event_delivered_twice_makes_one_job(cloud: Machine, photo: bytes) -> None:
    s3, sqs = cloud.client("s3"), cloud.client("sqs")
    bucket = cloud.running.environment["MAQUETTE_UPLOAD_BUCKET"]
    configuration = s3.get_bucket_notification_configuration(Bucket=bucket)
    del configuration["ResponseMetadata"]
    queue = configuration["QueueConfigurations"][0]["QueueArn"].rpartition(":")[2]
    queue_url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    key = "inbox/twice.png"
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    cloud.drop(key, photo, **QUICK)  # S3 keeps silent about this one: the test speaks in its place
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    etag = s3.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    event = {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "eventTime": "2026-11-22T12:00:00.000Z",
                "s3": {
                    "bucket": {"name": bucket},
                    "object": {"key": quote_plus(key), "size": len(photo), "eTag": etag},
                },
            }
        ]
    }
    for _ in range(2):
        sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps(event))
    first = cloud.ended_job(key)
    sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps(event))  # and once more when all is over
    marker = cloud.drop("inbox/after.txt", b"handled after the repeated event")
    cloud.ended_job(marker)
    (job,) = cloud.jobs(key)
    assert (job.status, job.attempt, job.seq) == ("succeeded", 1, first.seq)


def test_a_text_file_by_the_name_of_a_picture_fails_once_with_a_clear_code(cloud: Machine) -> None:
    key = cloud.drop("inbox/notes.png", b"These are no pixels.\n" * 20)
    job = cloud.ended_job(key)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "unsupported_image"
    assert job.attempt == 1
    queue_url = cloud.running.environment["MAQUETTE_JOB_QUEUE_URL"]
    wait_for(lambda: _is_empty(cloud, queue_url), "the message of a failed job to be gone")


def test_the_socket_tells_a_snapshot_first_and_then_only_news(cloud: Machine, photo: bytes) -> None:
    running = cloud.running
    token = httpx.post(f"{running.url}/sessions").json()["token"]
    key = cloud.drop("inbox/followed.png", photo, **QUICK)
    job_id = cloud.job(key).job_id
    heard: list[dict[str, Any]] = []
    with connect(f"{running.socket_url}?token={quote(token)}") as socket:
        socket.send(json.dumps({"action": "subscribe", "job_id": job_id}))
        while not heard or heard[-1]["status"] not in ("succeeded", "failed"):
            frame = json.loads(socket.recv(timeout=PATIENCE))
            assert frame["type"] == "job", frame
            heard.append(frame["job"])
    assert heard[-1]["status"] == "succeeded"
    assert {job["job_id"] for job in heard} == {job_id}
    fresh = _rising(heard)
    assert len(fresh) >= 4
    progress = [job["progress"] for job in fresh]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    stages = [job["stage"] for job in fresh if job["stage"]]
    assert "render" in stages
    assert "mesh" in stages


def test_a_worker_killed_in_mid_job_is_replaced_and_the_job_succeeds_once(cloud: Machine, photo: bytes) -> None:
    key = cloud.drop("inbox/survivor.png", photo, **QUICK | {"views": 30, "view_size": 256})

    def in_mid_job() -> Job | None:
        job = cloud.job(key)
        assert job.status in ("queued", "running"), "the job was too quick to be disturbed"
        return job if job.stage in ("reconstruct", "render", "mesh", "texture") else None

    victim = worker_pid(wait_for(in_mid_job, "a stage in the middle"))
    os.kill(victim, signal.SIGKILL)
    job = cloud.ended_job(key)
    assert (job.status, job.attempt) == ("succeeded", 2), cloud.logs()
    assert alive({victim}) == set()
    assert job.manifest_key == f"jobs/{job.job_id}/2/manifest.json"
    assert manifest_of(cloud, job)["mesh"]["watertight"] is True


def test_an_upload_through_rest_takes_the_same_way(cloud: Machine, photo: bytes, tmp_path: Path) -> None:
    with httpx.Client(base_url=cloud.running.url) as rest:
        token = rest.post("/sessions").json()["token"]
        rest.headers["Authorization"] = f"Bearer {token}"
        made = rest.post("/jobs", json={"filename": "vase.png", "options": QUICK}).json()
        form, job_id = made["upload"], made["job"]["job_id"]
        sent = httpx.post(form["url"], data=form["fields"], files={"file": ("vase.png", photo)})
        assert sent.is_success

        def ended() -> dict[str, Any] | None:
            job = rest.get(f"/jobs/{job_id}").json()["job"]
            return job if job["status"] in ("succeeded", "failed") else None

        assert wait_for(ended, "the job's end")["status"] == "succeeded"
        artifacts = rest.get(f"/jobs/{job_id}/artifacts").json()["artifacts"]
        assert {a["name"] for a in artifacts} >= set(expected_names(QUICK["views"]))
        link = rest.get(f"/jobs/{job_id}/artifacts/mesh.glb")
        assert link.status_code == 302
        assert httpx.get(link.headers["location"]).content.startswith(b"glTF")


def _rising(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a client keeps: it drops a ``seq`` not above the last."""
    kept: list[dict[str, Any]] = []
    for job in jobs:
        if not kept or job["seq"] > kept[-1]["seq"]:
            kept.append(job)
    return kept


def _is_empty(cloud: Machine, queue_url: str) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = cloud.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
    return all(answer["Attributes"][name] == "0" for name in names)
