"""What the functions write for CloudWatch while they do their work."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions import app
from infra import tokens
from infra.connections import ConnectionTable
from infra.dynamodb import to_dynamodb
from infra.errors import WorkerLost
from infra.job import Job
from infra.jobs import RESEND_SECONDS, UPLOAD_SECONDS, JobTable
from infra.local.invoke import Context
from infra.tokens import Bearer
from tests.cloud.conftest import SECRET, Cloud, Rest, SocketServer
from tests.telemetry import Metric, Written, json_log

Use = Callable[..., None]
Lines = Callable[[], Written]

SERVICE = {"service": "maquette"}


@pytest.fixture
def written() -> Iterator[Lines]:
    with json_log() as written:
        yield written


def change(new: Job, old: Job | None = None, number: int = 1) -> dict[str, Any]:
    """A record of the jobs table's stream."""
    images = {"NewImage": new, "OldImage": old}
    found = {name: to_dynamodb(job.as_item()) for name, job in images.items() if job}
    return {"dynamodb": {"SequenceNumber": str(number), **found}}


def ended(job: Job, **more: Any) -> dict[str, Any]:
    return change(dataclasses.replace(job, seq=9, **more), job)


def request(method: str, resource: str, context: Context, **parameters: str) -> int:
    """As API Gateway calls, ids and all; the status answered."""
    event = {
        "requestContext": {"resourcePath": resource, "httpMethod": method, "requestId": "gateway's"},
        "headers": {"Content-Type": "application/json"},
        "pathParameters": parameters or None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": None,
    }
    return int(app.app(event, context)["statusCode"])


def test_every_photo_that_becomes_a_job_is_counted_and_every_line_names_it(
    cloud: Cloud, written: Lines
) -> None:
    context = Context("on_upload")
    records = [cloud.drop(f"inbox/{name}.png") for name in ("a", "b")]
    app.on_upload({"Records": [*records, cloud.drop("uploads/nobody/x.png")]}, context)
    found = written()
    assert found.metrics == [Metric("JobsQueued", "Count", 1, SERVICE)] * 2
    assert {line["request_id"] for line in found.logs} == {context.aws_request_id}
    ids = [line.get("job_id") for line in found.logs]
    assert (set(ids), ids[-1]) == ({job.job_id for job in cloud.jobs()} | {"nobody"}, "nobody")


def test_a_photo_that_cannot_be_taken_in_fails_its_event_and_is_told_with_its_job(
    cloud: Cloud, use_environment: Use, written: Lines
) -> None:
    use_environment(MAQUETTE_JOB_QUEUE_URL=f"{cloud.settings.job_queue_url}-gone")
    with pytest.raises(Exception, match="not the record"):
        app.on_upload({"Records": [{"nonsense": 1}, cloud.drop("inbox/a.png")]}, None)
    found = written()
    assert found.metrics == []
    (job,) = cloud.jobs()
    assert [(line["level"], line.get("job_id")) for line in found.logs] == [
        ("ERROR", None),
        ("ERROR", job.job_id),
    ]
    assert all(line["exception"].startswith("Traceback") for line in found.logs)


def test_a_success_is_counted_with_the_time_it_took(cloud: Cloud, written: Lines) -> None:
    job = cloud.queued()
    done = ended(job, status="succeeded", created_at=1000.0, queued_at=1000.0, updated_at=1042.5)
    app.on_job_changed({"Records": [done]}, None)
    assert written().metrics == [
        Metric("JobsSucceeded", "Count", 1, SERVICE),
        Metric("JobSeconds", "Seconds", 42.5, SERVICE),
    ]


def test_a_failure_is_counted_with_and_without_its_code(cloud: Cloud, written: Lines) -> None:
    error = WorkerLost("Three workers died of it.")
    app.on_job_changed({"Records": [ended(cloud.queued(), status="failed", error=error.as_dict())]}, None)
    assert written().metrics == [
        Metric("JobsFailed", "Count", 1, SERVICE),
        Metric("JobsFailed", "Count", 1, {**SERVICE, "code": error.code}),
    ]


def test_an_end_is_counted_once_and_neither_progress_nor_cancelling_is_one(
    cloud: Cloud, written: Lines
) -> None:
    job = cloud.queued()
    running = dataclasses.replace(job, status="running", attempt=1, seq=2)
    canceled = dataclasses.replace(job, status="canceled", seq=3)
    done = dataclasses.replace(job, status="succeeded", seq=3)
    records = [change(running, job, 1), change(canceled, running, 2), change(done, done, 3)]
    touched = dataclasses.replace(done, seq=4, notice={"code": "x", "message": "y"})
    app.on_job_changed({"Records": [*records, change(touched, done, 4)]}, None)
    assert written().metrics == []


def test_an_end_whose_announcement_failed_is_counted_when_it_comes_again(
    cloud: Cloud, use_environment: Use, written: Lines
) -> None:
    job = cloud.queued()
    event = {"Records": [ended(job, status="succeeded", attempt=2, stage="upload")]}
    bus = cloud.settings.event_bus
    use_environment(MAQUETTE_EVENT_BUS="arn:aws:events:us-east-1:123456789012:event-bus/not-there")
    app.on_job_changed(event, None)
    found = written()
    assert found.metrics == []
    (line,) = found.logs
    assert (line["level"], line["job_id"], line["attempt"], line["stage"]) == ("ERROR", "job", 2, "upload")
    use_environment(MAQUETTE_EVENT_BUS=bus)
    app.on_job_changed(event, None)
    assert [metric.name for metric in written().metrics] == ["JobsSucceeded", "JobSeconds"]


def test_frames_that_were_lost_are_counted_and_those_to_the_gone_are_not(
    cloud: Cloud, socket_server: SocketServer, written: Lines
) -> None:
    job, connections = cloud.queued(), ConnectionTable(cloud.settings.connections_table)
    for name in ("well", "gone", "broken", "broken too"):
        connections.open(name, Bearer(owner=job.owner))
        connections.follow_all(name)
    socket_server.gone.add("gone")
    socket_server.broken |= {"broken", "broken too"}
    app.on_job_changed({"Records": [change(job)]}, None)
    found = written()
    assert found.metrics == [Metric("FramesLost", "Count", 2, SERVICE)]
    assert [(line["level"], line["job_id"]) for line in found.logs] == [("ERROR", "job")] * 2


def test_every_job_that_is_sent_again_is_counted(cloud: Cloud, written: Lines) -> None:
    source, name = cloud.queued("fresh").source, cloud.settings.jobs_table
    for late, arrived in (("a", True), ("b", True), ("never came", False)):
        at = time.time() - (RESEND_SECONDS if arrived else UPLOAD_SECONDS) - 1
        JobTable(name, clock=lambda at=at: at).create(late, "ann", source, {}, arrived=arrived)
    app.on_schedule({}, None)
    found = written()
    rescued = [metric for metric in found.metrics if metric.name == "JobsRescued"]
    assert rescued == [Metric("JobsRescued", "Count", 1, SERVICE)] * 2
    assert sorted(line["job_id"] for line in found.logs) == ["a", "b"]


def test_a_request_is_one_line_with_its_ids_its_route_and_its_end(cloud: Cloud, written: Lines) -> None:
    context = Context("api")
    assert request("GET", "/jobs/{job_id}", context, job_id="a-job") == 401
    (line,) = written().logs
    assert isinstance(line.pop("milliseconds"), int)
    del line["timestamp"]
    assert line == {
        "level": "INFO",
        "service": "maquette",
        "logger": "functions.invocation",
        "message": "GET /jobs/{job_id}: 401",
        "request_id": context.aws_request_id,
        "api_request_id": "gateway's",
        "route": "GET /jobs/{job_id}",
        "job_id": "a-job",
        "status": 401,
        "code": "unauthorized",
    }


def test_nothing_of_an_invocation_is_left_for_the_next(cloud: Cloud, written: Lines) -> None:
    first, second = Context("api"), Context("on_upload")
    request("GET", "/jobs/{job_id}", first, job_id="a-job")
    with pytest.raises(Exception, match="not the record"):
        app.on_upload({"Records": [{"nonsense": 1}]}, second)
    request("PUT", "/jobs", Context("api"))
    known = ("request_id", "api_request_id", "route", "job_id", "status", "code")
    _, failed, last = written().logs
    assert {name for name in known if name in failed} == {"request_id"}
    assert failed["request_id"] == second.aws_request_id
    assert (last["status"], last["route"], last.get("job_id")) == (405, "PUT /jobs", None)


def test_a_defect_is_told_with_its_trace_and_its_request(
    cloud: Cloud, rest: Rest, ann: str, use_environment: Use, written: Lines
) -> None:
    use_environment(MAQUETTE_JOBS_TABLE="not-there")
    assert rest("GET", "/jobs", token=ann)[0] == 500
    trace, answer = written().logs
    assert (trace["level"], trace["route"]) == ("ERROR", "GET /jobs")
    assert "ResourceNotFoundException" in trace["exception"]
    assert (answer["status"], answer["code"]) == (500, "internal_error")


def test_a_socket_is_named_on_its_lines_and_its_token_is_not(
    cloud: Cloud, socket_server: SocketServer, written: Lines
) -> None:
    token = tokens.issue("ann", "another " + SECRET)[0]
    about = {"connectionId": "c=", "routeKey": "$connect"}
    asked = {"methodArn": "arn:x", "requestContext": about, "queryStringParameters": {"token": token}}
    app.authorize_socket(asked, None)
    ConnectionTable(cloud.settings.connections_table).open("c=", Bearer(owner="ann"))
    about = {"connectionId": "c=", "routeKey": "subscribe", "eventType": "MESSAGE"}
    body = json.dumps({"action": "subscribe", "job_id": "nobody's"})
    app.on_socket({"requestContext": about, "body": body}, None)
    found = written()
    assert token not in found.text
    assert [(line["connection_id"], line["route"], line.get("job_id")) for line in found.logs] == [
        ("c=", "$connect", None),
        ("c=", "subscribe", "nobody's"),
    ]
    assert found.messages == [
        "a connection was refused: its token does not hold",
        "a frame was refused: not_found",
    ]


def test_no_line_of_a_whole_session_opens_anything(
    cloud: Cloud, rest: Rest, done: Job, ann: str, use_environment: Use, written: Lines
) -> None:
    key = "the deployment's own key"
    use_environment(MAQUETTE_ACCESS_KEY=key)
    statuses, answers = [], []

    def ask(method: str, resource: str, **more: Any) -> Any:
        status, body, _ = rest(method, resource, **more)
        statuses.append(status)
        answers.append(json.dumps(body))
        return body

    other = ask("POST", "/sessions", body={"access_key": key})["token"]
    ask("POST", "/sessions", body={"access_key": key + "?"})
    ask("POST", "/sessions", body='{"access_key": "' + key)
    form = ask("POST", "/jobs", token=ann, body={"filename": "robot.png"})["upload"]
    ask("GET", "/jobs", token=ann)
    ask("GET", "/jobs/{job_id}", token=ann, job_id=done.job_id)
    ask("GET", "/jobs/{job_id}/events", query={"token": ann}, job_id=done.job_id)
    ask("GET", "/jobs/{job_id}/artifacts", token=ann, job_id=done.job_id)
    ask("GET", "/jobs/{job_id}/artifacts/{name}", token=ann, job_id=done.job_id, name="mesh.glb")
    shared = ask("POST", "/jobs/{job_id}/shares", token=ann, job_id=done.job_id)["token"]
    ask("GET", "/jobs/{job_id}", token=shared, job_id=done.job_id)
    ask("GET", "/jobs/{job_id}", token=ann + "x", job_id=ann)
    use_environment(MAQUETTE_JOBS_TABLE="not-there")
    ask("GET", "/jobs/{job_id}/events", query={"token": ann}, job_id=done.job_id)
    use_environment(MAQUETTE_ACCESS_KEY="", MAQUETTE_ACCESS_KEY_ARN="arn:aws:secretsmanager:x:1:secret:none")
    ask("POST", "/sessions", body={"access_key": key})

    found = written()
    assert [line["status"] for line in found.logs if "status" in line] == statuses
    assert {200, 201, 302, 400, 401, 500} <= set(statuses)
    assert "X-Amz-Signature=" in "".join(answers), "there were links to be told"
    secrets = [key, ann, other, shared, *form["fields"].values(), SECRET, "X-Amz-Signature", "token="]
    long = [secret for secret in secrets if len(secret) > 12 and not secret.startswith(("image/", "uploads/"))]
    assert [secret for secret in long if secret in found.text] == []
    assert [part for part in (ann, other, shared) if part.rpartition(".")[2] in found.text] == []
