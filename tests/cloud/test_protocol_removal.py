"""``DELETE /jobs/{job_id}``: a living job is canceled, an ended one goes with everything that it has left."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from infra import storage
from infra.clients import client
from infra.errors import CorruptImage, StaleAttempt
from infra.job import OPERATOR, Job, Source
from infra.options import Options
from tests.cloud import stand_in
from tests.cloud.conftest import Cloud, Rest, publish, refused
from tests.cloud.test_protocol_worker import nothing_left, waiting, worker

Use = Callable[..., None]


def delete(rest: Rest, token: str, job_id: str, **query: str) -> tuple[int, Any, dict[str, str]]:
    return rest("DELETE", "/jobs/{job_id}", token=token, query=query, job_id=job_id)


@pytest.fixture
def operator(rest: Rest, use_environment: Use) -> str:
    use_environment(MAQUETTE_OPEN_SESSIONS="operator")
    return str(rest("POST", "/sessions")[1]["token"])


def living(cloud: Cloud, state: str) -> Job:
    """A job in one of the states from which it can still go on."""
    if state == "awaiting_upload":
        source = Source(cloud.settings.upload_bucket, storage.upload_key("job", "a.png"))
        return cloud.table.create("job", OPERATOR, source, {}, arrived=False)
    queued = cloud.queued()
    if state == "queued":
        return queued
    return cloud.table.claim("job", "worker", lease_seconds=60, deadline_seconds=900).job


def ended(cloud: Cloud, state: str) -> Job:
    job = living(cloud, "running")
    if state == "failed":
        return cloud.table.fail(job, CorruptImage("The photo is broken."))
    return publish(cloud, job) if state == "succeeded" else cloud.table.cancel("job")


def versions(bucket: str, prefix: str = "") -> list[tuple[str, str]]:
    """Every version of every object, and every delete marker: (key, version)."""
    found = client("s3").list_object_versions(Bucket=bucket, Prefix=prefix)
    return [
        (item["Key"], item["VersionId"]) for item in found.get("Versions", []) + found.get("DeleteMarkers", [])
    ]


@pytest.mark.parametrize("state", ["awaiting_upload", "queued", "running"])
def test_a_living_job_is_canceled_then_deleted_then_not_there(
    cloud: Cloud, rest: Rest, operator: str, state: str
) -> None:
    job = living(cloud, state)
    status, body, _ = delete(rest, operator, "job")
    assert (status, body["job"]["status"], body["job"]["seq"]) == (200, "canceled", job.seq + 1)
    assert cloud.table.get("job").as_public() == body["job"]
    status, body, headers = delete(rest, operator, "job")
    assert (status, body) == (204, "")
    assert "Content-Type" not in headers
    for _ in range(2):
        assert refused(delete(rest, operator, "job")) == (404, "not_found")


@pytest.mark.parametrize("state", ["succeeded", "failed", "canceled"])
def test_an_ended_job_goes_with_its_record_its_photo_and_all_its_files(
    cloud: Cloud, rest: Rest, operator: str, state: str
) -> None:
    ended(cloud, state)
    bucket = cloud.settings.artifact_bucket
    for key in ("jobs/job/1/mesh.glb", "jobs/job/2/left by another attempt.png"):
        client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")
    assert delete(rest, operator, "job")[0] == 204
    assert cloud.jobs() == []
    assert cloud.artifacts("job") == []
    assert rest("GET", "/jobs", token=operator)[1]["jobs"] == []


def test_the_photo_goes_in_exactly_the_version_that_the_job_was_made_of(
    cloud: Cloud, rest: Rest, ann: str, done: Job
) -> None:
    later = client("s3").put_object(Bucket=done.source.bucket, Key=done.source.key, Body=b"another photo")
    assert len(versions(done.source.bucket, done.source.key)) == 2
    assert delete(rest, ann, done.job_id)[0] == 204
    assert versions(done.source.bucket, done.source.key) == [(done.source.key, later["VersionId"])]
    assert versions(cloud.settings.artifact_bucket) == []


def test_neighbours_keep_everything(cloud: Cloud, rest: Rest, ann: str, done: Job) -> None:
    neighbour = f"{done.job_id}0"
    cloud.queued(neighbour, owner=done.owner)
    kept = f"jobs/{neighbour}/1/mesh.glb"
    client("s3").put_object(Bucket=cloud.settings.artifact_bucket, Key=kept, Body=b"x")
    assert delete(rest, ann, done.job_id)[0] == 204
    assert [key for key, _ in versions(cloud.settings.artifact_bucket)] == [kept]
    assert [key for key, _ in versions(cloud.settings.upload_bucket)] == [f"inbox/{neighbour}.png"]
    assert [job.job_id for job in cloud.jobs()] == [neighbour]


def test_more_files_than_one_answer_lists_go_too(cloud: Cloud) -> None:
    for number in range(7):
        key = f"jobs/many/1/render_{number:03d}.png"
        client("s3").put_object(Bucket=cloud.settings.artifact_bucket, Key=key, Body=b"x")
    asked: list[dict[str, Any]] = []

    def small_pages(params: dict[str, Any], **_: Any) -> None:
        params["MaxKeys"] = 3
        asked.append(params)

    events = client("s3").meta.events
    events.register("before-parameter-build.s3.ListObjectsV2", small_pages)
    try:
        storage.delete_artifacts(cloud.settings.artifact_bucket, "many")
    finally:
        events.unregister("before-parameter-build.s3.ListObjectsV2", small_pages)
    assert len(asked) == 3
    assert cloud.artifacts("many") == []


def test_a_job_whose_files_cannot_be_removed_stays_to_be_deleted_again(
    cloud: Cloud, rest: Rest, ann: str, done: Job, use_environment: Use
) -> None:
    use_environment(MAQUETTE_ARTIFACT_BUCKET="not-there")
    assert refused(delete(rest, ann, done.job_id)) == (500, "internal_error")
    assert cloud.table.get(done.job_id) == done
    use_environment(MAQUETTE_ARTIFACT_BUCKET=cloud.settings.artifact_bucket)
    assert delete(rest, ann, done.job_id)[0] == 204
    assert cloud.jobs() == []


def test_a_deletion_that_broke_off_half_way_can_be_repeated(
    cloud: Cloud, rest: Rest, ann: str, done: Job
) -> None:
    storage.delete_artifacts(cloud.settings.artifact_bucket, done.job_id)
    storage.delete_photo(done.source)
    assert delete(rest, ann, done.job_id)[0] == 204
    cloud.table.delete(done)  # whoever came second finds no record, and nothing to complain of
    assert cloud.jobs() == []


def test_a_record_is_never_removed_while_its_job_lives(cloud: Cloud) -> None:
    job = cloud.table.get(cloud.queued().job_id)
    with pytest.raises(StaleAttempt):
        cloud.table.delete(dataclasses.replace(job, status="canceled"))
    assert cloud.table.get("job") == job


def test_who_only_means_to_cancel_loses_no_model_that_was_finished_meanwhile(
    cloud: Cloud, rest: Rest, ann: str, done: Job
) -> None:
    before = cloud.artifacts(done.job_id)
    status, body, _ = delete(rest, ann, done.job_id, only="cancel")
    assert (status, body["job"]) == (200, done.as_public())
    assert cloud.artifacts(done.job_id) == before != []
    running = cloud.queued("running", owner=done.owner)
    status, body, _ = delete(rest, ann, running.job_id, only="cancel")
    assert (status, body["job"]["status"]) == (200, "canceled")
    for slip in ({"only": "delete"}, {"only": ""}, {"olny": "cancel"}):
        assert refused(delete(rest, ann, done.job_id, **slip)) == (400, "bad_input")
    assert cloud.table.get(done.job_id) == done


def test_a_message_for_a_job_that_was_deleted_is_thrown_away(cloud: Cloud, rest: Rest, operator: str) -> None:
    waiting(cloud)
    assert [delete(rest, operator, "job")[0] for _ in range(2)] == [200, 204]
    worker(cloud, stand_in.quick).serve_one()
    assert nothing_left(cloud)
    assert cloud.jobs() == []
    assert cloud.artifacts("job") == []


@pytest.mark.parametrize("moment", ["before its next report", "while it publishes", "after its last file"])
def test_a_worker_whose_job_is_deleted_stops_and_leaves_no_file(
    cloud: Cloud, rest: Rest, operator: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(cloud)

    def remove() -> None:
        assert [delete(rest, operator, "job")[0] for _ in range(2)] == [200, 204]

    def pipeline(photo: bytes, filename: str, options: Options, folder: Any, progress: Any) -> Any:
        if moment == "before its next report":
            remove()
            progress("mesh", 0.5)
        result = stand_in.quick(photo, filename, options, folder, progress)
        if moment == "while it publishes":
            remove()
        return result

    if moment == "after its last file":
        write = storage.write_artifact

        def write_and_remove(bucket: str, key: str, path: Any) -> None:
            write(bucket, key, path)
            if key.endswith("manifest.json"):
                remove()

        monkeypatch.setattr(storage, "write_artifact", write_and_remove)
    worker(cloud, pipeline).serve_one()
    assert cloud.jobs() == []
    assert cloud.artifacts("job") == []
    assert cloud.hidden_messages() == 1, "it comes back once more, and is then thrown away"
