"""The jobs table: every change of a job is one conditional write, and no change is made any other way.

Whoever works on a job has claimed it: the claim raises ``attempt`` and grants a lease. Every later write of
that worker names its attempt, so a worker that lost its lease unawares is refused (fencing tokens: Kleppmann,
"How to do distributed locking", 2016). The sweeper, which holds no lease, names the ``seq``
that it has seen instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.clients import client
from infra.dynamodb import ConditionFailed, from_dynamodb, to_dynamodb, update
from infra.errors import JobCanceled, MaquetteError, NotFound, StaleAttempt, WorkerLost
from infra.job import MAX_ATTEMPTS, OPERATOR, RETENTION_SECONDS, TERMINAL, Job, Source

__all__ = ["MAX_ATTEMPTS", "OPERATOR", "TERMINAL", "Claim", "Job", "JobTable", "Source"]

#: A queued job whose message seems lost is sent again after this long.
RESEND_SECONDS = 1800.0
#: A photo has this long to arrive after its upload link was made: the link's five minutes, and a slow line.
UPLOAD_SECONDS = 3600.0

_LONGEST_ID = 64

_MINE = "#status = :running AND #attempt = :attempt"
_UNCHANGED = "#seq = :seq AND #status = :status"

#: what a claim grants, and what goes when the job waits again
_GRANT = ("worker", "lease_until", "deadline_at")
#: what only a living job has
_LIFE = (*_GRANT, "sweep_at")


@dataclass(frozen=True)
class Claim:
    """What came of a claim: ``granted``, or the job as it stood when the claim was refused."""

    job: Job
    granted: bool


class JobTable:
    """Typed access to one jobs table. ``clock`` gives seconds since 1970."""

    def __init__(self, name: str, *, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self.clock = clock

    # --- birth ---

    def create(
        self, job_id: str, owner: str, source: Source, options: Mapping[str, Any], *, arrived: bool
    ) -> Job:
        """Write a new job, ``queued`` if its photo has ``arrived``, else ``awaiting_upload``.

        The job that is already there under this id is returned untouched: a repeated event makes no second job.
        """
        now = self.clock()
        return self._put(
            Job(
                job_id,
                owner,
                "queued" if arrived else "awaiting_upload",
                source,
                created_at=now,
                updated_at=now,
                expires_at=int(now + RETENTION_SECONDS),
                options=options,
                queued_at=now if arrived else None,
                sweep_at=now + (RESEND_SECONDS if arrived else UPLOAD_SECONDS),
            )
        )

    def create_failed(self, job_id: str, owner: str, source: Source, error: MaquetteError) -> Job:
        """Write a new job that can never run, so that its owner learns why."""
        now = self.clock()
        expires_at = int(now + RETENTION_SECONDS)
        return self._put(Job(job_id, owner, "failed", source, now, now, expires_at, error=error.as_dict()))

    def photo_arrived(self, job: Job, source: Source) -> Job:
        """``awaiting_upload → queued``. Any other state stays as it is and is returned."""
        now = self.clock()
        sets = {
            "status": "queued",
            "source": source.__dict__,
            "queued_at": now,
            "sweep_at": now + RESEND_SECONDS,
        }
        try:
            return self._update(job.job_id, "#status = :awaiting", {"awaiting": "awaiting_upload"}, sets)
        except ConditionFailed as refused:
            return self._standing(refused, job.job_id)

    # --- reading ---

    def get(self, job_id: str) -> Job:
        """The job as it is now (a consistent read). Raises :class:`NotFound`."""
        if not (job_id.isascii() and 0 < len(job_id) <= _LONGEST_ID):
            raise NotFound("There is no such job.")  # and DynamoDB would not even look for it
        key = {"job_id": {"S": job_id}}
        item = self._client.get_item(TableName=self.name, Key=key, ConsistentRead=True).get("Item")
        if item is None:
            raise NotFound(f"There is no job {job_id}.")
        return Job.from_item(from_dynamodb(item))

    # --- a worker's writes ---

    def claim(self, job_id: str, worker: str, *, lease_seconds: float, deadline_seconds: float) -> Claim:
        """Take the job if it is free. Raises :class:`NotFound`.

        A job that has used up its attempts is marked ``failed`` with ``worker_lost`` instead, and not granted.
        """
        # Worker A stalls (a suspended laptop, a long pause of the machine) and outlives its lease unawares:
        #
        #   A   claim → attempt 1 ── works ──┤ stalls ........................ writes "attempt 1": refused
        #                      lease ────────┤
        #   B                                └ claim → attempt 2 ── works ── writes "attempt 2" ── succeeds
        #
        # The condition and the new attempt are one atomic write: of two workers that see the lease expire at
        # the same moment, one gets attempt 2 and the other is refused.
        now = self.clock()
        condition = (
            "#attempt < #attempt_limit AND (#status = :queued OR (#status = :running AND #lease_until < :now))"
        )
        sets = {
            "status": "running",
            "worker": worker,
            "lease_until": now + lease_seconds,
            "deadline_at": now + deadline_seconds,
            "sweep_at": _sweep_at(now, lease_seconds, now + deadline_seconds),
        }
        values = {"queued": "queued", "running": "running", "now": now}
        try:
            job = self._update(job_id, condition, values, sets, adds=("attempt",), removes=("stage",))
            return Claim(job, granted=True)
        except ConditionFailed as refused:
            job = self._standing(refused, job_id)
        if self.exhausted(job):
            job = self.give_up(job, worker_lost(job))
        return Claim(job, granted=False)

    def exhausted(self, job: Job) -> bool:
        """True when nobody works on the job and no attempt is left."""
        free = job.status == "queued" or (job.status == "running" and (job.lease_until or 0) < self.clock())
        return free and job.attempt >= job.attempt_limit

    def heartbeat(self, job: Job, *, lease_seconds: float) -> Job:
        """Extend the lease.

        Raises :class:`StaleAttempt` or :class:`JobCanceled` when the job is no longer ours.
        """
        now = self.clock()
        deadline = job.deadline_at or now
        sets = {"lease_until": now + lease_seconds, "sweep_at": _sweep_at(now, lease_seconds, deadline)}
        return self._update_mine(job, sets)

    def report(self, job: Job, stage: str, progress: float) -> Job:
        """Write where the run is. Progress that would fall keeps its height, and only the stage is written.

        Raises :class:`StaleAttempt` or :class:`JobCanceled` when the job is no longer ours.
        """
        higher = {"stage": stage, "progress": progress}
        try:
            return self._update(
                job.job_id,
                f"{_MINE} AND #progress <= :new_progress",
                {"running": "running", "attempt": job.attempt, "new_progress": progress},
                higher,
            )
        except ConditionFailed:
            return self._update_mine(job, {"stage": stage})

    def succeed(self, job: Job, *, manifest_key: str, engine: str, timings: Mapping[str, float]) -> Job:
        """``running → succeeded``; call it when every artifact lies in its place, the manifest last.

        Raises :class:`StaleAttempt` or :class:`JobCanceled` when the job is no longer ours.
        """
        sets = {
            "status": "succeeded",
            "progress": 1.0,
            "manifest_key": manifest_key,
            "engine": engine,
            "timings": dict(timings),
        }
        return self._update_mine(job, sets, removes=_LIFE)

    def fail(self, job: Job, error: MaquetteError) -> Job:
        """``running → failed``. Raises :class:`StaleAttempt` or :class:`JobCanceled` when no longer ours."""
        return self._update_mine(job, {"status": "failed", "error": error.as_dict()}, removes=_LIFE)

    def retry(self, job: Job, notice: MaquetteError) -> Job:
        """``running → queued`` after an attempt that broke; it counts. Raises as :meth:`fail`."""
        sets = {"notice": notice.as_dict(), **self._queued()}
        return self._update_mine(job, sets, removes=_GRANT)

    def release(self, job: Job) -> Job:
        """``running → queued`` by a worker that must go; the attempt does not count. Raises as :meth:`fail`."""
        return self._update_mine(job, self._queued(), adds=("attempt_limit",), removes=_GRANT)

    # --- everyone else's writes ---

    def cancel(self, job_id: str) -> Job:
        """Any living state ``→ canceled``; an ended job stays as it is. Raises :class:`NotFound`."""
        values = {"awaiting": "awaiting_upload", "queued": "queued", "running": "running"}
        try:
            return self._update(
                job_id,
                "#status IN (:awaiting, :queued, :running)",
                values,
                {"status": "canceled"},
                removes=_LIFE,
            )
        except ConditionFailed as refused:
            return self._standing(refused, job_id)

    def share(self, job_id: str) -> Job:
        """The job, with an epoch for links to it. Raises :class:`NotFound`."""
        never = "attribute_not_exists(#share_epoch) OR #share_epoch = :never"
        try:
            return self._update(
                job_id, f"attribute_exists(#job_id) AND ({never})", {"never": 0}, {"share_epoch": 1}
            )
        except ConditionFailed as refused:
            return self._standing(refused, job_id)

    def stop_sharing(self, job_id: str) -> Job:
        """Begin another epoch: no link to the job holds any longer. Raises :class:`NotFound`."""
        try:
            return self._update(job_id, "#share_epoch > :never", {"never": 0}, {}, adds=("share_epoch",))
        except ConditionFailed as refused:
            return self._standing(refused, job_id)

    def delete(self, job: Job) -> None:
        """Remove the record of an ended job; once too often does no harm. Its files must be gone before."""
        ended = "#status IN (:succeeded, :failed, :canceled)"
        try:
            self._client.delete_item(
                TableName=self.name,
                Key={"job_id": {"S": job.job_id}},
                ConditionExpression=f"attribute_not_exists(job_id) OR {ended}",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_dynamodb({f":{status}": status for status in TERMINAL}),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise StaleAttempt(f"Job {job.job_id} has not ended.") from None

    def give_up(self, job: Job, error: MaquetteError) -> Job:
        """Any living state ``→ failed``, unless the job has changed since it was read: then what it became."""
        return self._update_unchanged(job, {"status": "failed", "error": error.as_dict()}, removes=_LIFE)

    def requeue(self, job: Job) -> Job:
        """``queued`` (again), unless the job has changed since it was read: then what it became."""
        return self._update_unchanged(job, self._queued(), removes=_GRANT)

    # --- how ---

    @property
    def _client(self) -> Any:
        return client("dynamodb")

    def _queued(self) -> dict[str, Any]:
        return {"status": "queued", "sweep_at": self.clock() + RESEND_SECONDS}

    def _put(self, job: Job) -> Job:
        try:
            self._client.put_item(
                TableName=self.name,
                Item=to_dynamodb(job.as_item()),
                ConditionExpression="attribute_not_exists(job_id)",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return self.get(job.job_id)
        return job

    def _update_mine(
        self, job: Job, sets: Mapping[str, Any], adds: tuple[str, ...] = (), removes: tuple[str, ...] = ()
    ) -> Job:
        values = {"running": "running", "attempt": job.attempt}
        try:
            return self._update(job.job_id, _MINE, values, sets, adds, removes)
        except ConditionFailed as refused:
            if refused.item is None:  # canceled, and then deleted before its worker noticed
                raise JobCanceled(f"Job {job.job_id} was deleted.") from None
            now = Job.from_item(refused.item)
        if now.status == "canceled":
            raise JobCanceled(f"Job {job.job_id} was canceled.")
        raise StaleAttempt(
            f"Job {job.job_id} is not attempt {job.attempt}'s any more: {now.status}, attempt {now.attempt}."
        )

    def _update_unchanged(self, job: Job, sets: Mapping[str, Any], removes: tuple[str, ...]) -> Job:
        if job.terminal:
            return job
        try:
            return self._update(
                job.job_id, _UNCHANGED, {"seq": job.seq, "status": job.status}, sets, (), removes
            )
        except ConditionFailed as refused:
            return self._standing(refused, job.job_id)

    def _standing(self, refused: ConditionFailed, job_id: str) -> Job:
        if refused.item is None:
            raise NotFound(f"There is no job {job_id}.")
        return Job.from_item(refused.item)

    def _update(
        self,
        job_id: str,
        condition: str,
        values: Mapping[str, Any],
        sets: Mapping[str, Any],
        adds: tuple[str, ...] = (),
        removes: tuple[str, ...] = (),
    ) -> Job:
        item = update(
            self.name,
            {"job_id": job_id},
            condition=condition,
            values=values,
            sets={**sets, "updated_at": self.clock()},
            adds=("seq", *adds),
            removes=removes,
        )
        return Job.from_item(item)


def worker_lost(job: Job) -> WorkerLost:
    """The verdict on a job whose workers keep dying."""
    return WorkerLost(f"{job.attempt} workers in a row died on this photo; it is not tried again.")


def _sweep_at(now: float, lease_seconds: float, deadline: float) -> float:
    """A lease beyond the lease: the job's message returns by itself first, the sweeper is the second net."""
    return min(now + lease_seconds, deadline) + lease_seconds
