"""The sweeper: what is mended, what is given up, and what is left alone."""

from __future__ import annotations

import pytest

import functions.sweep
from functions import app
from functions.sweep import OVERDUE_SECONDS, mend
from infra.clients import client
from infra.job import Job
from infra.jobs import RESEND_SECONDS, UPLOAD_SECONDS, JobTable
from infra.listing import due
from infra.queue import JobQueue
from tests.cloud.conftest import Clock, Cloud

LEASE, DEADLINE = 60.0, 900.0


@pytest.fixture
def table(cloud: Cloud, clock: Clock) -> JobTable:
    return JobTable(cloud.settings.jobs_table, clock=clock)


def sweep(cloud: Cloud, table: JobTable) -> list[str]:
    """As :func:`functions.sweep.sweep`, by the test's clock; ids of the jobs it looked at."""
    return [mend(job, table, cloud.queue).job_id for job in due(table)]


def make(cloud: Cloud, table: JobTable, *, arrived: bool = True) -> Job:
    source = cloud.queued("template").source
    client("dynamodb").delete_item(TableName=table.name, Key={"job_id": {"S": "template"}})
    return table.create("job", "ann", source, {}, arrived=arrived)


def claim(table: JobTable) -> Job:
    claimed = table.claim("job", "worker", lease_seconds=LEASE, deadline_seconds=DEADLINE)
    assert claimed.granted
    return claimed.job


def test_living_jobs_in_good_order_are_not_even_looked_at(cloud: Cloud, table: JobTable, clock: Clock) -> None:
    make(cloud, table)
    clock.advance(RESEND_SECONDS - 1)
    assert sweep(cloud, table) == []
    mine = claim(table)
    clock.advance(LEASE - 1)
    table.heartbeat(mine, lease_seconds=LEASE)
    clock.advance(LEASE + 1)
    assert sweep(cloud, table) == [], "the queue itself has the first chance to bring the job back"


def test_an_expired_lease_puts_the_job_back_into_the_queue(cloud: Cloud, table: JobTable, clock: Clock) -> None:
    make(cloud, table)
    claim(table)
    clock.advance(2 * LEASE + 1)
    assert sweep(cloud, table) == ["job"]
    job = table.get("job")
    assert (job.status, job.attempt, job.lease_until) == ("queued", 1, None)
    assert cloud.messages() == [{"job_id": "job"}]
    assert sweep(cloud, table) == []
    assert claim(table).attempt == 2


def test_a_job_whose_workers_keep_dying_is_given_up(cloud: Cloud, table: JobTable, clock: Clock) -> None:
    make(cloud, table)
    for _ in range(3):
        claim(table)
        clock.advance(2 * LEASE + 1)
        sweep(cloud, table)
    job = table.get("job")
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", "worker_lost")
    assert len(cloud.messages()) == 2, "no message calls a fourth worker"


def test_a_lost_message_is_sent_again_and_again_after_a_while(
    cloud: Cloud, table: JobTable, clock: Clock
) -> None:
    make(cloud, table)
    for _ in range(2):
        clock.advance(RESEND_SECONDS + 1)
        assert sweep(cloud, table) == ["job"]
        assert sweep(cloud, table) == []
        assert cloud.messages() == [{"job_id": "job"}]
    assert table.get("job").status == "queued"


def test_a_message_that_cannot_be_sent_leaves_the_job_for_the_next_sweep(
    cloud: Cloud, table: JobTable, clock: Clock
) -> None:
    make(cloud, table)
    clock.advance(RESEND_SECONDS + 1)
    (found,) = due(table)
    broken = type(cloud.queue)(cloud.settings.job_queue_url + "-not-there")
    with pytest.raises(client("sqs").exceptions.QueueDoesNotExist):
        mend(found, table, broken)
    assert sweep(cloud, table) == ["job"]
    assert cloud.messages() == [{"job_id": "job"}]


def test_a_photo_that_never_arrives_ends_its_job(cloud: Cloud, table: JobTable, clock: Clock) -> None:
    make(cloud, table, arrived=False)
    clock.advance(UPLOAD_SECONDS - 1)
    assert sweep(cloud, table) == []
    clock.advance(2)
    assert sweep(cloud, table) == ["job"]
    job = table.get("job")
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", "deadline_exceeded")
    assert cloud.messages() == []


def test_a_run_past_its_deadline_is_given_up_even_while_its_worker_still_beats(
    cloud: Cloud, table: JobTable, clock: Clock
) -> None:
    make(cloud, table)
    mine = claim(table)
    for _ in range(40):
        clock.advance(LEASE / 2)
        if sweep(cloud, table):
            break
        table.heartbeat(mine, lease_seconds=LEASE)
    job = table.get("job")
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", "deadline_exceeded")
    assert clock.now - mine.updated_at == pytest.approx(DEADLINE + LEASE, abs=LEASE)


def test_a_job_that_finds_no_end_within_a_day_is_given_up(cloud: Cloud, table: JobTable, clock: Clock) -> None:
    make(cloud, table)
    clock.advance(OVERDUE_SECONDS + 1)
    sweep(cloud, table)
    job = table.get("job")
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", "deadline_exceeded")


def test_a_job_that_moves_on_while_the_sweeper_looks_is_left_alone(
    cloud: Cloud, table: JobTable, clock: Clock
) -> None:
    make(cloud, table)
    mine = claim(table)
    clock.advance(2 * LEASE + 1)
    (seen,) = due(table)
    moved = table.heartbeat(mine, lease_seconds=LEASE)
    assert mend(seen, table, cloud.queue) == moved
    assert table.get("job") == moved


def test_the_schedule_sweeps_with_the_real_clock(cloud: Cloud) -> None:
    source = cloud.queued("fresh").source
    old = JobTable(cloud.settings.jobs_table, clock=lambda: 1_000_000_000.0)
    old.create("forgotten", "ann", source, {}, arrived=False)
    app.on_schedule({"source": "aws.events"}, None)
    assert {job.job_id: job.status for job in cloud.jobs()} == {"fresh": "queued", "forgotten": "failed"}


def test_a_job_that_is_deleted_while_the_sweeper_looks_is_no_trouble(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = JobTable(cloud.settings.jobs_table, clock=lambda: 1_000_000_000.0)
    seen = old.create("gone", "ann", cloud.queued("fresh").source, {}, arrived=False)
    old.delete(old.cancel("gone"))
    monkeypatch.setattr(functions.sweep, "due", lambda table: iter([seen]))
    app.on_schedule({"source": "aws.events"}, None)
    assert [job.job_id for job in cloud.jobs()] == ["fresh"]


def test_a_sweep_counts_the_messages_so_that_the_queue_is_never_unused(
    cloud: Cloud, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    depth = JobQueue.depth
    monkeypatch.setattr(JobQueue, "depth", lambda queue: asked.append(depth(queue)) or asked[-1])
    cloud.queue.send("one")
    cloud.queue.send("two")
    cloud.queue.receive(wait_seconds=0, hidden_seconds=60)
    assert functions.sweep.sweep(cloud.settings) == 0
    assert asked == [2], "one waits, one is being worked on"
