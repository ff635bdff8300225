"""Table stream → sockets and event bus."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions import app
from infra.clients import client
from infra.connections import ConnectionTable, job_topic
from infra.dynamodb import to_dynamodb
from infra.job import Job
from infra.tokens import Bearer
from tests.cloud.conftest import Cloud, SocketServer


@pytest.fixture
def connections(cloud: Cloud) -> ConnectionTable:
    return ConnectionTable(cloud.settings.connections_table)


@pytest.fixture
def follower(cloud: Cloud, connections: ConnectionTable, job: Job) -> str:
    connections.open("follower=", Bearer(owner=job.owner))
    connections.follow_job("follower=", job)
    return "follower="


@pytest.fixture
def job(cloud: Cloud) -> Job:
    return cloud.queued()


@pytest.fixture
def heard(cloud: Cloud) -> Iterator[Any]:
    """What a queue behind a rule on the bus has received."""
    sqs, events = client("sqs"), client("events")
    url = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = cloud.settings.event_bus
    events.put_rule(Name="all", EventBusName=bus, EventPattern=json.dumps({"source": ["maquette"]}))
    events.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "heard", "Arn": arn}])
    yield lambda: cloud.messages(url)
    events.remove_targets(Rule="all", EventBusName=bus, Ids=["heard"])
    events.delete_rule(Name="all", EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


def change(new: Job | None, old: Job | None = None, number: int = 1) -> dict[str, Any]:
    """A record of the stream."""
    images = {"NewImage": new, "OldImage": old}
    found = {name: to_dynamodb(job.as_item()) for name, job in images.items() if job}
    name = "REMOVE" if new is None else "INSERT" if old is None else "MODIFY"
    return {"eventName": name, "dynamodb": {"SequenceNumber": str(number), **found}}


def spread(*records: dict[str, Any]) -> list[str]:
    """Call the handler; sequence numbers it reports as failed."""
    answer = app.on_job_changed({"Records": list(records)}, None)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_followers_hear_of_every_change_in_order_and_others_of_none(
    cloud: Cloud, job: Job, follower: str, connections: ConnectionTable, socket_server: SocketServer
) -> None:
    connections.open("stranger", Bearer(owner="bea"))
    claimed = cloud.table.claim(job.job_id, "worker", lease_seconds=60, deadline_seconds=900).job
    further = cloud.table.report(claimed, "mesh", 0.5)
    assert spread(change(claimed, job, 1), change(further, claimed, 2)) == []
    frames = socket_server.to(follower)
    assert frames == [{"type": "job", "job": step.as_public()} for step in (claimed, further)]
    assert socket_server.to("stranger") == []


def test_followers_of_the_job_and_of_its_owner_hear_each_change_once(
    job: Job, follower: str, connections: ConnectionTable, socket_server: SocketServer
) -> None:
    for name, owner in (("owner's", job.owner), ("another's", "bea")):
        connections.open(name, Bearer(owner=owner))
        connections.follow_all(name)
    # Whoever followed all and now follows one hears no change twice.
    connections.open("both", Bearer(owner=job.owner))
    connections.follow_all("both")
    connections.follow_job("both", job)
    assert spread(change(job)) == []
    assert sorted(receiver for receiver, _ in socket_server.frames) == ["both", follower, "owner's"]


def test_who_follows_is_asked_for_once_in_a_batch(
    cloud: Cloud, job: Job, follower: str, socket_server: SocketServer
) -> None:
    claimed = cloud.table.claim(job.job_id, "worker", lease_seconds=60, deadline_seconds=900).job
    steps = [claimed, *(cloud.table.report(claimed, "mesh", part / 10) for part in range(1, 9))]
    changes = [change(after, before, after.seq) for before, after in itertools.pairwise(steps)]
    asked: list[str] = []
    events = client("dynamodb").meta.events
    events.register("before-call.dynamodb.Query", lambda params, **_: asked.append(params["body"]), "count")

    assert spread(*changes) == []

    events.unregister("before-call.dynamodb.Query", unique_id="count")
    assert len(socket_server.to(follower)) == len(changes) == 8
    assert len(asked) == 2  # the job's topic and its owner's


def test_a_heartbeat_is_no_news(cloud: Cloud, job: Job, follower: str, socket_server: SocketServer) -> None:
    claimed = cloud.table.claim(job.job_id, "worker", lease_seconds=60, deadline_seconds=900).job
    beaten = cloud.table.heartbeat(claimed, lease_seconds=60)
    assert beaten.seq == claimed.seq + 1
    assert spread(change(beaten, claimed)) == []
    assert socket_server.frames == []


def test_a_gone_connection_is_forgotten(
    job: Job, follower: str, connections: ConnectionTable, socket_server: SocketServer
) -> None:
    socket_server.gone.add(follower)
    assert spread(change(job)) == []
    assert connections.followers(job_topic(job.job_id)) == []


def test_one_bad_socket_blocks_no_other(
    job: Job, connections: ConnectionTable, socket_server: SocketServer
) -> None:
    names = [f"connection {number}" for number in range(8)]
    for name in names:
        connections.open(name, Bearer(owner=job.owner))
        connections.follow_job(name, job)
    socket_server.broken.add("connection 0")
    socket_server.gone.add("connection 3")
    assert spread(change(job)) == []
    reached = {receiver for receiver, _ in socket_server.frames}
    assert reached == set(names) - {"connection 0", "connection 3"}
    assert set(connections.followers(job_topic(job.job_id))) == set(names) - {"connection 3"}


@pytest.mark.parametrize("end", ["succeeded", "failed", "canceled"])
def test_the_bus_hears_of_every_end_once(cloud: Cloud, job: Job, heard: Any, end: str) -> None:
    claimed = cloud.table.claim(job.job_id, "worker", lease_seconds=60, deadline_seconds=900).job
    ended = dataclasses.replace(claimed, status=end, seq=9)
    spread(change(claimed, job), change(ended, claimed), change(dataclasses.replace(ended, seq=10), ended))
    (event,) = heard()
    assert (event["source"], event["detail-type"]) == ("maquette", f"Job {end}")
    assert event["detail"] == ended.as_public() | {"owner": "operator"}


def test_a_job_that_is_born_failed_is_announced_too(job: Job, heard: Any) -> None:
    spread(change(dataclasses.replace(job, status="failed")))
    assert [event["detail-type"] for event in heard()] == ["Job failed"]


def test_a_job_that_its_time_to_live_removed_is_no_news(
    job: Job, follower: str, socket_server: SocketServer
) -> None:
    assert spread(change(None, job)) == []
    assert socket_server.frames == []


def test_from_the_first_record_that_fails_on_the_batch_is_asked_for_again(
    job: Job, follower: str, socket_server: SocketServer
) -> None:
    broken = change(job, number=8)
    broken["dynamodb"]["NewImage"].pop("status")
    assert spread(change(job, number=7), broken, change(job, number=9)) == ["8"]
    assert len(socket_server.frames) == 1, "what comes after the failed record waits for its turn"


def test_the_bus_being_away_fails_the_record(job: Job, use_environment: Any) -> None:
    use_environment(MAQUETTE_EVENT_BUS="arn:aws:events:us-east-1:123456789012:event-bus/not-there")
    assert spread(change(dataclasses.replace(job, status="succeeded"), job, 5)) == ["5"]
