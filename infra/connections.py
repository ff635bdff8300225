"""Open WebSockets: who is connected, which job each connection follows, and how to reach it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from infra.clients import client
from infra.dynamodb import ConditionFailed, to_dynamodb, update
from infra.errors import NotFound

#: API Gateway ends a connection after two hours; its record goes a little later.
CONNECTION_SECONDS = 2.25 * 3600


class ConnectionTable:
    """Typed access to the table of connections. A connection follows one job at a time."""

    def __init__(self, name: str, *, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self.clock = clock

    def open(self, connection_id: str, owner: str) -> None:
        """Remember that this connection speaks for ``owner``."""
        item = {
            "connection_id": connection_id,
            "owner": owner,
            "expires_at": int(self.clock() + CONNECTION_SECONDS),
        }
        client("dynamodb").put_item(TableName=self.name, Item=to_dynamodb(item))

    def follow(self, connection_id: str, job_id: str, owner: str) -> None:
        """From now on the connection hears of this job.

        Raises:
            NotFound: the connection does not speak for ``owner``, or is not open.
        """
        key = {"connection_id": connection_id}
        try:
            update(
                self.name, key, condition="#owner = :owner", values={"owner": owner}, sets={"job_id": job_id}
            )
        except ConditionFailed:
            raise NotFound(f"There is no job {job_id}.") from None

    def followers(self, job_id: str) -> list[str]:
        """Ids of the connections that follow the job."""
        pages = (
            client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.name,
                IndexName="by_job",
                KeyConditionExpression="job_id = :job_id",
                ExpressionAttributeValues={":job_id": {"S": job_id}},
            )
        )
        return [item["connection_id"]["S"] for page in pages for item in page["Items"]]

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
