"""Photos are announced, and messages that nobody can handle are set aside."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import unquote_plus

from infra.clients import client
from tests.localstack.conftest import Store


def events(store: Store, prefix: str, count: int) -> list[dict[str, Any]]:
    """The records of the first ``count`` announced objects whose names begin so; others are dropped."""
    (trigger,) = store.resources.triggers.uploads.values()
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + 20.0
    while len(found) < count and time.monotonic() < deadline:
        answer = client("sqs").receive_message(
            QueueUrl=trigger.queue_url, WaitTimeSeconds=2, MaxNumberOfMessages=10
        )
        for message in answer.get("Messages", []):
            client("sqs").delete_message(QueueUrl=trigger.queue_url, ReceiptHandle=message["ReceiptHandle"])
            records = json.loads(message["Body"]).get("Records", [])
            found += [record for record in records if name_of(record).startswith(prefix)]
    return found


def key_of(record: dict[str, Any]) -> str:
    # AWS writes a blank as "+", LocalStack as "%20": one reading serves both.
    return unquote_plus(record["s3"]["object"]["key"])


def name_of(record: dict[str, Any]) -> str:
    return key_of(record).rpartition("/")[2]


def test_photos_are_announced_with_key_version_and_size(store: Store) -> None:
    s3 = client("s3")
    for key in ("elsewhere/told 1.png", "inbox/told ünder the sea +1.png", "uploads/0b9d/told.png"):
        s3.put_object(Bucket=store.uploads, Key=key, Body=b"12345")
    records = sorted(events(store, "told", 2), key=key_of)
    assert [key_of(record) for record in records] == [
        "inbox/told ünder the sea +1.png",
        "uploads/0b9d/told.png",
    ]
    objects = [record["s3"]["object"] for record in records]
    for thing in objects:
        assert thing["size"] == 5
        assert thing["versionId"]
    assert {record["s3"]["bucket"]["name"] for record in records} == {store.uploads}


def test_a_message_that_is_received_too_often_is_set_aside(store: Store) -> None:
    sqs, url, dead = client("sqs"), store.queue("JobQueue"), store.queue("JobDeadLetterQueue")
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    limit = int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"])
    sqs.send_message(QueueUrl=url, MessageBody='{"job_id": "poison"}')
    for _ in range(limit):
        (message,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, WaitTimeSeconds=2)["Messages"]
        assert json.loads(message["Body"]) == {"job_id": "poison"}
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    (message,) = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=5)["Messages"]
    assert json.loads(message["Body"]) == {"job_id": "poison"}
