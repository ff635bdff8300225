"""Who is answered what on every route: a table, which a new route must enter before it can pass.

What is somebody else's is answered to the letter like what has never been, and makes nobody look up more.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import pytest
import yaml

from infra.clients import client
from infra.errors import CorruptImage
from infra.job import Job, Status
from tests.access.askers import EVERYBODY, GUESTS, OWNERS, STRANGERS, UNKNOWN, Askers, askers
from tests.cloud.conftest import Cloud, Rest
from tests.unit.test_openapi import DESCRIPTION

Route = tuple[str, str]


def row(owner: int, guest: int, strangers: int = 404) -> dict[str, int]:
    """Of a route to one job: its owner, a guest who was let in, everybody else."""
    return dict.fromkeys(STRANGERS, strangers) | dict.fromkeys(UNKNOWN, 401) | {"owner": owner, "guest": guest}


def owners_alone(owner: int) -> dict[str, int]:
    """Of a route to one job on which a guest, whoever they are a guest of, has no business."""
    return row(owner, 401) | dict.fromkeys(GUESTS, 401)


def of_no_job(status: int) -> dict[str, int]:
    """Of a route that every session has for itself."""
    return dict.fromkeys(OWNERS, status) | dict.fromkeys([*GUESTS, *UNKNOWN], 401)


TABLE: dict[Route, dict[str, int]] = {
    ("POST", "/sessions"): dict.fromkeys(EVERYBODY, 201),
    ("POST", "/jobs"): of_no_job(201),
    ("GET", "/jobs"): of_no_job(200),
    ("GET", "/jobs/{job_id}"): row(200, 200),
    ("DELETE", "/jobs/{job_id}"): owners_alone(204),
    ("GET", "/jobs/{job_id}/events"): row(200, 200),
    ("GET", "/jobs/{job_id}/artifacts"): row(200, 200),
    ("GET", "/jobs/{job_id}/artifacts/{name}"): row(302, 302),
    ("POST", "/jobs/{job_id}/shares"): owners_alone(201),
    ("DELETE", "/jobs/{job_id}/shares"): owners_alone(204),
}
OF_A_JOB = [route for route in TABLE if "{job_id}" in route[1]]
#: ends the job, so its turn comes last
REMOVAL = ("DELETE", "/jobs/{job_id}")


def body_of(route: Route) -> dict[str, Any] | None:
    return {"filename": "robot.png"} if route == ("POST", "/jobs") else None


def ask(rest: Rest, route: Route, token: str | None, job_id: str) -> tuple[int, Any, dict[str, str]]:
    return rest(*route, token=token, body=body_of(route), job_id=job_id, name="mesh.glb")


@contextmanager
def calls() -> Iterator[list[str]]:
    """What is asked of AWS meanwhile, in order."""
    asked: list[str] = []
    services = [client(name) for name in ("dynamodb", "s3", "sqs", "secretsmanager")]

    def note(model: Any, **_: Any) -> None:
        asked.append(model.name)

    for service in services:
        service.meta.events.register("before-call", note)
    yield asked
    for service in services:
        service.meta.events.unregister("before-call", note)


@pytest.fixture
def everybody(cloud: Cloud, done: Job) -> Askers:
    return askers(cloud, done)


def test_every_route_that_there_is_has_its_row_and_every_row_everybody() -> None:
    described = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))["paths"]
    routes = {
        (method.upper(), path) for path, item in described.items() for method in item if method != "parameters"
    }
    assert set(TABLE) == routes
    assert all(set(found) == set(EVERYBODY) for found in TABLE.values())
    assert {*STRANGERS, *UNKNOWN, "owner", "guest"} == set(EVERYBODY)


def test_everybody_is_answered_what_the_table_says_and_who_is_refused_changes_nothing(
    cloud: Cloud, rest: Rest, everybody: Askers
) -> None:
    found: dict[Route, dict[str, int]] = {}
    for route in [*(route for route in TABLE if route != REMOVAL), REMOVAL]:
        everybody = askers(cloud, everybody.job)  # some questions begin another epoch of sharing
        refused = [who for who in EVERYBODY if TABLE[route][who] >= 400]
        before = kept(cloud)
        answers = {who: ask(rest, route, everybody.tokens[who], everybody.job.job_id)[0] for who in refused}
        assert kept(cloud) == before, route
        for who in [who for who in EVERYBODY if who not in refused]:
            answers[who] = ask(rest, route, everybody.tokens[who], everybody.job.job_id)[0]
        found[route] = answers
    assert found == TABLE


def kept(cloud: Cloud) -> tuple[list[Job], list[str]]:
    return sorted(cloud.jobs(), key=lambda job: job.job_id), cloud.artifacts("")


def test_what_is_not_ones_own_is_answered_to_the_letter_like_what_has_never_been(
    rest: Rest, everybody: Askers
) -> None:
    nobodys = str(uuid.uuid4())
    for route in OF_A_JOB:
        for who in [*STRANGERS, *UNKNOWN]:
            with calls() as for_theirs:
                theirs = ask(rest, route, everybody.tokens[who], everybody.job.job_id)
            with calls() as for_nothing:
                nothing = ask(rest, route, everybody.tokens[who], nobodys)
            assert theirs[0] in (401, 404)
            assert json.dumps(theirs).replace(everybody.job.job_id, nobodys) == json.dumps(nothing), (
                route,
                who,
            )
            assert for_theirs == for_nothing, (route, who)


def test_a_job_is_nobody_elses_business_in_any_state(cloud: Cloud, rest: Rest, done: Job) -> None:
    jobs = in_every_state(cloud, done)
    assert sorted(job.status for job in jobs) == sorted(get_args(Status))
    for job in jobs:
        everybody = askers(cloud, job)
        for route in OF_A_JOB:
            for who in STRANGERS:
                answer = ask(rest, route, everybody.tokens[who], job.job_id)
                assert answer[0] == TABLE[route][who]
                assert done.owner not in json.dumps(answer)


def in_every_state(cloud: Cloud, done: Job) -> list[Job]:
    table = cloud.table
    waiting = table.create("announced", done.owner, done.source, {}, arrived=False)
    queued, canceled, running, failed = (
        cloud.queued(name, owner=done.owner) for name in ("queued", "canceled", "running", "failed")
    )
    canceled = table.cancel(canceled.job_id)
    running, failed = (
        table.claim(job.job_id, "worker", lease_seconds=60, deadline_seconds=900).job
        for job in (running, failed)
    )
    return [waiting, queued, canceled, running, table.fail(failed, CorruptImage("It is damaged.")), done]


def test_a_list_holds_ones_own_and_nothing_else(rest: Rest, everybody: Askers) -> None:
    for who in OWNERS:
        _, body, _ = ask(rest, ("GET", "/jobs"), everybody.tokens[who], "")
        own = {everybody.job.job_id, everybody.another.job_id} if who == "owner" else set()
        assert {job["job_id"] for job in body["jobs"]} == own


def test_a_session_begun_with_anything_but_a_session_is_a_new_owners(rest: Rest, everybody: Askers) -> None:
    for who in [*GUESTS, *UNKNOWN]:
        _, body, _ = ask(rest, ("POST", "/sessions"), everybody.tokens[who], "")
        assert ask(rest, ("GET", "/jobs"), body["token"], "")[1]["jobs"] == []
        assert ask(rest, ("GET", "/jobs/{job_id}"), body["token"], everybody.job.job_id)[0] == 404


def test_no_answer_to_anybody_tells_whose_a_job_is(rest: Rest, everybody: Askers) -> None:
    for route in [*(route for route in TABLE if route != REMOVAL), REMOVAL]:
        for who in EVERYBODY:
            status, body, headers = ask(rest, route, everybody.tokens[who], everybody.job.job_id)
            assert everybody.job.owner not in json.dumps([status, body, headers]), (route, who)
