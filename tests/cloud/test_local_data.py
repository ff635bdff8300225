"""Nothing that a user made on one machine is lost: the cloud is killed, and starts again on its folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.endpoint import Endpoint
from infra.local.moto import MotoServer
from tests.cloud.machine import QUICK, Machine, machine, photo_of_a_vase, wait_for

BUCKET = "photos"
#: seconds for which a killed worker's job waits for it
LEASE = "4"


def kill_everything(running: Machine) -> None:
    """SIGKILL to the cloud and all that it has started, as near to at once as can be."""
    for pid in (running.process.pid, *running.descendants()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.process.wait()


@contextlib.contextmanager
def rest(running: Machine, token: str | None = None) -> Iterator[httpx.Client]:
    """A visitor: a new one, or the one to whom ``token`` was given."""
    with httpx.Client(base_url=running.running.url, timeout=30) as client:
        token = token or client.post("/sessions").raise_for_status().json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def record_of(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """The public record, without links: they are signed anew each time."""
    record = client.get(f"/jobs/{job_id}").raise_for_status().json()["job"]
    return {name: value for name, value in record.items() if not name.endswith("_url")}


def artifacts_of(client: httpx.Client, job_id: str) -> dict[str, tuple[str, str]]:
    """Content type and SHA-256 of every artifact, as downloaded."""
    listed = client.get(f"/jobs/{job_id}/artifacts").raise_for_status().json()["artifacts"]
    answers = {each["name"]: httpx.get(each["url"]).raise_for_status() for each in listed}
    return {
        name: (answer.headers["Content-Type"], hashlib.sha256(answer.content).hexdigest())
        for name, answer in answers.items()
    }


@dataclass(frozen=True)
class Told:
    """What a user was told before everything was killed."""

    token: str
    done: dict[str, Any]
    artifacts: dict[str, tuple[str, str]]
    share: str
    running: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def told(folder: Path) -> Told:
    """One job done and shared, one under way, one that is killed as its photo arrives."""
    vase = photo_of_a_vase(folder / "vase.png").read_bytes()
    with machine(folder / "data", MAQUETTE_LEASE_SECONDS=LEASE) as running:
        done = running.ended_job(running.drop("inbox/done.png", vase, **QUICK))
        assert done.status == "succeeded", done.error
        with rest(running) as client:
            share = client.post(f"/jobs/{done.job_id}/shares", json={}).raise_for_status().json()["token"]
            told = Told(
                client.headers["Authorization"].removeprefix("Bearer "),
                record_of(client, done.job_id),
                artifacts_of(client, done.job_id),
                share,
                running.drop("inbox/running.png", vase, **QUICK),
            )
        wait_for(lambda: running.job(told.running).status == "running", "a job that runs")
        running.drop("inbox/arriving.png", vase, **QUICK)
        kill_everything(running)
    return told


@pytest.fixture(scope="module")
def second(folder: Path, told: Told) -> Iterator[Machine]:
    with machine(folder / "data", MAQUETTE_LEASE_SECONDS=LEASE) as running:
        yield running


def test_what_was_done_is_there_again_byte_for_byte(second: Machine, told: Told) -> None:
    job_id = told.done["job_id"]

    with rest(second, told.token) as client:
        assert record_of(client, job_id) == told.done
        assert artifacts_of(client, job_id) == told.artifacts
        manifest = json.loads(httpx.get(_link(client, job_id, "manifest.json")).content)
    for file in manifest["files"]:
        assert told.artifacts[file["name"]] == (file["type"], file["sha256"])


def test_a_link_for_others_still_opens(second: Machine, told: Told) -> None:
    with rest(second, told.share) as anybody:
        answer = anybody.get(f"/jobs/{told.done['job_id']}")

    assert answer.raise_for_status().json()["job"]["status"] == "succeeded"


@pytest.mark.parametrize("key", ["inbox/running.png", "inbox/arriving.png"])
def test_what_was_under_way_comes_to_its_end(second: Machine, told: Told, key: str) -> None:
    job = second.ended_job(key)

    assert job.status == "succeeded", job.error


def test_what_is_deleted_stays_so_after_another_kill_and_the_rest_is_there(
    second: Machine, told: Told, folder: Path
) -> None:
    kept = {key: second.ended_job(key).job_id for key in ("inbox/running.png", "inbox/arriving.png")}
    job_id = told.done["job_id"]
    with rest(second, told.token) as client:
        client.delete(f"/jobs/{job_id}").raise_for_status()
    kill_everything(second)

    with machine(folder / "data", "--workers", "0") as third, rest(third, told.token) as client:
        assert client.get(f"/jobs/{job_id}").status_code == 404
        for kept_id in kept.values():
            assert len(artifacts_of(client, kept_id)) == len(told.artifacts)
    assert not [path for path in (folder / "data" / "objects").rglob("*") if job_id in path.parts]


def _link(client: httpx.Client, job_id: str, name: str) -> str:
    listed = client.get(f"/jobs/{job_id}/artifacts").raise_for_status().json()["artifacts"]
    return str(next(each["url"] for each in listed if each["name"] == name))


def s3_of(server: MotoServer, attempts: int = 1) -> Any:
    client = Endpoint(server.endpoint_url).client("s3", config=Config(retries={"total_max_attempts": attempts}))
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets another process's limits")
def test_on_a_full_disk_writing_is_refused_and_nothing_kept_is_harmed(tmp_path: Path) -> None:
    with MotoServer(keep=tmp_path) as server:
        s3 = s3_of(server)
        s3.put_object(Bucket=BUCKET, Key="before", Body=b"before")
        unlimited = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        with pytest.raises(ClientError, match="503"):
            s3.put_object(Bucket=BUCKET, Key="large", Body=bytes(2 << 20))
        assert s3.get_object(Bucket=BUCKET, Key="before")["Body"].read() == b"before"
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)
        s3.put_object(Bucket=BUCKET, Key="after", Body=b"after")
        os.kill(server.pid, signal.SIGKILL)

    with MotoServer(keep=tmp_path) as server:
        s3 = s3_of(server)
        for key in ("before", "after"):
            assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()


def test_what_two_write_at_a_time_is_what_the_last_answer_said(tmp_path: Path) -> None:
    """Overwritten again and again while it is saved, an object never gets another's bytes."""
    from concurrent.futures import ThreadPoolExecutor

    with MotoServer(keep=tmp_path) as server:
        s3 = s3_of(server, attempts=10)  # moto itself stumbles now and then

        def write(number: int) -> None:
            s3.put_object(Bucket=BUCKET, Key="same", Body=str(number).encode() * 50_000)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(64)))
        answer = s3.get_object(Bucket=BUCKET, Key="same")
        content = answer["Body"].read()
        os.kill(server.pid, signal.SIGKILL)

    assert answer["ETag"].strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest()
    with MotoServer(keep=tmp_path) as server:
        assert s3_of(server).get_object(Bucket=BUCKET, Key="same")["Body"].read() == content


def test_what_has_outlived_its_time_goes_at_the_next_start(tmp_path: Path) -> None:
    with MotoServer(keep=tmp_path) as server:
        _write_old_and_new(server)
    with MotoServer(keep=tmp_path) as server:
        s3, dynamodb = s3_of(server), Endpoint(server.endpoint_url).client("dynamodb")
        _table(dynamodb)
        assert {item["id"]["S"] for item in dynamodb.scan(TableName="jobs")["Items"]} == {"new"}
        rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
        s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
        assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1  # of today


def _write_old_and_new(server: MotoServer) -> None:
    s3_of(server).put_object(Bucket=BUCKET, Key="new", Body=b"")
    dynamodb = Endpoint(server.endpoint_url).client("dynamodb")
    _table(dynamodb)
    for name, until in (("old", time.time() - 1), ("new", time.time() + 1000)):
        item = {"id": {"S": name}, "until": {"N": f"{until:.0f}"}}
        dynamodb.put_item(TableName="jobs", Item=item)


def _table(dynamodb: Any) -> None:
    dynamodb.create_table(
        TableName="jobs",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    dynamodb.update_time_to_live(
        TableName="jobs", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
