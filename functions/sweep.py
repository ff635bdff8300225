"""On a schedule: mends what a lost message, a dead worker or an upload that never came has left lying.

The queue does most of it: an unfinished message comes back by itself. This is the net under that net, and it
only sees jobs whose ``sweep_at`` has passed.
"""

from __future__ import annotations

import logging

from infra import telemetry
from infra.errors import JobOverdue, NotFound
from infra.job import Job
from infra.jobs import JobTable, worker_lost
from infra.listing import due
from infra.queue import JobQueue
from infra.settings import Settings

log = logging.getLogger(__name__)

#: A job that has found no end a day after its birth is given up, however healthy it looks.
OVERDUE_SECONDS = 24 * 3600.0


def sweep(settings: Settings) -> int:
    """Look at every job that is due and mend it; returns how many there were.

    One job's trouble does not keep the others waiting: all are tried, then the first error is raised.
    """
    table, queue = JobTable(settings.jobs_table), JobQueue(settings.job_queue_url)
    keep_watched(queue)
    count, errors = 0, []
    for job in due(table):
        count += 1
        with telemetry.about(job_id=job.job_id, attempt=job.attempt):
            try:
                mend(job, table, queue)
            except NotFound:
                log.info("job %s was deleted meanwhile", job.job_id)
            except Exception as error:
                log.exception("job %s could not be mended", job.job_id)
                errors.append(error)
    if errors:
        raise errors[0]
    return count


def keep_watched(queue: JobQueue) -> None:
    """Let nothing fall silent that scaling and alarms look at.

    Of a queue that nobody has used for six hours SQS reports no numbers, and takes up to a quarter of an hour
    to begin again: so long would the first photo of the morning wait for its worker. Any call counts as use.
    And an alarm cannot compare with successes that nobody has ever counted: none is a number too.
    """
    queue.depth()
    telemetry.count("JobsSucceeded", 0)


def mend(job: Job, table: JobTable, queue: JobQueue) -> Job:
    """The job after what had to be done about it; untouched when it has moved on in the meantime."""
    now = table.clock()
    if job.terminal or job.sweep_at is None or job.sweep_at > now:
        return job
    if job.status == "awaiting_upload":
        return table.give_up(job, JobOverdue("The photo never arrived and its upload link has expired."))
    if table.exhausted(job):
        return table.give_up(job, worker_lost(job))
    if now > job.created_at + OVERDUE_SECONDS:
        return table.give_up(job, JobOverdue("The job found no end within a day. Upload the photo again."))
    if job.status == "running" and now > (job.deadline_at or now):
        return table.give_up(job, JobOverdue("The run took longer than it may, and was given up."))
    # First the message, then the table: should this end here, the next sweep finds the job again. The worker
    # that the message wakes can claim an expired lease as well as a queued job.
    queue.send(job.job_id)
    telemetry.count("JobsRescued")
    log.info("job %s, %s, sent to the queue again", job.job_id, job.status)
    return table.requeue(job)
