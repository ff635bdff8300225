"""Lists of jobs, from the table's two indexes: an owner's newest, and those that the sweeper should look at."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.clients import client
from infra.dynamodb import from_dynamodb, to_dynamodb
from infra.errors import BadInput, NotFound
from infra.job import Job
from infra.jobs import JobTable

#: seconds since 1970; no job was made after this
_END_OF_TIME = 1e11
_LONGEST_ID = 64
#: as many are counted in the line before a job
_LONGEST_LINE = 500


@dataclass(frozen=True)
class JobPage:
    """Some of an owner's jobs, newest first; ``cursor`` asks for the next ones, None at the end."""

    jobs: list[Job]
    cursor: str | None


def owned(table: JobTable, owner: str, *, limit: int = 20, cursor: str | None = None) -> JobPage:
    """One page of the owner's jobs, newest first; the index lags a moment behind the table.

    Raises:
        BadInput: the cursor is not one of ours.
    """
    query: dict[str, Any] = {
        "TableName": table.name,
        "IndexName": "by_owner",
        "KeyConditionExpression": "#owner = :owner",
        "ExpressionAttributeNames": {"#owner": "owner"},
        "ExpressionAttributeValues": {":owner": {"S": owner}},
        "ScanIndexForward": False,
        "Limit": limit,
    }
    if cursor is not None:
        # The owner is never taken from the cursor: a forged one can only skip about in one's own list.
        query["ExclusiveStartKey"] = _start_key(cursor) | {"owner": {"S": owner}}
    answer = client("dynamodb").query(**query)
    last = answer.get("LastEvaluatedKey")
    jobs = [Job.from_item(from_dynamodb(item)) for item in answer["Items"]]
    return JobPage(jobs, _cursor(last) if last else None)


def living(table: JobTable, owner: str, most: int) -> int:
    """How many of the owner's jobs have not ended; counting stops at ``most``.

    All of the owner's are read, a megabyte at a time: were it the latest alone, jobs that are announced and
    canceled would push those that run out of sight. The index lags a moment behind the table, so whoever asks
    often and at once may be counted too low, by as many as a moment holds.
    """
    pages = (
        client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=table.name,
            IndexName="by_owner",
            KeyConditionExpression="#owner = :owner",
            FilterExpression="attribute_exists(sweep_at)",  # which no ended job has
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":owner": {"S": owner}},
            ScanIndexForward=False,
            Select="COUNT",
        )
    )
    count = 0
    for page in pages:
        count += page["Count"]
        if count >= most:
            return most
    return count


def queue_position(table: JobTable, job: Job) -> int | None:
    """1 for the queued job that came first, None for a job that does not wait.

    A fair guess: the queue itself promises no order, and the index lags a moment behind. None, too, in a line
    so long that counting it, every few seconds and for everyone who waits, would keep the index busy.
    """
    if job.status != "queued" or job.sweep_at is None:
        return None
    answer = client("dynamodb").query(
        TableName=table.name,
        IndexName="by_sweep",
        KeyConditionExpression="#status = :queued AND #sweep_at < :sweep_at",
        ExpressionAttributeNames={"#status": "status", "#sweep_at": "sweep_at"},
        ExpressionAttributeValues=to_dynamodb({":queued": "queued", ":sweep_at": job.sweep_at}),
        Select="COUNT",
        Limit=_LONGEST_LINE,
    )
    return None if "LastEvaluatedKey" in answer else int(answer["Count"]) + 1


def due(table: JobTable) -> Iterator[Job]:
    """Every living job whose ``sweep_at`` has come, as it is now."""
    for status in ("awaiting_upload", "queued", "running"):
        pages = (
            client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=table.name,
                IndexName="by_sweep",
                KeyConditionExpression="#status = :status AND #sweep_at <= :now",
                ExpressionAttributeNames={"#status": "status", "#sweep_at": "sweep_at"},
                ExpressionAttributeValues=to_dynamodb({":status": status, ":now": table.clock()}),
            )
        )
        for page in pages:
            for item in page["Items"]:
                try:
                    yield table.get(item["job_id"]["S"])
                except NotFound:  # its time to live ended between the index and here
                    continue


def _cursor(key: Mapping[str, Any]) -> str:
    values = from_dynamodb(key)
    return base64.urlsafe_b64encode(json.dumps([values["created_at"], values["job_id"]]).encode()).decode()


def _start_key(cursor: str) -> dict[str, Any]:
    try:
        created_at, job_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        possible = 0 <= created_at < _END_OF_TIME and 0 < len(job_id) <= _LONGEST_ID and job_id.isascii()
    except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError):
        possible = False
    if not possible:
        raise BadInput("The cursor is not one that an earlier answer gave.")
    return to_dynamodb({"created_at": float(created_at), "job_id": job_id})
