"""What the log says of an invocation: which request it is, by which route, and how a REST request ended.

Bodies, queries and headers are not looked at: they hold tokens and keys.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from chalice.app import LambdaFunctionEvent, Request, Response

from infra import telemetry

log = logging.getLogger(__name__)


def logged(event: Any, get_response: Callable[[Any], Any]) -> Any:
    """What ``get_response`` answers, with the invocation's fields on every line that it writes.

    ``event`` is Chalice's: a REST request (None for a path that it does not know) or another function's event.
    """
    started = time.monotonic()
    fields = _fields(event)
    with telemetry.about(**fields):
        answer = get_response(event)
        if isinstance(answer, Response):
            _tell(fields.get("route", "no route"), answer, time.monotonic() - started)
        return answer


def _fields(event: Any) -> dict[str, Any]:
    if isinstance(event, Request):
        return {
            "request_id": getattr(event.lambda_context, "aws_request_id", None),
            # API Gateway's own, which its access log and the header x-amzn-RequestId have
            "api_request_id": event.context.get("requestId"),
            "route": f"{event.method} {event.path}",  # /jobs/{job_id}, not the path that was asked for
            "job_id": (event.uri_params or {}).get("job_id"),
        }
    if isinstance(event, LambdaFunctionEvent):
        socket = event.event.get("requestContext") or {}
        return {
            "request_id": getattr(event.context, "aws_request_id", None),
            "connection_id": socket.get("connectionId"),
            "route": socket.get("routeKey"),
        }
    return {}


def _tell(route: str, answer: Response, seconds: float) -> None:
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    more = {"status": answer.status_code, "milliseconds": round(seconds * 1000)}
    log.info("%s: %d", route, answer.status_code, extra=more | ({"code": code} if code else {}))
