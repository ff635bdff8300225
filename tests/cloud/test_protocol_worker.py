"""The worker: what it publishes, when it deletes, whom it obeys, and what it leaves when it dies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import gpu_container.worker
from functions import app
from gpu_container.worker import Worker
from infra.artifacts import content_type
from infra.attempt import Pipeline, Progress
from infra.clients import client
from infra.job import Job
from infra.options import Options
from infra.storage import read_artifact
from tests.cloud import stand_in
from tests.cloud.conftest import Cloud, s3_record

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_container.worker, "RECEIVE_SECONDS", 1)
    monkeypatch.setattr(gpu_container.worker, "BACKOFF_SECONDS", 0.0)


def worker(cloud: Cloud, pipeline: Pipeline, *, lease: float = 30.0, deadline: float = 60.0) -> Worker:
    return Worker(
        pipeline,
        cloud.table,
        cloud.queue,
        cloud.settings.artifact_bucket,
        lease_seconds=lease,
        deadline_seconds=deadline,
    )


def waiting(cloud: Cloud, job_id: str = "job", **given: Any) -> Job:
    """A queued job and the message for it."""
    job = cloud.queued(job_id, **given)
    cloud.queue.send(job_id)
    return job


def nothing_left(cloud: Cloud) -> bool:
    return cloud.messages() == [] and cloud.hidden_messages() == 0


class TestARunThatEndsWell:
    def test_leaves_a_succeeded_job_and_no_message(self, cloud: Cloud) -> None:
        waiting(cloud)
        worker(cloud, stand_in.quick).serve_one()
        job = cloud.table.get("job")
        assert (job.status, job.progress, job.attempt, job.engine) == ("succeeded", 1.0, 1, "stand-in")
        assert job.manifest_key == "jobs/job/1/manifest.json"
        assert set(job.timings) == {"decode", "mesh", "upload"}
        assert nothing_left(cloud)

    def test_publishes_every_file_under_its_attempt_with_its_type(self, cloud: Cloud) -> None:
        waiting(cloud, body=b"the photo")
        worker(cloud, stand_in.quick).serve_one()
        keys = cloud.artifacts("job")
        names = {"mesh.obj", "mesh.glb", "render.mp4", "manifest.json"}
        assert set(keys) == {f"jobs/job/1/{name}" for name in names}
        for key in keys:
            found = client("s3").get_object(Bucket=cloud.settings.artifact_bucket, Key=key)
            assert found["ContentType"] == content_type(key)
            if not key.endswith(".json"):
                assert found["Body"].read() == b"the photo" + key.rpartition("/")[2].encode()

    def test_gets_the_options_and_the_name_of_the_photo(self, cloud: Cloud) -> None:
        waiting(cloud)
        worker(cloud, stand_in.quick).serve_one()
        manifest = json.loads(read_artifact(cloud.settings.artifact_bucket, "jobs/job/1/manifest.json"))
        assert manifest["source"] == "job.png"
        assert manifest["options"] == Options(resolution=64).as_dict()

    def test_writes_the_manifest_last_and_the_verdict_after_it(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waiting(cloud)
        steps: list[str] = []
        s3, sqs, dynamodb = client("s3"), client("sqs"), client("dynamodb")
        for service, name in ((s3, "put_object"), (sqs, "delete_message"), (dynamodb, "update_item")):
            monkeypatch.setattr(service, name, recording(steps, name, getattr(service, name)))
        worker(cloud, stand_in.quick).serve_one()
        order = [step for step in steps if step.split()[0] in ("put_object", "succeeded", "delete_message")]
        assert order[-3:] == ["put_object jobs/job/1/manifest.json", "succeeded", "delete_message"]
        assert len(order) == 6

    def test_reads_the_very_version_that_the_job_was_made_for(self, cloud: Cloud) -> None:
        record = cloud.drop("inbox/robot.png", b"first")
        version = client("s3").head_object(Bucket=cloud.settings.upload_bucket, Key="inbox/robot.png")[
            "VersionId"
        ]
        record["s3"]["object"]["versionId"] = version
        app.on_upload({"Records": [record]}, None)
        client("s3").put_object(Bucket=cloud.settings.upload_bucket, Key="inbox/robot.png", Body=b"second")
        worker(cloud, stand_in.quick).serve_one()
        (job,) = cloud.jobs()
        key = f"jobs/{job.job_id}/1/mesh.obj"
        body = client("s3").get_object(Bucket=cloud.settings.artifact_bucket, Key=key)["Body"].read()
        assert body == b"firstmesh.obj"

    def test_keeps_its_message_hidden_however_much_longer_than_its_lease_it_takes(self, cloud: Cloud) -> None:
        waiting(cloud)
        thread = threading.Thread(target=worker(cloud, stand_in.slow, lease=0.5).serve_one)
        thread.start()
        until(lambda: cloud.hidden_messages() == 1)
        while thread.is_alive():
            assert cloud.visible_messages() == 0
            time.sleep(0.05)
        thread.join()
        assert cloud.table.get("job").status == "succeeded"

    def test_stays_claimed_however_much_longer_than_its_lease_it_takes(self, cloud: Cloud) -> None:
        waiting(cloud)
        lease = 1.0  # a third of what the run takes
        rival = threading.Thread(target=worker(cloud, stand_in.quick, lease=lease).serve_one)
        mine = worker(cloud, stand_in.slow, lease=lease)
        thread = threading.Thread(target=mine.serve_one)
        thread.start()
        until(lambda: cloud.table.get("job").status == "running")
        cloud.queue.send("job")  # once too often, for the rival to find
        rival.start()
        thread.join()
        rival.join()
        job = cloud.table.get("job")
        assert (job.status, job.attempt) == ("succeeded", 1)


class TestARunThatFails:
    @pytest.mark.parametrize(
        "photo", [b"this is only text, whatever its name says", b"\x89PNG\r\n\x1a\n cut short"]
    )
    def test_on_a_file_that_is_no_picture_ends_the_job_at_once_with_a_clear_code(
        self, cloud: Cloud, photo: bytes
    ) -> None:
        from gpu_container.photo import decode

        def decode_only(data: bytes, *rest: Any) -> Any:
            return decode(data)

        app.on_upload({"Records": [cloud.drop("inbox/notes.png", photo)]}, None)
        worker(cloud, decode_only).serve_one()
        (job,) = cloud.jobs()
        assert job.error is not None
        assert (job.status, job.attempt) == ("failed", 1)
        assert job.error["code"] == ("corrupt_image" if photo.startswith(b"\x89") else "unsupported_image")
        assert nothing_left(cloud), "it does not loop"
        assert cloud.artifacts(job.job_id) == []

    def test_for_good_is_never_tried_again(self, cloud: Cloud) -> None:
        waiting(cloud)
        worker(cloud, stand_in.damaged).serve_one()
        job = cloud.table.get("job")
        assert (job.status, job.attempt) == ("failed", 1)
        assert job.error == {"code": "corrupt_image", "message": "This picture is damaged."}
        assert nothing_left(cloud)

    @pytest.mark.parametrize(
        ("pipeline", "code"), [(stand_in.unlucky, "encoding_failed"), (stand_in.defective, "internal_error")]
    )
    def test_for_now_is_tried_again_until_the_attempts_are_used_up(
        self, cloud: Cloud, pipeline: Pipeline, code: str
    ) -> None:
        waiting(cloud)
        for attempt in (1, 2):
            worker(cloud, pipeline).serve_one()
            job = cloud.table.get("job")
            assert (job.status, job.attempt) == ("queued", attempt)
            assert job.notice is not None
            assert job.notice["code"] == code
        worker(cloud, pipeline).serve_one()
        job = cloud.table.get("job")
        assert job.error is not None
        assert (job.status, job.attempt, job.error["code"]) == ("failed", 3, code)
        assert "secret" not in str(job.as_public())
        assert nothing_left(cloud)

    def test_for_now_and_then_ends_well_succeeds(self, cloud: Cloud) -> None:
        waiting(cloud)
        worker(cloud, stand_in.unlucky).serve_one()
        worker(cloud, stand_in.quick).serve_one()
        job = cloud.table.get("job")
        assert (job.status, job.attempt, job.manifest_key) == ("succeeded", 2, "jobs/job/2/manifest.json")

    def test_because_the_photo_is_gone_says_so(self, cloud: Cloud) -> None:
        job = waiting(cloud)
        client("s3").delete_object(Bucket=job.source.bucket, Key=job.source.key)
        worker(cloud, stand_in.quick).serve_one()
        job = cloud.table.get("job")
        assert job.error is not None
        assert (job.status, job.error["code"]) == ("failed", "not_found")

    def test_because_another_photo_took_its_place_does_not_use_that_one(self, cloud: Cloud) -> None:
        record = s3_record(cloud.settings.upload_bucket, "inbox/robot.png", 5, "0" * 32)
        cloud.drop("inbox/robot.png", b"other")
        app.on_upload({"Records": [record]}, None)
        worker(cloud, stand_in.quick).serve_one()
        (job,) = cloud.jobs()
        assert job.error is not None
        assert (job.status, job.error["code"]) == ("failed", "not_found")

    def test_its_deadline_ends_with_that_verdict(self, cloud: Cloud) -> None:
        waiting(cloud)
        worker(cloud, stand_in.slow, deadline=0.5).serve_one()
        job = cloud.table.get("job")
        assert job.error is not None
        assert (job.status, job.error["code"]) == ("failed", "deadline_exceeded")
        assert nothing_left(cloud)
        assert cloud.artifacts("job") == []


class TestARunThatLosesItsJob:
    def test_to_another_worker_writes_nothing_more(self, cloud: Cloud) -> None:
        waiting(cloud)
        taken: list[Job] = []

        def robbed(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Any:
            # The lease ends unnoticed, as on a suspended machine, and another worker claims the job.
            later = type(cloud.table)(cloud.settings.jobs_table, clock=lambda: time.time() + 3600)
            taken.append(later.claim("job", "rival", lease_seconds=60, deadline_seconds=900).job)
            return stand_in.quick(photo, filename, options, folder, lambda *_: None)

        worker(cloud, robbed).serve_one()
        assert cloud.table.get("job") == taken[0]
        assert not any(key.startswith("jobs/job/2/") for key in cloud.artifacts("job"))
        assert cloud.hidden_messages() == 1, "the message stays for whoever holds the job"

    def test_because_it_was_canceled_stops_at_the_next_report(self, cloud: Cloud) -> None:
        waiting(cloud)
        reached: list[str] = []

        def canceled(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Any:
            cloud.table.cancel("job")
            progress("mesh", 0.0)
            reached.append("went on")
            return stand_in.quick(photo, filename, options, folder, progress)

        worker(cloud, canceled).serve_one()
        assert reached == []
        assert cloud.table.get("job").status == "canceled"
        assert cloud.artifacts("job") == []


class TestAMessage:
    def test_for_an_ended_job_is_deleted(self, cloud: Cloud) -> None:
        waiting(cloud)
        ended = cloud.table.cancel("job")
        worker(cloud, stand_in.quick).serve_one()
        assert cloud.table.get("job") == ended
        assert nothing_left(cloud)

    def test_for_a_job_that_nobody_knows_is_deleted(self, cloud: Cloud) -> None:
        cloud.queue.send("nobody")
        worker(cloud, stand_in.quick).serve_one()
        assert nothing_left(cloud)

    def test_for_a_job_in_other_hands_is_kept_until_their_lease_ends(self, cloud: Cloud) -> None:
        waiting(cloud)
        held = cloud.table.claim("job", "other", lease_seconds=30, deadline_seconds=900).job
        worker(cloud, stand_in.quick).serve_one()
        assert cloud.table.get("job") == held
        assert cloud.hidden_messages() == 1

    def test_that_nobody_understands_fails_alone_and_is_set_aside(self, cloud: Cloud) -> None:
        client("sqs").send_message(QueueUrl=cloud.settings.job_queue_url, MessageBody='"not ours"')
        one = worker(cloud, stand_in.quick, lease=0.0)
        for _ in range(3):
            one.serve_one()
            time.sleep(1.1)
        waiting(cloud)
        one = worker(cloud, stand_in.quick)
        until(lambda: one.serve_one() or cloud.table.get("job").status == "succeeded")
        assert cloud.messages(cloud.dead_queue_url) == ["not ours"]


class TestAWorkerProcess:
    @pytest.fixture
    def start(self, cloud: Cloud, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
        started: list[subprocess.Popen[bytes]] = []

        def start(pipeline: str, **variables: str) -> subprocess.Popen[bytes]:
            environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "MAQUETTE_LEASE_SECONDS": "1"}
            command = [sys.executable, "-m", "tests.cloud.stand_in", pipeline]
            process = subprocess.Popen(command, cwd=ROOT, env=environment | cloud.environment | variables)
            started.append(process)
            return process

        yield start
        for process in started:
            process.kill()
            process.wait()

    def test_killed_in_mid_job_is_replaced_and_the_job_succeeds_once_in_its_second_attempt(
        self, cloud: Cloud, start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        waiting(cloud)
        victim = start("slow")
        until(lambda: cloud.table.get("job").progress > 0.2)
        victim.kill()
        victim.wait()
        start("quick")
        until(lambda: cloud.table.get("job").terminal)
        job = cloud.table.get("job")
        assert (job.status, job.attempt) == ("succeeded", 2)
        assert job.manifest_key == "jobs/job/2/manifest.json"
        until(lambda: nothing_left(cloud))

    @pytest.mark.parametrize("pipeline", ["slow", "silent"])
    def test_told_to_go_hands_its_job_back_and_goes(
        self, cloud: Cloud, start: Callable[..., subprocess.Popen[bytes]], pipeline: str, tmp_path: Path
    ) -> None:
        waiting(cloud)
        process = start(pipeline, MAQUETTE_LEASE_SECONDS="600")
        until(lambda: cloud.table.get("job").stage is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        job = cloud.table.get("job")
        assert (job.status, job.attempt, job.attempt_limit) == ("queued", 1, 4)
        assert cloud.messages() == [{"job_id": "job"}], "the next worker need not wait for any lease"
        assert list(tmp_path.iterdir()) == [], "it tidies up"

    def test_told_to_go_while_idle_goes(
        self, start: Callable[..., subprocess.Popen[bytes]], cloud: Cloud
    ) -> None:
        waiting(cloud)
        process = start("quick")
        until(lambda: cloud.table.get("job").terminal)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0

    def test_whose_run_is_stuck_past_its_deadline_ends_so_that_another_can_start(
        self, cloud: Cloud, start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        waiting(cloud)
        process = start("silent", MAQUETTE_JOB_DEADLINE_SECONDS="1")
        assert process.wait(timeout=30) == gpu_container.worker.EXIT_STUCK
        job = cloud.table.get("job")
        assert job.error is not None
        assert (job.status, job.error["code"]) == ("failed", "deadline_exceeded")
        assert nothing_left(cloud)

    @pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux alone")
    @pytest.mark.parametrize("greed", ["swelling", "bursting"])
    def test_whose_job_wants_more_memory_than_it_may_have_fails_the_job_and_does_the_next(
        self, cloud: Cloud, start: Callable[..., subprocess.Popen[bytes]], greed: str
    ) -> None:
        waiting(cloud, body=greed.encode())
        process = start("as_the_photo_says", MAQUETTE_JOB_MEMORY="300", MAQUETTE_LEASE_SECONDS="30")
        until(lambda: cloud.table.get("job").terminal)
        peak = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        assert peak is not None
        assert int(peak[1]) * 1024 < 300e6 + 600e6
        job = cloud.table.get("job")
        assert job.error is not None
        assert (job.status, job.error["code"], job.attempt) == ("failed", "out_of_memory", 1)
        assert "more memory than the 0.3 GB it may have" in job.error["message"]
        waiting(cloud, "next", body=b"quick")
        until(lambda: cloud.table.get("next").terminal)
        assert cloud.table.get("next").status == "succeeded"
        assert process.poll() is None, "the same process did it"
        until(lambda: nothing_left(cloud))

    @pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux alone")
    def test_whose_job_does_not_give_its_memory_back_fails_the_job_and_then_ends(
        self, cloud: Cloud, start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        waiting(cloud, body=b"hoarding")
        process = start("as_the_photo_says", MAQUETTE_JOB_MEMORY="300", MAQUETTE_LEASE_SECONDS="30")
        most = 0
        # Not what the system says when it has ended: that may be what this process, which it began as, had.
        while process.poll() is None:
            most = max(most, peak_memory(process.pid))
            time.sleep(0.01)
        assert process.returncode == gpu_container.worker.EXIT_STUCK
        assert 300e6 < most < 300e6 + 600e6
        job = cloud.table.get("job")
        assert job.error is not None
        assert (job.status, job.error["code"], job.attempt) == ("failed", "out_of_memory", 1)
        assert nothing_left(cloud)

    def test_that_a_photo_kills_thrice_leaves_a_failed_job_and_a_message_set_aside(
        self, cloud: Cloud, start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        waiting(cloud)
        for attempt in (1, 2, 3):
            assert start("deadly").wait(timeout=30) == -signal.SIGKILL
            assert cloud.table.get("job").attempt == attempt
        start("quick")  # a healthy one finds nothing to do: the queue has set the message aside

        def swept() -> bool:
            app.on_schedule({}, None)
            return cloud.table.get("job").terminal

        until(swept)
        job = cloud.table.get("job")
        assert job.error is not None
        assert (job.status, job.error["code"], job.attempt) == ("failed", "worker_lost", 3)
        until(lambda: cloud.messages(cloud.dead_queue_url) == [{"job_id": "job"}])
        assert nothing_left(cloud)


def peak_memory(pid: int) -> int:
    """Most bytes that a process has had in RAM so far; 0 once it has ended."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def recording(steps: list[str], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """``call``, noted in ``steps`` once it has gone well."""

    def record(**given: Any) -> Any:
        answer = call(**given)
        status = given.get("ExpressionAttributeValues", {}).get(":set_status", {}).get("S")
        steps.append(status or f"{name} {given.get('Key', '')}".strip())
        return answer

    return record


def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for something that other threads or processes bring about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)
