"""WebSocket: connect with a session's or a share link's token, subscribe, hear of every change.

The gateway asks :func:`authorize` before it lets a client connect, and hands what it answers to :func:`handle`.

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
from infra import telemetry, tokens
from infra.connections import ConnectionTable, Sockets
from infra.errors import BadInput, InternalError, MaquetteError, Unauthorized
from infra.jobs import JobTable
from infra.settings import Settings
from infra.tokens import Bearer

log = logging.getLogger(__name__)


def authorize(event: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Who may connect: Lambda's answer to a REQUEST authoriser of API Gateway.

    A bad token is denied, not an error: errors of this function are alarms. Browsers cannot set headers on a
    WebSocket, so the token comes in the address.
    Reference: API Gateway Developer Guide, "Control access to WebSocket APIs with Lambda REQUEST authorizers".
    """
    token = (event.get("queryStringParameters") or {}).get("token", "")
    try:
        who = tokens.read(token, tokens.signing_key(settings))
    except Unauthorized:
        log.info("a connection was refused: its token does not hold")
        return _verdict("Deny", event, "nobody", {})
    if who.owner is not None:
        return _verdict("Allow", event, who.owner, {"owner": who.owner})
    return _verdict("Allow", event, f"share of {who.job_id}", _share_context(who))


def handle(event: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Answer one event of the WebSocket API; ``statusCode`` other than 200 refuses a connection."""
    connection_id = event["requestContext"]["connectionId"]
    match event["requestContext"]["eventType"]:
        case "CONNECT":
            # No frame may be sent before $connect has returned: the snapshot waits for the subscription.
            ConnectionTable(settings.connections_table).open(connection_id, _who(event))
        case "DISCONNECT":
            ConnectionTable(settings.connections_table).close(connection_id)
        case "MESSAGE":
            frame = _answer(connection_id, event.get("body") or "", settings)
            Sockets(settings.socket_endpoint).post(connection_id, frame)
    return {"statusCode": 200}


def _verdict(
    effect: str, event: Mapping[str, Any], principal: str, context: Mapping[str, str]
) -> dict[str, Any]:
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": event["methodArn"]}
    return {
        "principalId": principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": dict(context),
    }


def _share_context(who: Bearer) -> dict[str, str]:
    # The gateway hands on texts alone, whatever it is given.
    return {"shared_job_id": str(who.job_id), "share_epoch": str(who.share_epoch)}


def _who(event: Mapping[str, Any]) -> Bearer:
    """For whom the connection speaks, as :func:`authorize` found out."""
    known = event["requestContext"].get("authorizer") or {}
    epoch = int(known.get("share_epoch", 0))
    who = Bearer(owner=known.get("owner"), job_id=known.get("shared_job_id"), share_epoch=epoch)
    if (who.owner is None) == (who.job_id is None):
        raise InternalError("A connection came past the authoriser.")
    return who


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
        log.info("a frame was refused: %s", error.code)
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
    telemetry.note(job_id=job_id)
    table = JobTable(settings.jobs_table)
    # Following is one write on the condition that the connection may look at the job; someone else's job and no
    # job at all are answered alike.
    connections.follow_job(connection_id, table.get(job_id))
    # Read again: a change between the first reading and the subscription was told to nobody here.
    return job_frame(table.get(job_id))
