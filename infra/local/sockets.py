"""API Gateway's part, WebSocket: connections as events, and the ``@connections`` that functions post to.

Reference: API Gateway Developer Guide, "Working with WebSocket APIs", "Control access to WebSocket APIs".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from infra.local.invoke import Functions
from infra.local.rest import STAGE, identity, many
from infra.local.triggers import Triggers

log = logging.getLogger(__name__)

#: where clients connect
SOCKET_PATH = "/socket"
#: API Gateway's limits, bytes: of a message, and of what is posted to a connection
MESSAGE_BYTES = 128 * 1024
#: frames waiting for a slow client; one that falls further behind is cut off, so that it slows nobody else
WAITING_FRAMES = 256
#: seconds between pings that find out about clients lost without a word
HEARTBEAT_SECONDS = 60.0


@dataclass
class Connection:
    """An open socket."""

    request: web.Request
    socket: web.WebSocketResponse
    #: ends in "=" like the real ones, which clients must therefore quote
    id: str = field(default_factory=lambda: secrets.token_urlsafe(11) + "=")
    connected_at: float = field(default_factory=time.time)
    last_active_at: float = field(default_factory=time.time)
    frames: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(WAITING_FRAMES))
    #: what the authoriser has found out; handed to every function that hears of the connection
    identity: dict[str, Any] = field(default_factory=dict)


class Sockets:
    """Every open connection; lives in the gateway's event loop."""

    def __init__(self, triggers: Triggers, functions: Functions) -> None:
        self._routes = triggers.socket_routes
        self._authorizer = triggers.socket_authorizer
        self._functions = functions
        self._open: dict[str, Connection] = {}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve the socket and, for functions, ``/@connections/{id}``."""
        router.add_get(SOCKET_PATH, self._serve)
        router.add_post("/@connections/{id}", self._post)
        router.add_get("/@connections/{id}", self._look)
        router.add_delete("/@connections/{id}", self._delete)

    async def close_all(self) -> None:
        """Tell every client that the cloud ends."""
        for connection in list(self._open.values()):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.socket.close(code=WSCloseCode.GOING_AWAY), timeout=1.0)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=MESSAGE_BYTES, heartbeat=HEARTBEAT_SECONDS)
        if not socket.can_prepare(request):
            return web.json_response({"message": "This address speaks WebSocket."}, status=426)
        connection = Connection(request, socket)
        status = await self._authorize(connection)
        if status == 200:
            status = await self._call(connection, "$connect", "CONNECT")
        if status >= 400:
            # API Gateway tells a refused client 401 or 403 alone, and 5xx for a failed function.
            return web.json_response({"message": "Forbidden"}, status=status)
        # Before the client knows that it is connected: it may ask for an answer at once. Frames wait meanwhile.
        self._open[connection.id] = connection
        writer: asyncio.Task[None] | None = None
        try:
            await socket.prepare(request)
            writer = asyncio.create_task(self._write(connection))
            await self._read(connection)
        finally:
            self._open.pop(connection.id, None)
            if writer is not None:
                writer.cancel()
            await self._call(connection, "$disconnect", "DISCONNECT")
        return socket

    async def _read(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is not WSMsgType.TEXT:
                continue
            connection.last_active_at = time.time()
            route = self._route(message.data)
            if await self._call(connection, route, "MESSAGE", message.data) >= 500:
                error = {"message": "Internal server error", "connectionId": connection.id}
                self._enqueue(connection, json.dumps(error))

    async def _write(self, connection: Connection) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await connection.socket.send_str(await connection.frames.get())

    def _route(self, body: str) -> str:
        """The action that the message names, where the template has a route for it."""
        try:
            action = json.loads(body)["action"]
        except (ValueError, TypeError, KeyError):
            return "$default"
        return action if isinstance(action, str) and action in self._routes else "$default"

    async def _call(self, connection: Connection, route: str, kind: str, body: str | None = None) -> int:
        """Call the route's function: its status, 500 when it raises, 200 where there is no such route."""
        handler = self._routes.get(route)
        if handler is None:
            return 200
        event = socket_event(connection, route, kind, body)
        try:
            answer = await asyncio.wrap_future(self._functions.submit(handler, event))
            return int((answer or {}).get("statusCode", 200))
        except Exception:
            log.exception("%s failed on %s", handler, route)
            return 500

    async def _authorize(self, connection: Connection) -> int:
        """Ask the authoriser: 200, 401 without anything to judge by, 403 when it denies, 500 when it raises."""
        if self._authorizer is None:
            return 200
        if not connection.request.query.get(self._authorizer.query):
            return 401
        event = socket_event(connection, "$connect", "CONNECT", None)
        event |= {
            "type": "REQUEST",
            "methodArn": f"arn:aws:execute-api:local:000000000000:{STAGE}/{STAGE}/$connect",
        }
        try:
            answer = await asyncio.wrap_future(self._functions.submit(self._authorizer.handler, event))
            (statement,) = answer["policyDocument"]["Statement"]
        except Exception:
            log.exception("%s failed", self._authorizer.handler)
            return 500
        if statement != {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": event["methodArn"]}:
            return 403
        connection.identity = {"principalId": answer["principalId"], **answer.get("context", {})}
        return 200

    def _enqueue(self, connection: Connection, frame: str) -> bool:
        try:
            connection.frames.put_nowait(frame)
        except asyncio.QueueFull:
            self._open.pop(connection.id, None)
            if connection.request.transport is not None:
                connection.request.transport.abort()
            return False
        return True

    async def _post(self, request: web.Request) -> web.Response:
        connection = self._open.get(request.match_info["id"])
        frame = await request.read()
        if len(frame) > MESSAGE_BYTES:
            return _refuse(413, "PayloadTooLargeException")
        if (
            connection is None
            or connection.socket.closed
            or not self._enqueue(connection, frame.decode("utf-8"))
        ):
            return _refuse(410, "GoneException")
        connection.last_active_at = time.time()
        return web.Response()

    async def _look(self, request: web.Request) -> web.Response:
        connection = self._open.get(request.match_info["id"])
        if connection is None:
            return _refuse(410, "GoneException")
        return web.json_response(
            {
                "connectedAt": _iso(connection.connected_at),
                "identity": identity(connection.request),
                "lastActiveAt": _iso(connection.last_active_at),
            }
        )

    async def _delete(self, request: web.Request) -> web.Response:
        connection = self._open.get(request.match_info["id"])
        if connection is None:
            return _refuse(410, "GoneException")
        await connection.socket.close()
        return web.Response(status=204)


def socket_event(connection: Connection, route: str, kind: str, body: str | None) -> dict[str, Any]:
    """What the function sees of one moment of a connection's life."""
    request, now = connection.request, time.time()
    event: dict[str, Any] = {
        "requestContext": {
            "apiId": STAGE,
            "connectedAt": int(connection.connected_at * 1000),
            "connectionId": connection.id,
            "domainName": request.host,
            "eventType": kind,
            "extendedRequestId": secrets.token_urlsafe(11),
            "identity": identity(request),
            "messageDirection": "IN",
            "requestId": str(uuid.uuid4()),
            "requestTimeEpoch": int(now * 1000),
            "routeKey": route,
            "stage": STAGE,
        },
        "isBase64Encoded": False,
    }
    if connection.identity:
        event["requestContext"]["authorizer"] = connection.identity
    if kind == "MESSAGE":
        event["body"] = body
        event["requestContext"]["messageId"] = secrets.token_urlsafe(11)
        return event
    event["headers"] = dict(request.headers)
    event["multiValueHeaders"] = many(request.headers.items())
    if kind == "CONNECT" and request.query:
        event["queryStringParameters"] = dict(request.query)
        event["multiValueQueryStringParameters"] = many(request.query.items())
    return event


def _refuse(status: int, kind: str) -> web.Response:
    return web.json_response({"message": kind}, status=status, headers={"x-amzn-ErrorType": kind})


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
