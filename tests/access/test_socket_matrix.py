"""Who may connect, and who hears of what: everybody who may ask, for every subscription that there is."""

from __future__ import annotations

from typing import Any

import pytest

from functions.fanout import push
from infra.connections import ConnectionTable, job_topic, owner_topic, share_topic
from infra.job import Job
from infra.settings import settings
from tests.access.askers import EVERYBODY, GUESTS, OWNERS, STRANGERS, UNKNOWN, Askers, askers
from tests.cloud.conftest import Cloud, SocketServer
from tests.cloud.test_protocol_sockets import socket

KNOWN = [*OWNERS, *GUESTS]


@pytest.fixture
def everybody(cloud: Cloud, done: Job) -> Askers:
    """Each who is known has a connection, called as they are."""
    found = askers(cloud, done)
    for who in KNOWN:
        assert socket("CONNECT", who, token=found.tokens[who]) == 200
    return found


def heard(server: SocketServer, who: str) -> list[Any]:
    """What they were told: jobs by their ids, errors by their codes, other frames by their types."""
    return [
        frame["job"]["job_id"] if "job" in frame else frame.get("error", {}).get("code", frame["type"])
        for frame in server.to(who)
    ]


def tell_of(cloud: Cloud, *jobs: Job) -> None:
    for job in jobs:
        push(cloud.table.get(job.job_id), settings())


def test_whoever_is_known_may_connect(everybody: Askers) -> None:
    found = {who: socket("CONNECT", "again", token=token) for who, token in everybody.tokens.items()}
    assert found == {who: 403 if who in UNKNOWN else 200 for who in EVERYBODY}


def test_who_subscribes_to_a_job_hears_of_it_if_it_is_theirs_or_shared_with_them(
    cloud: Cloud, socket_server: SocketServer, everybody: Askers
) -> None:
    job_id = everybody.job.job_id
    for who in KNOWN:
        socket("MESSAGE", who, body={"action": "subscribe", "job_id": job_id})
    tell_of(cloud, everybody.job, everybody.another)
    for who in KNOWN:
        assert heard(socket_server, who) == (["not_found"] if who in STRANGERS else [job_id] * 2), who


def test_who_subscribes_to_all_hears_of_their_own_alone(
    cloud: Cloud, socket_server: SocketServer, everybody: Askers
) -> None:
    for who in KNOWN:
        socket("MESSAGE", who, body={"action": "subscribe"})
    tell_of(cloud, everybody.job, everybody.another)
    for who in KNOWN:
        own = [everybody.job.job_id, everybody.another.job_id] if who == "owner" else []
        assert heard(socket_server, who) == (["not_found"] if who in GUESTS else ["subscribed", *own]), who


def test_no_job_id_is_another_way_to_somebody_elses_topic(
    cloud: Cloud, socket_server: SocketServer, everybody: Askers
) -> None:
    job = everybody.job
    topics = [
        *(share_topic(job.job_id, epoch) for epoch in range(4)),
        job_topic(job.job_id),
        owner_topic(job.owner),
    ]
    full_width = "".join(chr(ord(letter) + 0xFEE0) for letter in job.job_id)
    names = [
        job.job_id.upper(), f"{job.job_id} ", f" {job.job_id}", f"{job.job_id}\0", f"{job.job_id}#", full_width,
        f"#{job.job_id}", job.owner, "*", "%", f"../{job.job_id}", "x" * 10_000, *topics,
    ]  # fmt: skip
    for who in STRANGERS:
        for name in names:
            socket("MESSAGE", who, body={"action": "subscribe", "job_id": name})
        assert heard(socket_server, who) == ["not_found"] * len(names), who
    tell_of(cloud, job)
    assert ConnectionTable(cloud.settings.connections_table).followers(*topics) == []


def test_what_names_no_job_makes_a_guest_follow_nothing(
    cloud: Cloud, socket_server: SocketServer, everybody: Askers
) -> None:
    given: list[Any] = [True, False, 0, 7, 1.5, [], ["a"], {"a": 1}, {"S": "x"}, ""]
    for job_id in given:
        socket("MESSAGE", "guest", body={"action": "subscribe", "job_id": job_id})
    tell_of(cloud, everybody.job)
    assert heard(socket_server, "guest") == ["bad_input"] * len(given)


def test_nobody_subscribes_by_way_of_somebody_elses_connection(
    cloud: Cloud, socket_server: SocketServer, everybody: Askers
) -> None:
    more: list[dict[str, Any]] = [
        {"owner": everybody.job.owner},
        {"token": everybody.tokens["owner"]},
        {"connection_id": "owner"},
        {"requestContext": {"connectionId": "owner", "authorizer": {"owner": everybody.job.owner}}},
    ]
    for given in more:
        body = {"action": "subscribe", "job_id": everybody.job.job_id, **given}
        socket("MESSAGE", "another owner", body=body)
        socket("MESSAGE", "never connected", body=body)
    tell_of(cloud, everybody.job)
    for who in ("another owner", "never connected"):
        assert heard(socket_server, who) == ["not_found"] * len(more)
    assert heard(socket_server, "owner") == []
