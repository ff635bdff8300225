"""WebSocket: connect with a session's or a share link's token, subscribe, hear of every change.

→ {"action": "subscribe", "job_id": …}      ← {"type": "job", "job": {…}}      at once, then per change
→ {"action": "subscribe"}                   ← {"type": "subscribed"}           then a job frame per change of
                                                                               any job of the session's owner
→ {"action": "ping"}                        ← {"type": "pong"}
                                            ← {"type": "error", "error": {"code": …, "message": …}}
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from functions.fanout import job_frame
from infra import tokens
from infra.connections import ConnectionTable, Sockets
from infra.errors import BadInput, MaquetteError, Unauthorized
from infra.jobs import JobTable
from infra.settings import Settings

log = logging.getLogger(__name__)


def handle(event: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Answer one event of the WebSocket API; ``statusCode`` other than 200 refuses a connection."""
    connection_id = event["requestContext"]["connectionId"]
    match event["requestContext"]["eventType"]:
        case "CONNECT":
            return _connect(connection_id, event.get("queryStringParameters") or {}, settings)
        case "DISCONNECT":
            ConnectionTable(settings.connections_table).close(connection_id)
        case "MESSAGE":
            frame = _answer(connection_id, event.get("body") or "", settings)
            Sockets(settings.socket_endpoint).post(connection_id, frame)
    return {"statusCode": 200}


def _connect(connection_id: str, query: Mapping[str, str], settings: Settings) -> dict[str, Any]:
    # Browsers cannot set headers on a WebSocket, so the token comes in the address. No frame may be sent
    # before $connect has returned: the snapshot waits for the subscription.
    try:
        who = tokens.read(query.get("token", ""), tokens.signing_key(settings))
    except Unauthorized as error:
        return {"statusCode": 401, "body": json.dumps({"error": error.as_dict()})}
    ConnectionTable(settings.connections_table).open(connection_id, who)
    return {"statusCode": 200}


def _answer(connection_id: str, body: str, settings: Settings) -> dict[str, Any]:
    try:
        message = _read(body)
        match message.get("action"):
            case "ping":
                return {"type": "pong"}
            case "subscribe":
                return _subscribe(connection_id, message.get("job_id"), settings)
        raise BadInput("There are two actions: subscribe (with or without a job_id) and ping.")
    except MaquetteError as error:
        return {"type": "error", "error": error.as_dict()}


def _read(body: str) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise BadInput("A frame must be a JSON object with an action.")
    return message


def _subscribe(connection_id: str, job_id: Any, settings: Settings) -> dict[str, Any]:
    connections = ConnectionTable(settings.connections_table)
    if job_id is None:
        # No snapshot: it is the list that GET /jobs gives, and may be longer than a frame.
        connections.follow_all(connection_id)
        return {"type": "subscribed"}
    if not isinstance(job_id, str) or not job_id:
        raise BadInput("job_id must be a text.")
    table = JobTable(settings.jobs_table)
    # Following is one write on the condition that the connection may look at the job; someone else's job and no
    # job at all are answered alike.
    connections.follow_job(connection_id, job_id, owner=table.get(job_id).owner)
    # Read again: a change between the first reading and the subscription was told to nobody here.
    return job_frame(table.get(job_id))
