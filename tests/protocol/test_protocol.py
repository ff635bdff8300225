"""Claim, lease, heartbeat, publish, retry, release, sweep, cancel, delete: in any order, with deaths between.

The table's writes, the worker's handling of messages and verdicts and the sweeper's mending are the real ones;
time is a number, and the queue doubles, loses and mixes up. For more examples:

    MAQUETTE_EXAMPLES=500 .venv/bin/python -m pytest tests/protocol
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from functions.sweep import mend
from gpu_container.worker import Worker
from infra.attempt import Published
from infra.clients import client
from infra.dynamodb import from_dynamodb
from infra.errors import CorruptImage, EncodingFailed, JobCanceled, NotFound, StaleAttempt
from infra.job import Job, Source
from infra.jobs import JobTable
from infra.listing import due
from infra.local.endpoint import DUMMY_KEY
from infra.local.resources import create
from infra.queue import Message
from infra.storage import artifact_prefix
from tests.cloud.conftest import Clock
from tests.protocol.players import Died, Fuse, Mortal, Queue

LEASE, DEADLINE = 60.0, 900.0
#: most that a living job may wait until the sweeper looks at it: an upload link's hour
LONGEST_WAIT = 3600.0
ANY = st.integers(0, 20)
TIMES = (1.0, LEASE / 2, LEASE + 2, LEASE + 2, DEADLINE + 1, 1900.0)
#: what happens, as often as it stands here
HAPPENINGS = (
    2 * ["announce", "tell", "renew", "time", "sweep", "double", "succeed"]
    + 4 * ["receive", "oversleep"]
    + ["break", "refuse", "release", "die", "lose", "again", "late sweep", "wear out", "cancel", "delete"]
)
#: calls and halves of calls after which a process dies; mostly it does not
FUSE = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 6))


class Endpoint:
    """AWS in this process."""

    url, region = "", "us-east-1"

    def client(self, service: str) -> object:
        return client(service)


@pytest.fixture(scope="module", autouse=True)
def aws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, DUMMY_KEY)
        patch.setenv("AWS_DEFAULT_REGION", Endpoint.region)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        client.cache_clear()
        create(Endpoint())  # type: ignore[arg-type]
        yield
        client.cache_clear()


@dataclass
class Held:
    """A job in a worker's hands."""

    job: Job
    message: Message


class Protocol(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.table = JobTable("maquette-jobs", clock=self.clock)
        self.queue = Queue(self.clock)
        self.fuses = [Fuse(), Fuse()]
        self.workers = [self._worker(fuse) for fuse in self.fuses]
        self.held: list[Held | None] = [None, None]
        self.announced = 0
        #: every job that was ever made, as it was last seen; None when it was deleted
        self.seen: dict[str, Job | None] = {}
        #: successes that a worker was told of, and what lies under each attempt's prefix
        self.won: Counter[str] = Counter()
        self.published: dict[str, str] = {}

    def teardown(self) -> None:
        """When all is calm again every job comes to its end."""
        for fuse in self.fuses:
            fuse.left = None
        self.held = [None, None]
        for _ in range(12):
            if all(job is None or job.terminal for job in self.seen.values()):
                break
            self.clock.advance(LONGEST_WAIT + 1)
            for job in list(due(self.table)):
                mend(job, self.table, self.queue)  # type: ignore[arg-type]
            while self._visible() and self._receive(0, 0):
                self._conclude(0, "succeed")
            self.nothing_goes_backwards()
        unended = [job for job in self.seen.values() if job is not None and not job.terminal]
        assert not unended
        self._emulated().items.clear()

    # --- photos ---

    def a_photo_is_announced(self, arrived: bool, fuse: int | None) -> None:
        self.announced += 1
        job_id = f"job-{self.announced}"
        self.seen[job_id] = None
        self._take_in(job_id, arrived, fuse)

    def a_photo_is_told_of_again(self, which: int, fuse: int | None) -> None:
        """By S3, which repeats its events until the function succeeds, and now and then afterwards."""
        job = self._any(which)
        if job is not None:
            self._take_in(job.job_id, True, fuse)

    def _take_in(self, job_id: str, arrived: bool, fuse: int | None) -> None:
        alive = Fuse()
        alive.left = fuse
        table, queue = Mortal(self.table, alive), Mortal(self.queue, alive)
        try:
            job = table.create(job_id, "owner", Source("photos", f"inbox/{job_id}"), {}, arrived=arrived)
            if arrived and job.status == "awaiting_upload":
                job = table.photo_arrived(job, job.source)
            if job.status == "queued":
                queue.send(job_id)
        except Died:
            pass

    # --- workers ---

    def a_message_is_received(self, which: int, fuse: int | None) -> None:
        who = self.held.index(None)
        self.fuses[who].left = fuse
        self._receive(who, which)

    def a_worker_sleeps_and_another_is_sent_to_its_job(self, who: int, seconds: float, which: int) -> None:
        """By a second message; it gets the job when the lease is over, and not before. Then the first wakes."""
        held = self.held[who]
        assert held is not None
        self.clock.advance(seconds)
        self.queue.send(held.job.job_id)
        self._receive(1 - who, which)
        match which % 4:
            case 0:
                self.a_worker_tells_how_far_it_is(who, which / 20)
            case 1:
                self.a_worker_renews_its_lease(who)
            case 2:
                self._conclude(who, ("succeed", "break", "refuse", "release")[which // 4 % 4])

    def a_photo_kills_its_workers(self, which: int) -> None:
        """One after the other, until nobody is given it any more."""
        job = self._any(which)
        if job is None or job.terminal:
            return
        for _ in range(job.attempt_limit + 1):
            self.queue.send(job.job_id)
            self._receive(0, len(self.queue.letters) - 1)
            self.held[0] = None
            self.clock.advance(LEASE + 2)
        self.nothing_goes_backwards()

    def a_worker_tells_how_far_it_is(self, who: int, progress: float) -> None:
        self._mine(who, lambda job: self.table.report(job, "mesh", progress))

    def a_worker_renews_its_lease(self, who: int) -> None:
        held = self.held[who]
        if self._mine(who, lambda job: self.table.heartbeat(job, lease_seconds=LEASE)) and held is not None:
            self.queue.hide(held.message, LEASE + 1)

    def an_attempt_ends(self, who: int, verdict: str, fuse: int | None) -> None:
        self.fuses[who].left = fuse
        self._conclude(who, verdict)

    def _receive(self, who: int, which: int) -> bool:
        """What :meth:`Worker.serve_one` does until the run begins; whether there was a message."""
        worker = self.workers[who]
        try:
            message = worker._queue.receive(which, worker._hidden_seconds)  # type: ignore[call-arg]
            if message is None:
                return False
            before = self._look(message.job_id)
            job = worker._claim(message)
        except Died:
            return True
        if job is not None:
            assert before is not None
            free = before.status == "queued" or (before.lease_until or 0) < self.clock()
            assert free, "a job was granted that somebody held"
            assert job.attempt == before.attempt + 1
            self.held[who] = Held(job, message)
        return True

    def _conclude(self, who: int, verdict: str) -> None:
        held, worker = self.held[who], self.workers[who]
        if held is None:
            return
        self.held[who] = None
        try:
            self._end(worker, held, verdict)
        except (Died, StaleAttempt, JobCanceled):
            return

    def _end(self, worker: Worker, held: Held, verdict: str) -> None:
        job, message = held.job, held.message
        match verdict:
            case "succeed":
                key = f"{artifact_prefix(job.job_id, job.attempt)}manifest.json"
                assert key not in self.published, "two attempts write to one place"
                self.published[key] = worker.name
                mine = self._is_mine(job)
                try:
                    worker._succeed(job, message, Published(key, "inflate", {}))
                finally:
                    now = self._look(job.job_id)
                    if now is not None and now.status == "succeeded" and now.manifest_key == key:
                        assert mine, "a worker that had lost its job made it succeed"
                        self.won[job.job_id] += 1
            case "break":
                worker._break_off(job, message, EncodingFailed("Try again."))
            case "refuse":
                worker._break_off(job, message, CorruptImage("Never try again."))
            case "release":
                worker._release(job, message)

    def _mine(self, who: int, write: Callable[[Job], Job]) -> bool:
        """A write of a worker for its job: it goes through exactly when the job is still its own."""
        held = self.held[who]
        if held is None:
            return False
        mine = self._is_mine(held.job)
        try:
            write(held.job)
        except (StaleAttempt, JobCanceled):
            self.held[who] = None
            assert not mine, "a worker was refused what was its own"
            return False
        assert mine, "a worker wrote to what it had lost"
        return True

    def _is_mine(self, job: Job) -> bool:
        now = self._look(job.job_id)
        return now is not None and now.status == "running" and now.attempt == job.attempt

    # --- everyone else ---

    @rule(what=st.sampled_from(HAPPENINGS), which=ANY, fuse=FUSE)
    def something_happens(self, what: str, which: int, fuse: int | None) -> None:
        """One rule, so that what is worth most is drawn most; what cannot be now is passed over."""
        busy = [who for who, held in enumerate(self.held) if held is not None]
        who = busy[which % len(busy)] if busy else 0
        match what:
            case "announce" if self._living() < 2 and len(self.seen) < 6:
                self.a_photo_is_announced(which % 3 > 0, fuse)
            case "receive" if self._visible() and len(busy) < 2:
                self.a_message_is_received(which, fuse)
            case "tell" if busy:
                self.a_worker_tells_how_far_it_is(who, which / 20)
            case "renew" if busy:
                self.a_worker_renews_its_lease(who)
            case "oversleep" if len(busy) == 1:
                self.a_worker_sleeps_and_another_is_sent_to_its_job(who, TIMES[which % 4], which)
            case "wear out" if not busy and self._living():
                self.a_photo_kills_its_workers(which)
            case "succeed" | "break" | "refuse" | "release" if busy:
                self.an_attempt_ends(who, what, fuse)
            case "die" if busy:
                self.held[who] = None
            case "time":
                self.clock.advance(TIMES[which % len(TIMES)])
            case "sweep":
                self.the_sweeper_comes(fuse)
            case "double" if self.queue.letters:
                self.a_message_is_doubled(which)
            case "lose" if self.queue.letters:
                self.a_message_is_lost(which)
            case "again" if self.seen:
                self.a_photo_is_told_of_again(which, fuse)
            case "late sweep" if self.seen:
                self.the_sweeper_is_late(which, older=fuse is None)
            case "cancel" if self.seen:
                self.a_job_is_canceled(which)
            case "delete" if self.seen:
                self.a_job_is_deleted(which)

    def the_sweeper_comes(self, fuse: int | None) -> None:
        alive = Fuse()
        alive.left = fuse
        try:
            for job in list(due(self.table)):
                mend(job, Mortal(self.table, alive), Mortal(self.queue, alive))  # type: ignore[arg-type]
        except (Died, NotFound):
            pass

    def the_sweeper_is_late(self, which: int, older: bool) -> None:
        """It mends what it read before something else has happened."""
        job = self._any(which)
        if job is not None:
            stale = replace(job, seq=job.seq - older, sweep_at=self.clock())
            before = self._look(job.job_id)
            mend(stale, self.table, self.queue)  # type: ignore[arg-type]
            if older:
                assert self._look(job.job_id) == before, "the sweeper wrote over what it had not seen"

    def a_job_is_canceled(self, which: int) -> None:
        job = self._any(which)
        if job is not None:
            self.table.cancel(job.job_id)

    def a_job_is_deleted(self, which: int) -> None:
        job = self._any(which)
        if job is not None:
            try:
                self.table.delete(job)
            except StaleAttempt:
                assert not job.terminal
            else:
                assert job.terminal, "a living job was deleted"
                del self.seen[job.job_id]
                self.won.pop(job.job_id, None)
                self.published = {k: who for k, who in self.published.items() if job.job_id not in k}
                self.held = [None if held and held.job.job_id == job.job_id else held for held in self.held]

    def a_message_is_doubled(self, which: int) -> None:
        letter = self.queue.letters[which % len(self.queue.letters)]
        self.queue.letters.append(replace(letter, receives=0, hidden_until=0.0, receipt=""))

    def a_message_is_lost(self, which: int) -> None:
        del self.queue.letters[which % len(self.queue.letters)]

    # --- what always holds ---

    @invariant()
    def nothing_goes_backwards(self) -> None:
        for job_id, before in self.seen.items():
            now = self._look(job_id)
            self.seen[job_id] = now
            if before is None or now is None:
                assert before is None, "a job has vanished"
                continue
            if before.terminal:
                assert now == before, "an ended job has changed"
            assert now.seq >= before.seq
            assert (now.seq == before.seq) == (now == before), "a write that seq does not tell"
            assert before.attempt <= now.attempt <= now.attempt_limit
            assert now.progress >= before.progress

    @invariant()
    def one_attempt_wins(self) -> None:
        for job_id, job in self.seen.items():
            assert self.won[job_id] <= 1
            if job is not None and job.status == "succeeded":
                assert job.manifest_key == f"{artifact_prefix(job_id, job.attempt)}manifest.json"
                assert job.manifest_key in self.published
                assert self.won[job_id] == 1

    @invariant()
    def no_job_is_forgotten(self) -> None:
        """A living job has a day on which the sweeper looks at it, and that day is near."""
        for job in self.seen.values():
            if job is not None and not job.terminal:
                assert job.sweep_at is not None
                assert job.sweep_at <= self.clock() + LONGEST_WAIT

    # --- how ---

    def _worker(self, fuse: Fuse) -> Worker:
        table, queue = Mortal(self.table, fuse), Mortal(self.queue, fuse)
        return Worker(
            None, table, queue, "models", lease_seconds=LEASE, deadline_seconds=DEADLINE,  # type: ignore[arg-type]
        )  # fmt: skip

    def _living(self) -> int:
        return sum(job is None or not job.terminal for job in self.seen.values())

    def _visible(self) -> bool:
        return any(letter.hidden_until <= self.clock() for letter in self.queue.letters)

    def _any(self, which: int) -> Job | None:
        job_id = list(self.seen)[which % len(self.seen)]
        return self._look(job_id)

    def _emulated(self) -> Table:
        return dynamodb_backends[DEFAULT_ACCOUNT_ID][Endpoint.region].tables[self.table.name]

    def _look(self, job_id: str) -> Job | None:
        """The job as it is, read where the emulator keeps it: a call would take ten times as long."""
        item = self._emulated().get_item(DynamoType({"S": job_id}))
        return None if item is None else Job.from_item(from_dynamodb(item.to_json()["Attributes"]))


def test_whatever_happens_in_whatever_order_the_protocol_holds() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Protocol,
        settings=settings(
            max_examples=int(os.environ.get("MAQUETTE_EXAMPLES", "100")),
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
