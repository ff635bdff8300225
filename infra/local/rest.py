"""API Gateway's part, REST: an HTTP request as the event Lambda is called with, and the answer back.

Reference: API Gateway Developer Guide, "Input format of a Lambda function for proxy integration" (payload 1.0).
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from infra.local.invoke import Functions
from infra.local.triggers import Triggers

log = logging.getLogger(__name__)

#: the stage's name in events; the local cloud has only one
STAGE = "local"

RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(router: web.UrlDispatcher, triggers: Triggers, functions: Functions) -> None:
    """Serve every REST path of the template."""
    for (method, path), handler in triggers.routes.items():
        router.add_route(method, path, _calls(path, handler, functions))
    for path, headers in triggers.preflights.items():
        router.add_route("OPTIONS", path, _answers(headers))
    for path in dict.fromkeys(path for _, path in triggers.routes):
        methods = [method for method, other in triggers.routes if other == path]
        router.add_route("*", path, _refuses(methods))


def _calls(path: str, handler: str, functions: Functions) -> RequestHandler:
    async def serve(request: web.Request) -> web.StreamResponse:
        event = proxy_event(request, path, await request.read())
        try:
            answer = await asyncio.wrap_future(functions.submit(handler, event))
            return proxy_response(answer)
        except Exception:
            log.exception("%s failed on %s %s", handler, request.method, path)
            return web.json_response({"message": "Internal server error"}, status=502)

    return serve


def _answers(headers: Mapping[str, str]) -> RequestHandler:
    async def serve(request: web.Request) -> web.StreamResponse:
        return web.Response(status=200, headers=headers)

    return serve


def _refuses(methods: Iterable[str]) -> RequestHandler:
    """What no function is there for; API Gateway says 403, and nothing of what would be allowed."""
    allowed = ", ".join(sorted(methods))
    error = {"code": "method_not_allowed", "message": f"This address takes {allowed} and nothing else."}

    async def serve(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": error}, status=405, headers={"Allow": allowed})

    return serve


def proxy_event(request: web.Request, resource: str, body: bytes) -> dict[str, Any]:
    """The request as the function sees it; ``resource`` is the path with its {parameters}."""
    return {
        "resource": resource,
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(request.headers) or None,
        "multiValueHeaders": many(request.headers.items()),
        "queryStringParameters": dict(request.query) or None,
        "multiValueQueryStringParameters": many(request.query.items()),
        "pathParameters": dict(request.match_info) or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": STAGE,
            "domainName": request.host,
            "httpMethod": request.method,
            "identity": identity(request),
            "path": request.path,
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "resourcePath": resource,
            "stage": STAGE,
        },
        "body": body.decode("utf-8", "replace") if body else None,
        "isBase64Encoded": False,
    }


def proxy_response(answer: Mapping[str, Any]) -> web.Response:
    """The function's answer as HTTP."""
    text = answer.get("body") or ""
    body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode("utf-8")
    response = web.Response(status=int(answer["statusCode"]), body=body)
    for name, value in (answer.get("headers") or {}).items():
        response.headers[name] = str(value)
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        for value in values:
            response.headers.add(name, str(value))
    return response


def identity(request: web.Request) -> dict[str, Any]:
    """Who asks, in events of both gateways."""
    return {"sourceIp": request.remote, "userAgent": request.headers.get("User-Agent")}


def many(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]] | None:
    """Name → all its values, None when there are none."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found or None
