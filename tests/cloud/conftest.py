"""One moto server per test run, with the template's resources; every test finds them empty.

Queues are new in every test, since SQS purges one only once a minute.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest

from functions import app
from infra.artifacts import content_type
from infra.clients import client
from infra.dynamodb import from_dynamodb
from infra.job import Job, Source
from infra.jobs import JobTable
from infra.local.endpoint import Endpoint
from infra.local.moto import MotoServer
from infra.local.resources import create
from infra.queue import JobQueue
from infra.settings import Settings, settings
from infra.storage import artifact_prefix

#: ``rest("GET", "/jobs/{job_id}", token=…, job_id=…)`` → status, body, headers
Rest = Callable[..., tuple[int, Any, dict[str, str]]]

SECRET = "a secret of the tests that is long enough"


@dataclass
class Clock:
    """Seconds since 1970, moved by hand."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class SocketServer:
    """The ``@connections`` end of API Gateway: remembers frames, knows who is gone and who is broken."""

    url: str
    frames: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)

    def to(self, connection_id: str) -> list[dict[str, Any]]:
        return [frame for receiver, frame in self.frames if receiver == connection_id]


@dataclass
class Cloud:
    """The resources, and short ways to what tests look at."""

    environment: dict[str, str]
    settings: Settings
    dead_queue_url: str

    @property
    def table(self) -> JobTable:
        return JobTable(self.settings.jobs_table)

    @property
    def queue(self) -> JobQueue:
        return JobQueue(self.settings.job_queue_url)

    def jobs(self) -> list[Job]:
        items = client("dynamodb").scan(TableName=self.settings.jobs_table)["Items"]
        return [Job.from_item(from_dynamodb(item)) for item in items]

    def messages(self, queue_url: str | None = None) -> list[dict[str, Any]]:
        """Bodies of the messages that are visible now; they are taken off the queue."""
        sqs, url, bodies = client("sqs"), queue_url or self.settings.job_queue_url, []
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get(
            "Messages"
        ):
            for message in found:
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def visible_messages(self) -> int:
        return self._count("ApproximateNumberOfMessages")

    def hidden_messages(self) -> int:
        return self._count("ApproximateNumberOfMessagesNotVisible")

    def _count(self, attribute: str) -> int:
        url = self.settings.job_queue_url
        answer = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])
        return int(answer["Attributes"][attribute])

    def drop(self, key: str, body: bytes = b"photo", metadata: dict[str, str] | None = None) -> dict[str, Any]:
        """Put an object; returns the S3 event's record of it."""
        bucket = self.settings.upload_bucket
        answer = client("s3").put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata or {})
        return s3_record(bucket, key, len(body), answer["ETag"].strip('"'))

    def queued(self, job_id: str = "job", owner: str = "operator", body: bytes = b"photo") -> Job:
        """A job whose photo lies in the bucket."""
        key = f"inbox/{job_id}.png"
        client("s3").put_object(Bucket=self.settings.upload_bucket, Key=key, Body=body)
        source = Source(self.settings.upload_bucket, key, bytes=len(body))
        return self.table.create(job_id, owner, source, {"resolution": 64}, arrived=True)

    def artifacts(self, job_id: str) -> list[str]:
        listing = client("s3").list_objects_v2(Bucket=self.settings.artifact_bucket, Prefix=f"jobs/{job_id}/")
        return [item["Key"] for item in listing.get("Contents", [])]


def s3_record(bucket: str, key: str, size: int, etag: str, **more: str) -> dict[str, Any]:
    """A record of an S3 event, the key encoded as S3 does."""
    from urllib.parse import quote_plus

    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": "2026-11-22T12:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": bucket},
            "object": {"key": quote_plus(key, safe="/"), "size": size, "eTag": etag, **more},
        },
    }


@pytest.fixture(scope="session")
def moto_environment() -> Iterator[dict[str, str]]:
    aws, environment = _moto()
    yield environment
    if aws.running:
        aws.stop()


@cache
def _moto() -> tuple[MotoServer, dict[str, str]]:
    """One for all folders of tests that have taken these fixtures over."""
    aws = MotoServer()
    resources = create(Endpoint(aws.endpoint_url))
    return aws, resources.environment(socket_endpoint="http://127.0.0.1:9", session_secret=SECRET)


@pytest.fixture
def cloud(moto_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Empty tables, queues and buckets, and an environment that leads to them."""
    environment = {name: value for name, value in moto_environment.items() if name != "MAQUETTE_OPEN_SESSIONS"}
    for name in [name for name in os.environ if name.startswith(("MAQUETTE_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if client("sqs").meta.endpoint_url != environment["AWS_ENDPOINT_URL"]:
        client.cache_clear()  # left by a test of another cloud
    settings.cache_clear()
    _empty(settings())
    dead_url = _copy_of_queue(settings().job_queue_url)
    environment["MAQUETTE_JOB_QUEUE_URL"] = _copy_of_queue(settings().job_queue_url, dead_url)
    monkeypatch.setenv("MAQUETTE_JOB_QUEUE_URL", environment["MAQUETTE_JOB_QUEUE_URL"])
    settings.cache_clear()
    yield Cloud(environment, settings(), dead_url)
    settings.cache_clear()


@pytest.fixture
def use_environment(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change variables of the environment that the handlers read."""

    def use(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    return use


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def socket_server(use_environment: Callable[..., None]) -> Iterator[SocketServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            connection_id = unquote(self.path.rpartition("/")[2])
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if connection_id in remembered.gone:
                self.send_response(410)
                self.send_header("x-amzn-ErrorType", "GoneException")
            elif connection_id in remembered.broken:
                self.send_response(400)
            else:
                remembered.frames.append((connection_id, json.loads(body)))
                self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        remembered = SocketServer(f"http://127.0.0.1:{server.server_port}")
        use_environment(MAQUETTE_SOCKET_ENDPOINT=remembered.url)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield remembered
        server.shutdown()
        thread.join()


@pytest.fixture
def rest(cloud: Cloud) -> Rest:
    """Call REST as API Gateway does: status, body (parsed where it is JSON), headers."""

    def call(
        method: str,
        resource: str,
        *,
        token: str | None = None,
        body: Any = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        **parameters: str,
    ) -> tuple[int, Any, dict[str, str]]:
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        event = {
            "requestContext": {"resourcePath": resource, "httpMethod": method},
            "headers": sent,
            "pathParameters": parameters or None,
            "multiValueQueryStringParameters": {name: [value] for name, value in (query or {}).items()} or None,
            "stageVariables": None,
            "body": body if isinstance(body, str) or body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = app.app(event, None)
        text, is_json = answer["body"], answer["headers"].get("Content-Type") == "application/json"
        return answer["statusCode"], json.loads(text) if is_json else text, answer["headers"]

    return call


@pytest.fixture
def ann(rest: Rest) -> str:
    """The token of somebody's session."""
    return session(rest)


@pytest.fixture
def done(cloud: Cloud, rest: Rest, ann: str) -> Job:
    """A succeeded job of ann's, with three files, its photo in the bucket."""
    _, body, _ = rest("POST", "/jobs", token=ann, body={"filename": "robot.png"})
    waiting = cloud.table.get(body["job"]["job_id"])
    bucket, key = waiting.source.bucket, waiting.source.key
    photo = client("s3").put_object(Bucket=bucket, Key=key, Body=b"photo")
    source = Source(bucket, key, photo["VersionId"], photo["ETag"].strip('"'), bytes=5)
    cloud.table.photo_arrived(waiting, source)
    claimed = cloud.table.claim(waiting.job_id, "worker", lease_seconds=60, deadline_seconds=900).job
    return publish(cloud, claimed)


def publish(cloud: Cloud, claimed: Job) -> Job:
    """Put a model's files in place and let the job succeed."""
    prefix, bucket = artifact_prefix(claimed.job_id, claimed.attempt), cloud.settings.artifact_bucket
    contents = {"mesh.glb": b"glTF!", "poster.webp": b"RIFF!"}
    files = [
        {"name": name, "bytes": len(body), "sha256": sha256(body).hexdigest(), "type": content_type(name)}
        for name, body in contents.items()
    ]
    for name, body in {**contents, "manifest.json": json.dumps({"files": files}).encode()}.items():
        client("s3").put_object(Bucket=bucket, Key=prefix + name, Body=body)
    return cloud.table.succeed(claimed, manifest_key=prefix + "manifest.json", engine="inflate", timings={})


def session(rest: Rest) -> str:
    """A new owner's token."""
    status, body, _ = rest("POST", "/sessions")
    assert status == 201
    return str(body["token"])


def refused(answer: tuple[int, Any, dict[str, str]]) -> tuple[int, str]:
    """Status and code of a refusal, whose body must have the one form errors have."""
    status, body, headers = answer
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"]
    assert headers["Content-Type"] == "application/json"
    assert ("WWW-Authenticate" in headers) == (status == 401)
    return status, body["error"]["code"]


def _empty(given: Settings) -> None:
    for table, key in ((given.jobs_table, "job_id"), (given.connections_table, "connection_id")):
        for item in client("dynamodb").scan(TableName=table)["Items"]:
            client("dynamodb").delete_item(TableName=table, Key={key: item[key]})
    for bucket in (given.upload_bucket, given.artifact_bucket):
        versions = client("s3").list_object_versions(Bucket=bucket)
        for version in versions.get("Versions", []) + versions.get("DeleteMarkers", []):
            client("s3").delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])


def _copy_of_queue(url: str, dead_url: str | None = None) -> str:
    """A new queue with the attributes of the template's; redrives to ``dead_url``."""
    sqs = client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    wanted = {name: attributes[name] for name in ("MessageRetentionPeriod", "VisibilityTimeout")}
    if dead_url:
        answer = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])
        redrive = json.loads(attributes["RedrivePolicy"]) | {
            "deadLetterTargetArn": answer["Attributes"]["QueueArn"]
        }
        wanted["RedrivePolicy"] = json.dumps(redrive)
    return str(sqs.create_queue(QueueName=f"test-{uuid.uuid4().hex}", Attributes=wanted)["QueueUrl"])
