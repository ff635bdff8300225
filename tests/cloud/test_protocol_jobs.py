"""The jobs table: claims, fencing, and what may never change."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.clients import client
from infra.errors import BadInput, EmptySurface, JobCanceled, NotFound, StaleAttempt
from infra.job import Job
from infra.jobs import JobTable
from infra.listing import due, owned
from tests.cloud.conftest import Clock, Cloud

WORKERS_WRITES: dict[str, Callable[[JobTable, Job], Job]] = {
    "heartbeat": lambda table, job: table.heartbeat(job, lease_seconds=60),
    "report": lambda table, job: table.report(job, "mesh", 0.9),
    "succeed": lambda table, job: table.succeed(job, manifest_key="mine", engine="inflate", timings={}),
    "fail": lambda table, job: table.fail(job, EmptySurface("nothing there")),
    "retry": lambda table, job: table.retry(job, EmptySurface("nothing there")),
    "release": lambda table, job: table.release(job),
}


@pytest.fixture
def table(cloud: Cloud, clock: Clock) -> JobTable:
    return JobTable(cloud.settings.jobs_table, clock=clock)


@pytest.fixture
def job(cloud: Cloud, table: JobTable, clock: Clock) -> Job:
    source = cloud.queued("elsewhere").source
    return table.create("job", "ann", source, {"resolution": 64}, arrived=True)


def claim(table: JobTable, worker: str = "worker", job_id: str = "job") -> Job:
    claimed = table.claim(job_id, worker, lease_seconds=60, deadline_seconds=900)
    assert claimed.granted
    return claimed.job


def test_a_job_survives_the_journey_through_the_table(table: JobTable, job: Job) -> None:
    assert table.get("job") == job


def test_creating_a_job_again_leaves_the_one_that_is_there(table: JobTable, job: Job) -> None:
    running = claim(table)
    again = table.create("job", "mallory", job.source, {"resolution": 512}, arrived=True)
    assert again == running == table.get("job")


def test_a_job_that_is_nowhere_is_not_found(table: JobTable) -> None:
    with pytest.raises(NotFound):
        table.get("nobody")
    for impossible in ("", "x" * 3000, "\ud800"):
        with pytest.raises(NotFound):
            table.get(impossible)
    with pytest.raises(NotFound):
        table.claim("nobody", "worker", lease_seconds=60, deadline_seconds=900)


def test_of_many_workers_that_claim_exactly_one_is_granted(table: JobTable, job: Job, clock: Clock) -> None:
    for attempt in (1, 2):
        granted = [
            table.claim("job", f"worker {number}", lease_seconds=60, deadline_seconds=900).granted
            for number in range(8)
        ]
        assert granted == [True] + 7 * [False]
        assert table.get("job").attempt == attempt
        clock.advance(61)


@pytest.mark.parametrize("round_", range(5))
def test_of_many_workers_that_claim_at_the_same_moment_one_gets_the_job(cloud: Cloud, round_: int) -> None:
    cloud.queued("job")

    def claim(number: int) -> bool:
        return cloud.table.claim("job", f"worker-{number}", lease_seconds=60, deadline_seconds=900).granted

    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(claim, range(16)))

    assert granted.count(True) == 1
    assert cloud.table.get("job").attempt == 1


def test_a_claim_is_a_single_conditional_write_so_no_other_can_come_between(
    table: JobTable, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb, calls = client("dynamodb"), []
    send = dynamodb._make_api_call

    def note(operation: str, given: dict[str, Any]) -> Any:
        calls.append((operation, "ConditionExpression" in given))
        return send(operation, given)

    monkeypatch.setattr(dynamodb, "_make_api_call", note)
    claim(table)
    assert calls == [("UpdateItem", True)]


def test_a_live_lease_keeps_others_out_and_says_until_when(table: JobTable, job: Job, clock: Clock) -> None:
    mine = claim(table)
    clock.advance(59)
    refused = table.claim("job", "other", lease_seconds=60, deadline_seconds=900)
    assert not refused.granted
    assert refused.job == mine
    assert refused.job.lease_until == pytest.approx(clock.now + 1)


def test_a_heartbeat_extends_the_lease(table: JobTable, job: Job, clock: Clock) -> None:
    mine = claim(table)
    clock.advance(50)
    table.heartbeat(mine, lease_seconds=60)
    clock.advance(50)
    assert not table.claim("job", "other", lease_seconds=60, deadline_seconds=900).granted


@pytest.mark.parametrize("write", WORKERS_WRITES)
def test_a_worker_that_lost_its_lease_is_refused_and_overwrites_nothing(
    table: JobTable, job: Job, clock: Clock, write: str
) -> None:
    stale = claim(table, "slow")
    clock.advance(61)
    current = claim(table, "fast")
    with pytest.raises(StaleAttempt):
        WORKERS_WRITES[write](table, stale)
    assert table.get("job") == current


@pytest.mark.parametrize("write", WORKERS_WRITES)
def test_a_worker_whose_job_was_canceled_is_told_so(table: JobTable, job: Job, write: str) -> None:
    mine = claim(table)
    canceled = table.cancel("job")
    with pytest.raises(JobCanceled):
        WORKERS_WRITES[write](table, mine)
    assert table.get("job") == canceled


@pytest.mark.parametrize("end", ["succeed", "fail", "cancel"])
def test_an_ended_job_never_changes(table: JobTable, job: Job, clock: Clock, end: str) -> None:
    mine = claim(table)
    ended = table.cancel("job") if end == "cancel" else WORKERS_WRITES[end](table, mine)
    clock.advance(3600)
    for write in WORKERS_WRITES.values():
        with pytest.raises((StaleAttempt, JobCanceled)):
            write(table, mine)
    assert not table.claim("job", "other", lease_seconds=60, deadline_seconds=900).granted
    assert table.cancel("job") == ended
    assert table.give_up(mine, EmptySurface("too late")) == ended
    assert table.requeue(mine) == ended
    assert table.photo_arrived(mine, job.source) == ended
    assert table.create("job", "ann", job.source, {}, arrived=True) == ended
    assert table.get("job") == ended


def test_an_ended_job_keeps_neither_lease_nor_a_place_on_the_sweepers_list(
    table: JobTable, job: Job, clock: Clock
) -> None:
    ended = WORKERS_WRITES["succeed"](table, claim(table))
    assert (ended.lease_until, ended.deadline_at, ended.worker, ended.sweep_at) == (None, None, None, None)
    clock.advance(1e6)
    assert "job" not in [found.job_id for found in due(table)]


def test_progress_never_falls_within_an_attempt(table: JobTable, job: Job) -> None:
    mine = claim(table)
    heights = [table.report(mine, "render", progress).progress for progress in (0.1, 0.4, 0.3, 0.4, 0.05, 0.6)]
    assert heights == [0.1, 0.4, 0.4, 0.4, 0.4, 0.6]


def test_progress_never_falls_when_another_attempt_starts_over(table: JobTable, job: Job, clock: Clock) -> None:
    table.report(claim(table), "render", 0.7)
    clock.advance(61)
    second = claim(table)
    assert (second.progress, second.stage) == (0.7, None)
    begun = table.report(second, "decode", 0.01)
    assert (begun.progress, begun.stage) == (0.7, "decode")


def test_every_write_raises_seq_by_one(table: JobTable, job: Job) -> None:
    mine = claim(table)
    steps = [
        mine,
        table.report(mine, "mesh", 0.5),
        table.report(mine, "decode", 0.1),
        table.heartbeat(mine, lease_seconds=60),
        table.succeed(mine, manifest_key="m", engine="inflate", timings={"mesh": 0.5}),
    ]
    assert [step.seq for step in steps] == [2, 3, 4, 5, 6]


def test_workers_that_die_use_up_the_attempts(table: JobTable, job: Job, clock: Clock) -> None:
    for attempt in (1, 2, 3):
        assert claim(table).attempt == attempt
        clock.advance(61)
    refused = table.claim("job", "fourth", lease_seconds=60, deadline_seconds=900)
    assert not refused.granted
    assert refused.job.status == "failed"
    assert refused.job.error is not None
    assert refused.job.error["code"] == "worker_lost"
    assert table.get("job") == refused.job


def test_a_job_handed_back_in_good_order_loses_no_attempt_but_gets_a_new_number(
    table: JobTable, job: Job, clock: Clock
) -> None:
    for attempt in range(1, 8):
        mine = claim(table)
        assert mine.attempt == attempt
        released = table.release(mine)
        assert (released.status, released.worker, released.lease_until) == ("queued", None, None)
        with pytest.raises(StaleAttempt):
            table.report(mine, "mesh", 0.5)


def test_a_broken_attempt_counts_and_leaves_a_notice(table: JobTable, job: Job) -> None:
    waiting = table.retry(claim(table), EmptySurface("nothing there"))
    assert waiting.status == "queued"
    assert waiting.notice == {"code": "empty_surface", "message": "nothing there"}
    assert waiting.attempt_limit - waiting.attempt == 2


def test_the_sweeper_cannot_end_a_job_that_moved_on_after_it_looked(
    table: JobTable, job: Job, clock: Clock
) -> None:
    seen = claim(table)
    moved = table.heartbeat(seen, lease_seconds=60)
    assert table.give_up(seen, EmptySurface("gone")) == moved
    assert table.requeue(seen) == moved
    assert table.get("job") == moved


def test_a_photo_arrives_once(table: JobTable, job: Job) -> None:
    waiting = table.create("waits", "ann", job.source, {}, arrived=False)
    assert waiting.status == "awaiting_upload"
    assert not table.claim("waits", "worker", lease_seconds=60, deadline_seconds=900).granted
    arrived = table.photo_arrived(waiting, job.source)
    assert arrived.status == "queued"
    assert table.photo_arrived(waiting, job.source) == arrived


def test_an_owners_jobs_come_newest_first_page_by_page_and_nobody_elses(
    table: JobTable, job: Job, clock: Clock
) -> None:
    for number in range(5):
        clock.advance(1)
        table.create(f"bea {number}", "bea", job.source, {}, arrived=True)
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = owned(table, "bea", limit=2, cursor=cursor)
        seen += [found.job_id for found in page.jobs]
        cursor, pages = page.cursor, pages + 1
    assert seen == ["bea 4", "bea 3", "bea 2", "bea 1", "bea 0"]
    assert pages == 3


def test_a_cursor_of_ones_own_making_is_refused(table: JobTable, job: Job) -> None:
    made = [base64.b64encode(text.encode()).decode() for text in ('[1e300,"x"]', '[NaN,"x"]', "[" * 99_999)]
    for cursor in ("", "%%%", "bm90IGpzb24=", "WzEsMiwzXQ==", *made):
        with pytest.raises(BadInput):
            owned(table, "ann", cursor=cursor)


def test_anothers_cursor_opens_nothing_of_the_other(table: JobTable, job: Job, clock: Clock) -> None:
    for owner in ("ann", "bea"):
        for number in range(3):
            clock.advance(1)
            table.create(f"{owner} {number}", owner, job.source, {}, arrived=True)
    stolen = owned(table, "bea", limit=1).cursor
    assert {found.owner for found in owned(table, "ann", cursor=stolen).jobs} == {"ann"}


def test_the_public_record_hides_owner_bucket_and_lease(table: JobTable, job: Job) -> None:
    public = claim(table).as_public()
    assert not {"owner", "worker", "lease_until", "sweep_at", "attempt_limit", "deadline_at"} & set(public)
    assert public["source"] == {"filename": "elsewhere.png", "bytes": 5}
    assert job.source.bucket not in str(public)
    assert public["created_at"] == "2027-01-15T08:00:00.000Z"


def test_numbers_come_back_from_the_table_as_they_went_in(table: JobTable, job: Job) -> None:
    timings = {"mesh": 0.1 + 0.2, "export": 3.0, "texture": 1e-7}
    table.succeed(claim(table), manifest_key="m", engine="inflate", timings=timings)
    assert table.get("job").timings == pytest.approx(timings, abs=1e-6)
    raw = client("dynamodb").get_item(TableName=table.name, Key={"job_id": {"S": "job"}})["Item"]
    assert raw["expires_at"]["N"].isdigit(), "time to live reads whole seconds"
