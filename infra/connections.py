"""Open WebSockets: who is connected, what each connection follows, and how to reach it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from infra.clients import client
from infra.dynamodb import ConditionFailed, from_dynamodb, to_dynamodb, update
from infra.errors import NotFound
from infra.job import Job
from infra.tokens import Bearer

#: API Gateway ends a connection after two hours; its record goes a little later.
CONNECTION_SECONDS = 2.25 * 3600


def job_topic(job_id: str) -> str:
    """The topic of one job."""
    return f"job#{job_id}"


def share_topic(job_id: str, epoch: int) -> str:
    """The topic of those who follow one job by a link; once their epoch is over it is silent."""
    return f"share#{epoch}#{job_id}"


def owner_topic(owner: str) -> str:
    """The topic of everything that an owner has."""
    return f"owner#{owner}"


class ConnectionTable:
    """Typed access to the table of connections. A connection follows one topic at a time."""

    def __init__(self, name: str, *, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self.clock = clock

    def open(self, connection_id: str, who: Bearer) -> None:
        """Remember for whom this connection speaks."""
        item = {
            "connection_id": connection_id,
            "owner": who.owner,
            "shared_job_id": who.job_id,
            "share_epoch": who.share_epoch if who.job_id is not None else None,
            "expires_at": int(self.clock() + CONNECTION_SECONDS),
        }
        client("dynamodb").put_item(TableName=self.name, Item=to_dynamodb(item))

    def follow_job(self, connection_id: str, job: Job) -> None:
        """From now on the connection hears of this job, and of no other.

        Raises:
            NotFound: the connection speaks neither for the job's owner nor for a link to it that holds, or is
                not open.
        """
        key = {"connection_id": connection_id}
        try:
            try:
                topic = {"topic": job_topic(job.job_id)}
                update(self.name, key, condition="#owner = :owner", values={"owner": job.owner}, sets=topic)
            except ConditionFailed as refused:
                if refused.item is None or "shared_job_id" not in refused.item:
                    raise
                update(
                    self.name,
                    key,
                    condition="#shared_job_id = :job_id AND #share_epoch = :epoch",
                    values={"job_id": job.job_id, "epoch": job.share_epoch},
                    sets={"topic": share_topic(job.job_id, job.share_epoch)},
                )
        except ConditionFailed:
            raise NotFound(f"There is no job {job.job_id}.") from None

    def follow_all(self, connection_id: str) -> None:
        """From now on the connection hears of every job of the owner it speaks for, also of those to come.

        Raises:
            NotFound: it is not open, or it is a share link's and speaks for no owner.
        """
        key = {"connection_id": {"S": connection_id}}
        found = client("dynamodb").get_item(TableName=self.name, Key=key, ConsistentRead=True).get("Item")
        owner = from_dynamodb(found).get("owner") if found else None
        if owner is None:
            raise NotFound("A share link follows its one job: name it as job_id.")
        try:
            update(
                self.name,
                {"connection_id": connection_id},
                condition="#owner = :owner",
                values={"owner": owner},
                sets={"topic": owner_topic(owner)},
            )
        except ConditionFailed:
            raise NotFound("This connection has ended.") from None

    def followers(self, *topics: str) -> list[str]:
        """Ids of the connections that follow any of the topics; none twice, since each follows one."""
        paginator = client("dynamodb").get_paginator("query")
        return [
            item["connection_id"]["S"]
            for topic in topics
            for page in paginator.paginate(
                TableName=self.name,
                IndexName="by_topic",
                KeyConditionExpression="topic = :topic",
                ExpressionAttributeValues={":topic": {"S": topic}},
            )
            for item in page["Items"]
        ]

    def close(self, connection_id: str) -> None:
        """Forget the connection; once too often does no harm."""
        key = {"connection_id": {"S": connection_id}}
        client("dynamodb").delete_item(TableName=self.name, Key=key)


class Sockets:
    """Posts frames to connections by way of ``POST {endpoint}/@connections/{connection_id}``.

    Chalice has such a client too, but with AWS's own address built in.
    """

    def __init__(self, endpoint: str) -> None:
        self._client = client("apigatewaymanagementapi", endpoint)

    def post(self, connection_id: str, frame: Mapping[str, Any]) -> bool:
        """Send one frame; False when nobody is at the other end any more."""
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=json.dumps(frame).encode())
        except self._client.exceptions.GoneException:
            return False
        return True
