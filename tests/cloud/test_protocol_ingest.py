"""S3 event → job → queue, whatever the event looks like and however often it comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from functions import app
from infra.clients import client
from infra.errors import BadInput
from infra.job import Source
from tests.cloud.conftest import Cloud, s3_record

Use = Callable[..., None]


def test_a_dropped_photo_becomes_a_queued_job_of_the_operator(cloud: Cloud) -> None:
    record = cloud.drop("inbox/robot.png", b"12345")
    app.on_upload({"Records": [record]}, None)
    (job,) = cloud.jobs()
    assert (job.status, job.owner, job.attempt, job.seq) == ("queued", "operator", 0, 1)
    assert (job.source.bucket, job.source.key, job.source.bytes) == (
        cloud.settings.upload_bucket,
        "inbox/robot.png",
        5,
    )
    assert cloud.messages() == [{"job_id": job.job_id}]


def test_a_repeated_event_makes_one_job(cloud: Cloud) -> None:
    record = cloud.drop("inbox/robot.png")
    app.on_upload({"Records": [record, record]}, None)
    (first,) = cloud.jobs()
    app.on_upload({"Records": [record]}, None)
    assert cloud.jobs() == [first]


def test_a_repeated_event_does_not_touch_or_wake_a_job_that_is_under_way(cloud: Cloud) -> None:
    record = cloud.drop("inbox/robot.png")
    app.on_upload({"Records": [record]}, None)
    (job,) = cloud.jobs()
    running = cloud.table.claim(job.job_id, "worker", lease_seconds=60, deadline_seconds=900).job
    cloud.messages()
    app.on_upload({"Records": [record]}, None)
    assert cloud.jobs() == [running]
    assert cloud.messages() == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"versionId": "1"}, {"versionId": "2"}),
        ({"sequencer": "0A"}, {"sequencer": "0B"}),
        ({"versionId": "null", "sequencer": "0A"}, {"versionId": "null", "sequencer": "0B"}),
    ],
)
def test_a_photo_put_again_under_the_same_name_is_another_job(
    cloud: Cloud, one: dict[str, str], other: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = cloud.drop("inbox/robot.png")
    # The versions are made up, so the metadata is read without them.
    head = client("s3").head_object
    monkeypatch.setattr(
        client("s3"), "head_object", lambda **given: head(Bucket=given["Bucket"], Key=given["Key"])
    )
    records = []
    for more in (one, other, one):
        bucket, thing = written["s3"]["bucket"]["name"], written["s3"]["object"]
        records.append(s3_record(bucket, "inbox/robot.png", 5, thing["eTag"], **more))
    app.on_upload({"Records": records}, None)
    assert len(cloud.jobs()) == 2


def test_without_version_and_sequencer_the_time_of_the_event_tells_two_writings_apart(cloud: Cloud) -> None:
    record = cloud.drop("inbox/robot.png")
    later = {**record, "eventTime": "2026-11-22T12:00:01.000Z"}
    app.on_upload({"Records": [record, later, record]}, None)
    assert len(cloud.jobs()) == 2


def test_every_record_of_an_event_is_processed_even_beside_a_bad_one(cloud: Cloud) -> None:
    good = [cloud.drop(f"inbox/{name}.png") for name in "abc"]
    with pytest.raises(BadInput):
        app.on_upload({"Records": [good[0], {"s3": {"bucket": {}}}, good[1], good[2]]}, None)
    assert {job.source.key for job in cloud.jobs()} == {"inbox/a.png", "inbox/b.png", "inbox/c.png"}
    assert len(cloud.messages()) == 3


@pytest.mark.parametrize(
    "name",
    [
        "a b+c.png",
        "100%.png",
        "%2F.png",
        "Ñandú/été.png",
        "機器人.png",
        "a&b=c?d#e.png",
        "emoji 🤖.png",
        "..png",
        "x//y.png",
    ],
)
def test_keys_are_decoded_to_exactly_what_was_put(cloud: Cloud, name: str) -> None:
    record = cloud.drop(f"inbox/{name}", metadata={"views": "8"})
    app.on_upload({"Records": [record]}, None)
    (job,) = cloud.jobs()
    assert job.source.key == f"inbox/{name}"
    assert job.status == "queued"
    assert job.options["views"] == 8, "the metadata was read from the decoded key"


def test_a_crash_between_table_and_queue_is_repaired_by_the_retry(cloud: Cloud, use_environment: Use) -> None:
    record = cloud.drop("inbox/robot.png")
    use_environment(MAQUETTE_JOB_QUEUE_URL=cloud.settings.job_queue_url + "-not-there")
    with pytest.raises(client("sqs").exceptions.QueueDoesNotExist):
        app.on_upload({"Records": [record]}, None)
    (stranded,) = cloud.jobs()
    assert stranded.status == "queued"

    use_environment(MAQUETTE_JOB_QUEUE_URL=cloud.settings.job_queue_url)
    app.on_upload({"Records": [record]}, None)
    assert cloud.jobs() == [stranded]
    assert cloud.messages() == [{"job_id": stranded.job_id}]


def test_the_test_event_of_a_new_notification_does_nothing(cloud: Cloud) -> None:
    app.on_upload({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, None)
    assert cloud.jobs() == []


def test_metadata_sets_options(cloud: Cloud) -> None:
    metadata = {"resolution": "64", "engine": "inflate", "print-height-mm": "55.5"}
    app.on_upload({"Records": [cloud.drop("inbox/robot.png", metadata=metadata)]}, None)
    (job,) = cloud.jobs()
    assert (job.options["resolution"], job.options["engine"], job.options["print_height_mm"]) == (
        64,
        "inflate",
        55.5,
    )


def test_metadata_sets_nothing_but_options(cloud: Cloud) -> None:
    hostile = {
        "owner": "mallory",
        "bucket": "elsewhere",
        "key": "inbox/other.png",
        "job_id": "mine",
        "status": "succeeded",
        "manifest_key": "jobs/other/1/manifest.json",
        "attempt_limit": "99",
    }
    plain = cloud.drop("inbox/robot.png")
    app.on_upload({"Records": [plain]}, None)
    (expected,) = cloud.jobs()
    record = cloud.drop("inbox/other-robot.png", metadata=hostile)
    app.on_upload({"Records": [record]}, None)
    (job,) = [job for job in cloud.jobs() if job.job_id != expected.job_id]
    assert job.source.key == "inbox/other-robot.png"
    for name in ("owner", "status", "options", "manifest_key", "attempt_limit", "error"):
        assert getattr(job, name) == getattr(expected, name)
    assert job.source.bucket == expected.source.bucket


@pytest.mark.parametrize("metadata", [{"resolution": "9999"}, {"engine": "magic"}, {"views": "many"}])
def test_an_impossible_option_is_recorded_as_a_failed_job(cloud: Cloud, metadata: dict[str, str]) -> None:
    app.on_upload({"Records": [cloud.drop("inbox/robot.png", metadata=metadata)]}, None)
    (job,) = cloud.jobs()
    assert (job.status, job.owner) == ("failed", "operator")
    assert job.error is not None
    assert job.error["code"] == "invalid_option"
    assert next(iter(metadata)) in job.error["message"]
    assert cloud.messages() == []


def test_an_empty_file_is_recorded_as_a_failed_job(cloud: Cloud) -> None:
    app.on_upload({"Records": [cloud.drop("inbox/robot.png", b"")]}, None)
    (job,) = cloud.jobs()
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", "empty_file")


def test_a_file_too_large_is_refused_before_anyone_reads_it(cloud: Cloud) -> None:
    record = s3_record(cloud.settings.upload_bucket, "inbox/huge.png", 5 * 2**30, "etag")
    app.on_upload({"Records": [record]}, None)
    (job,) = cloud.jobs()
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", "image_too_large")


def test_a_folder_marker_is_no_photo(cloud: Cloud) -> None:
    app.on_upload({"Records": [cloud.drop("inbox/holiday/", b"")]}, None)
    assert cloud.jobs() == []


def test_a_result_never_becomes_a_photo(cloud: Cloud) -> None:
    record = s3_record(cloud.settings.artifact_bucket, "inbox/input.png", 5, "etag")
    with pytest.raises(BadInput):
        app.on_upload({"Records": [record]}, None)
    assert cloud.jobs() == []


class TestAnAnnouncedPhoto:
    KEY = "uploads/announced/robot.png"

    @pytest.fixture(autouse=True)
    def announced(self, cloud: Cloud) -> None:
        source = Source(cloud.settings.upload_bucket, self.KEY)
        cloud.table.create("announced", "ann", source, {"views": 8}, arrived=False)

    def test_is_queued_when_it_arrives_with_the_options_it_was_announced_with(self, cloud: Cloud) -> None:
        app.on_upload({"Records": [cloud.drop(self.KEY, b"12345", metadata={"views": "9"})]}, None)
        (job,) = cloud.jobs()
        assert (job.job_id, job.owner, job.status, job.options) == ("announced", "ann", "queued", {"views": 8})
        assert job.source.bytes == 5
        assert job.source.etag
        assert cloud.messages() == [{"job_id": "announced"}]

    def test_arrives_once(self, cloud: Cloud) -> None:
        record = cloud.drop(self.KEY)
        app.on_upload({"Records": [record]}, None)
        (queued,) = cloud.jobs()
        app.on_upload({"Records": [cloud.drop(self.KEY, b"another"), record]}, None)
        assert cloud.jobs() == [queued]

    def test_does_not_revive_a_job_that_has_ended(self, cloud: Cloud) -> None:
        ended = cloud.table.cancel("announced")
        app.on_upload({"Records": [cloud.drop(self.KEY)]}, None)
        assert cloud.jobs() == [ended]
        assert cloud.messages() == []

    def test_counts_under_its_own_name_only(self, cloud: Cloud) -> None:
        records = [cloud.drop("uploads/announced/other.png"), cloud.drop("uploads/unheard-of/robot.png")]
        app.on_upload({"Records": records}, None)
        (job,) = cloud.jobs()
        assert job.status == "awaiting_upload"
        assert cloud.messages() == []
