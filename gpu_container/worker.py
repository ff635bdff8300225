"""The worker of the GPU task: receive → claim → run → publish → delete. Alone in this package it knows AWS.

The main thread holds the job: it renews lease and message, watches the deadline, hears SIGTERM. The pipeline
runs in a thread of its own, so that no stage, however long it stays in compiled code, can keep it from that.
A thread cannot be killed but a process can: when an attempt that was given up does not come back to itself, the
whole process ends, and whoever started it starts another.

    python -m gpu_container.worker        (everything it needs to know is in infra/settings.py)
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
import uuid
from typing import NoReturn

from gpu_container import allowance, memory
from gpu_container.allowance import Allowance
from gpu_container.health import Heartbeat
from gpu_container.protection import Protection
from gpu_container.readiness import ready_pipeline
from infra import storage, telemetry
from infra.attempt import Abandoned, Attempt, Pipeline, Published
from infra.errors import (
    BadInput,
    InternalError,
    JobCanceled,
    JobOverdue,
    MaquetteError,
    NotFound,
    StaleAttempt,
)
from infra.job import Job
from infra.jobs import JobTable
from infra.machine import memory_for_work
from infra.queue import JobQueue, Message
from infra.settings import settings

log = logging.getLogger("gpu_container.worker")  # and not __main__, as which it runs

#: Longest time without a look at the stop flag, seconds; after SIGTERM, ECS leaves sixty and a laptop ten.
RECEIVE_SECONDS = 3
POLL_SECONDS = 0.1
#: A worker told to go has this long to hand its job back, in case AWS does not answer; ECS leaves it sixty.
STOP_SECONDS = 50
#: A broken attempt waits this long before the next, doubled each time.
BACKOFF_SECONDS = 5.0
#: An attempt that was given up has this long to notice, before its process ends.
PATIENCE_SECONDS = 5.0
#: Exit status of a process that ended because an attempt did not, or left its memory taken.
EXIT_STUCK = 70
#: A message stays hidden a little longer than the lease lasts: who then receives it can claim at once.
_MARGIN_SECONDS = 1.0


class Worker:
    """Takes jobs from the queue, one at a time, until :meth:`stop`."""

    def __init__(
        self,
        pipeline: Pipeline,
        table: JobTable,
        queue: JobQueue,
        artifact_bucket: str,
        *,
        lease_seconds: float,
        deadline_seconds: float,
        protection: Protection | None = None,
        heartbeat: Heartbeat | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._pipeline = pipeline
        self._table = table
        self._queue = queue
        self._bucket = artifact_bucket
        self._lease_seconds = lease_seconds
        self._deadline_seconds = deadline_seconds
        self._protection = protection or Protection(None)
        self._heartbeat = heartbeat or Heartbeat(None)
        self._allowance = allowance or Allowance(None)
        self._stopping = False

    def stop(self) -> None:
        """Take no further job and give the present one back. Only sets a flag: safe in a signal handler."""
        self._stopping = True

    def serve(self) -> None:
        """The loop. Trouble with the queue or the table is logged and outlived, but is no sign of life."""
        while not self._stopping:
            try:
                self.serve_one()
                self._heartbeat.beat()
            except Exception:
                log.exception("a job could not be handled; its message will come back")
                time.sleep(1.0)
        self._protection.release()

    def serve_one(self) -> None:
        """Wait a while for a message and do what it asks."""
        if not self._protection.ready():
            time.sleep(POLL_SECONDS)
            return
        message = self._queue.receive(wait_seconds=RECEIVE_SECONDS, hidden_seconds=self._hidden_seconds)
        if message is None:
            self._protection.idle()
            return
        if self._stopping:
            self._queue.hide(message, 0)
            return
        job = self._claim(message)
        if job is not None:
            with telemetry.about(job_id=job.job_id, attempt=job.attempt):
                log.info("claimed")
                # Later attempts waited for other things: a lease to end, a pause to be over.
                if job.attempt == 1 and job.queued_at is not None:
                    telemetry.seconds("QueueSeconds", max(self._table.clock() - job.queued_at, 0.0))
                with self._allowance.granted():
                    self._run(job, message)
                _measure_memory()
                memory.give_back()

    @property
    def _hidden_seconds(self) -> float:
        return self._lease_seconds + _MARGIN_SECONDS

    def _claim(self, message: Message) -> Job | None:
        """The message's job, now ours; None when there is nothing to do here, and the message is seen to."""
        try:
            claim = self._table.claim(
                message.job_id,
                self.name,
                lease_seconds=self._lease_seconds,
                deadline_seconds=self._deadline_seconds,
            )
        except BadInput as error:
            # Left to come back until it is set aside: nobody should lose what they could not read.
            log.warning("%s", error.message)
            return None
        except NotFound:
            self._queue.delete(message)
            return None
        job = claim.job
        if claim.granted:
            return job
        if job.status == "running" and job.lease_until is not None:
            # Someone else works on it. Should they die, this message is there when their lease ends.
            self._queue.hide(message, job.lease_until - self._table.clock() + _MARGIN_SECONDS)
        else:
            self._queue.delete(message)
        return None

    def _run(self, job: Job, message: Message) -> None:
        try:
            attempt = Attempt(job, self._pipeline, self._table, self._bucket)
        except OSError as error:  # no room for its folder
            self._break_off(job, message, error)
            return
        canceled = False
        memory.reset_peaks()
        attempt.start()
        try:
            self._hold(job, message, attempt)
            self._succeed(job, message, attempt.outcome())
        except StaleAttempt as lost:
            log.warning("%s", lost.message)
        except JobCanceled as lost:
            log.warning("%s", lost.message)
            canceled = True
        except Abandoned:
            return  # whoever gave it up has seen to the job
        except Exception as error:  # noqa: BLE001  it is logged where it is judged
            with telemetry.about(stage=attempt.stage):
                self._break_off(job, message, error)
        finally:
            ended = attempt.abandon(0.0 if self._stopping else PATIENCE_SECONDS)
            if canceled:
                self._remove_results(job)
            # What is not given back of a large job's memory would be held against the next one.
            if not self._stopping and (not ended or self._allowance.overdrawn()):
                _end_process(EXIT_STUCK)

    def _hold(self, job: Job, message: Message, attempt: Attempt) -> None:
        """Keep job and message ours until the attempt has ended. Raises why it must not go on, if so."""
        lease_until = job.lease_until or 0.0
        renew_at = self._table.clock() + self._lease_seconds / 2
        while not attempt.finished.wait(POLL_SECONDS):
            self._heartbeat.beat()
            self._protection.renew()
            now = self._table.clock()
            if self._stopping:
                self._release(job, message)
                raise Abandoned
            if self._allowance.crossed():
                self._allowance.close()
                # The attempt first, so that there is memory again to write the verdict with.
                attempt.abandon(PATIENCE_SECONDS)
                raise self._allowance.refusal()
            if now > (job.deadline_at or now):
                raise JobOverdue(f"The run took longer than the {self._deadline_seconds:.0f} s it may.")
            if now < renew_at:
                continue
            renew_at = now + self._lease_seconds / 2
            try:
                lease_until = self._table.heartbeat(job, lease_seconds=self._lease_seconds).lease_until or 0.0
                self._queue.hide(message, self._hidden_seconds)
            except (StaleAttempt, JobCanceled):
                raise
            except Exception as error:
                if now > lease_until:
                    raise StaleAttempt(f"The lease on job {job.job_id} could not be renewed.") from error
                log.exception("the lease was not renewed; there is time to try again")

    def _succeed(self, job: Job, message: Message, published: Published) -> None:
        self._table.succeed(
            job, manifest_key=published.manifest_key, engine=published.engine, timings=published.timings
        )
        self._queue.delete(message)  # only now: a worker that dies before this leaves a message behind
        log.info("succeeded")
        for stage, seconds in published.timings.items():
            telemetry.seconds("StageSeconds", seconds, stage=stage)

    def _remove_results(self, job: Job) -> None:
        """What was published of a canceled job: its owner may have deleted it before the last files came."""
        try:
            storage.delete_artifacts(self._bucket, job.job_id)
        except Exception:
            log.exception("files of the canceled job are left for the bucket's lifecycle rule")

    def _release(self, job: Job, message: Message) -> None:
        """Hand the job back in good order: queued, with a fresh message, whose receptions count from zero."""
        self._table.release(job)
        self._queue.send(job.job_id)
        self._queue.delete(message)
        log.info("released: told to go")

    def _break_off(self, job: Job, message: Message, error: Exception) -> None:
        """An attempt ended in an error: the job too if that is final or it was the last one, else it waits."""
        if isinstance(error, MaquetteError):
            verdict = error
            log.warning("%s: %s", error.code, error.message)
        elif allowance.is_shortage(error):
            verdict = self._allowance.refusal()
            log.warning("%s: %s", verdict.code, verdict.message, exc_info=error)
        else:
            verdict = InternalError(
                "Something went wrong that should not have; the trace is in the worker's log."
            )
            log.error("an error that nobody expected", exc_info=error)
        try:
            if verdict.permanent or job.attempt >= job.attempt_limit:
                self._table.fail(job, verdict)
                self._queue.delete(message)
            else:
                self._table.retry(job, verdict)
                telemetry.count("AttemptsBroken")
                self._queue.hide(message, BACKOFF_SECONDS * 2 ** (job.attempt - 1))
        except (StaleAttempt, JobCanceled) as lost:
            log.warning("%s", lost.message)


def _measure_memory() -> None:
    telemetry.megabytes("PeakMemory", memory.peak())
    on_device = memory.device_peak()
    if on_device is not None:
        telemetry.megabytes("PeakDeviceMemory", on_device)


def serve(pipeline: Pipeline, stop_seconds: int = STOP_SECONDS) -> NoReturn:
    """Work until SIGTERM or SIGINT, then end the process, at most ``stop_seconds`` later."""
    given = settings()
    worker = Worker(
        pipeline,
        JobTable(given.jobs_table),
        JobQueue(given.job_queue_url),
        given.artifact_bucket,
        lease_seconds=given.lease_seconds,
        deadline_seconds=given.job_deadline_seconds,
        protection=Protection(given.agent_uri),
        heartbeat=Heartbeat(given.health_file),
        allowance=Allowance(given.job_memory or memory_for_work()),
    )

    def told_to_go(*_: object) -> None:
        worker.stop()
        signal.alarm(signal.alarm(0) or stop_seconds)  # who is told twice gets no more time

    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, told_to_go)
    signal.signal(signal.SIGALRM, lambda *_: sys.exit())  # out of whatever call nobody answers
    log.info("worker %s is ready", worker.name)
    try:
        worker.serve()
    except SystemExit:
        log.warning("AWS does not answer; what is left undone is done when the lease ends")
    _end_process(0)


def _end_process(status: int) -> NoReturn:
    # Not sys.exit: it would wait for, or fall over, a thread that is still inside compiled code.
    logging.shutdown()
    os._exit(status)


def main() -> NoReturn:
    """The real pipeline, warmed up before the first message is taken."""
    # The first process of a container hears only signals that it has a handler for. There is no job yet: go.
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: sys.exit(0))
    memory.share_arenas()  # while there is one thread
    given = settings()
    telemetry.start(given)
    try:
        pipeline = ready_pipeline(given)
    except SystemExit:
        log.info("told to go before there was a job")
        _end_process(0)
    serve(pipeline)


if __name__ == "__main__":
    main()
