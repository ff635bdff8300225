"""Every entry point of the Lambda functions: a decorator and a call each.

``template.yaml`` names these as handlers; a test holds its paths against ``app.routes``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from chalice.app import Chalice, Request, Response

from functions import api, fanout, ingest, invocation, sockets, sweep
from infra import telemetry
from infra.errors import InternalError, MaquetteError
from infra.settings import settings

log = logging.getLogger(__name__)

app = Chalice(app_name="maquette", configure_logs=False)

#: Answers belong to one asker and hold links: nothing on the way may keep or reinterpret them.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@app.lambda_function()
def on_upload(event: dict[str, Any], context: Any) -> None:
    """S3 event of the upload bucket."""
    ingest.take_in(event, settings())


@app.lambda_function()
def on_job_changed(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Batch of the jobs table's stream."""
    return fanout.spread(event, settings())


@app.lambda_function()
def on_schedule(event: dict[str, Any], context: Any) -> None:
    """Once a minute."""
    sweep.sweep(settings())


@app.lambda_function()
def authorize_socket(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Asked by the WebSocket API before a client may connect."""
    return sockets.authorize(event, settings())


@app.lambda_function()
def on_socket(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Every route of the WebSocket API."""
    return sockets.handle(event, settings())


@app.route("/sessions", methods=["POST"])
def create_session() -> Response:
    """Start a session."""
    return _answer(api.create_session)


@app.route("/jobs", methods=["POST"])
def create_job() -> Response:
    """Announce a photo."""
    return _answer(api.create_job)


@app.route("/jobs", methods=["GET"])
def list_jobs() -> Response:
    """One's own jobs."""
    return _answer(api.list_jobs)


@app.route("/jobs/{job_id}", methods=["GET"])
def get_job(job_id: str) -> Response:
    """One job."""
    return _answer(api.get_job, job_id)


@app.route("/jobs/{job_id}", methods=["DELETE"])
def delete_job(job_id: str) -> Response:
    """Cancel or remove one."""
    return _answer(api.delete_job, job_id)


@app.route("/jobs/{job_id}/events", methods=["GET"])
def stream_events(job_id: str) -> Response:
    """What is new of one."""
    return _answer(api.stream_events, job_id)


@app.route("/jobs/{job_id}/artifacts", methods=["GET"])
def list_artifacts(job_id: str) -> Response:
    """Its files."""
    return _answer(api.list_artifacts, job_id)


@app.route("/jobs/{job_id}/artifacts/{name}", methods=["GET"])
def get_artifact(job_id: str, name: str) -> Response:
    """One of its files."""
    return _answer(api.get_artifact, job_id, name)


@app.route("/jobs/{job_id}/shares", methods=["POST"])
def create_share(job_id: str) -> Response:
    """Let others look at one."""
    return _answer(api.create_share, job_id)


@app.route("/jobs/{job_id}/shares", methods=["DELETE"])
def delete_shares(job_id: str) -> Response:
    """Take the links back."""
    return _answer(api.delete_shares, job_id)


@app.middleware("all")
def keep_a_log(event: Any, get_response: Callable[[Any], Any]) -> Any:
    """Before all else, around all else: the log knows of which invocation it speaks."""
    _start_log()
    return invocation.logged(event, get_response)


@app.middleware("http")
def say_errors_our_way(event: Any, get_response: Callable[[Any], Response]) -> Response:
    """Chalice's own refusals (405, 415 …) in the form of ours."""
    response = get_response(event)
    if isinstance(response.body, dict) and "Code" in response.body:
        code = "".join("_" + letter.lower() if letter.isupper() else letter for letter in response.body["Code"])
        error = {"code": code.strip("_"), "message": response.body.get("Message", "")}
        return _response(response.status_code, {"error": error}, response.headers)
    return response


@lru_cache(maxsize=1)
def _start_log() -> None:
    telemetry.start(settings())


def _answer(function: Callable[..., api.Answer], *parameters: str) -> Response:
    try:
        answer = function(_request(), settings(), *parameters)
    except MaquetteError as error:
        if error.http_status >= 500:
            log.exception("a request failed")
        return _refusal(error)
    except Exception:
        log.exception("a request failed")
        return _refusal(
            InternalError("Something went wrong that should not have. It has been recorded; try again later.")
        )
    return _response(answer.status, answer.body, answer.headers)


def _refusal(error: MaquetteError) -> Response:
    challenge = {"WWW-Authenticate": "Bearer"} if error.http_status == 401 else {}  # RFC 9110, section 11.6.1
    return _response(error.http_status, {"error": error.as_dict()}, challenge)


def _request() -> api.Request:
    request = app.current_request
    if request is None:
        raise InternalError("A REST handler ran without a request.")
    body = request.raw_body
    return api.Request(
        body=body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or ""),
        query=dict(request.query_params or {}),
        headers=_headers(request),
    )


def _headers(request: Request) -> dict[str, str]:
    """Each header once: whoever sends several of a kind gets what RFC 9110, section 5.2, makes of them, a list.

    A list of tokens is no token. Chalice, left to itself, would take one of them.
    """
    many = request.to_original_event().get("multiValueHeaders")
    given: dict[str, list[str]] = {}
    for name, values in (many or {name: [value] for name, value in request.headers.items()}).items():
        given.setdefault(name.lower(), []).extend(values)
    return {name: ", ".join(values) for name, values in given.items()}


def _response(status: int, body: Mapping[str, Any] | str | None, headers: Mapping[str, Any]) -> Response:
    origin = settings().site_origin
    shared = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}
    every = {"Content-Type": "application/json", **_HEADERS, **shared, **headers}
    if body is None:
        body = ""
        del every["Content-Type"]
    return Response(body=body if isinstance(body, str) else dict(body), status_code=status, headers=every)
