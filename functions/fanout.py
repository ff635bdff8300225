"""Table stream → WebSockets and event bus. Nobody else announces anything: the table is the outbox."""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from infra import telemetry
from infra.clients import client
from infra.connections import ConnectionTable, Sockets, job_topic, owner_topic, share_topic
from infra.dynamodb import from_dynamodb
from infra.errors import MachineError
from infra.job import Job
from infra.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

log = logging.getLogger(__name__)

#: ids of the connections that follow a topic
Followers: TypeAlias = Callable[[str], list[str]]

#: changes of these alone are no news: every write makes them, a heartbeat makes no others
_BOOKKEEPING = ("seq", "updated_at")
_POSTERS = 16


def spread(event: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Tell everyone concerned of every change in a batch of the jobs table's stream.

    Returns Lambda's partial batch answer. A stream is read in order: from the first failed record on,
    everything is delivered again.
    """
    # Not at the top: this import takes as long as that of all the rest, and no other function needs it.
    from functions.in_order import InOrderProcessor

    # Who follows a topic is asked for once in a batch. Whoever comes later hears nothing of the batch and
    # misses nothing: the snapshot that answers a subscription is younger than all of its records.
    followers = cache(lambda topic: ConnectionTable(settings.connections_table).followers(topic))
    processor = InOrderProcessor()
    handler = partial(_spread_one, settings=settings, followers=followers)
    with processor(records=event["Records"], handler=handler):
        processor.process()
    return dict(processor.response())


def _spread_one(record: DynamoDBRecord, settings: Settings, followers: Followers) -> None:
    with telemetry.about():
        try:
            _tell(record.raw_event["dynamodb"], settings, followers)
        except Exception:
            log.exception("a change of a job could not be announced")
            raise


def _tell(change: Mapping[str, Any], settings: Settings, followers: Followers) -> None:
    if "NewImage" not in change:
        return
    job = Job.from_item(from_dynamodb(change["NewImage"]))
    telemetry.note(job_id=job.job_id, attempt=job.attempt, stage=job.stage)
    before = Job.from_item(from_dynamodb(change["OldImage"])) if "OldImage" in change else None
    if before is not None and _news(before) == _news(job):
        return
    push(job, settings, followers)
    if job.terminal and not (before and before.terminal):
        _announce(job, settings.event_bus)
        _measure(job)  # last: a record that fails before this is delivered, and would be counted, again


def _measure(job: Job) -> None:
    """The metrics of a job that has just ended; a canceled one is nobody's success or failure."""
    if job.status == "succeeded":
        telemetry.count("JobsSucceeded")
        telemetry.seconds("JobSeconds", job.updated_at - (job.queued_at or job.created_at))
    elif job.status == "failed":
        telemetry.count("JobsFailed")
        telemetry.count("JobsFailed", code=(job.error or {}).get("code", "unknown"))


def push(job: Job, settings: Settings, followers_of: Followers | None = None) -> None:
    """Send the public record to every connection that follows the job, or all that its owner has."""
    connections = ConnectionTable(settings.connections_table)
    followers_of = followers_of or connections.followers
    topics = [job_topic(job.job_id), owner_topic(job.owner)]
    if job.share_epoch:  # few are ever shared: the others cost no question
        topics.append(share_topic(job.job_id, job.share_epoch))
    followers = [connection for topic in topics for connection in followers_of(topic)]
    if not followers:
        return
    sockets = Sockets(settings.socket_endpoint)
    frame = job_frame(job)

    def post(connection_id: str) -> bool:
        # One bad socket must not block the others, nor have the whole batch sent to them again. Whoever misses
        # a frame catches up with the next: each holds the whole record.
        try:
            if not sockets.post(connection_id, frame):
                connections.close(connection_id)
        except Exception:
            log.exception("a frame about job %s was not delivered", job.job_id)
            return False
        return True

    with ThreadPoolExecutor(max_workers=min(_POSTERS, len(followers))) as pool:
        # Each in a context of its own, so that what they log is about this job too.
        posts = [pool.submit(contextvars.copy_context().run, post, follower) for follower in followers]
        lost = sum(not delivered.result() for delivered in posts)
    if lost:
        telemetry.count("FramesLost", lost)


def job_frame(job: Job) -> dict[str, Any]:
    """What a socket hears of a job."""
    return {"type": "job", "job": job.as_public()}


def _announce(job: Job, bus: str) -> None:
    entry = {
        "EventBusName": bus,
        "Source": "maquette",
        "DetailType": f"Job {job.status}",
        "Detail": json.dumps(job.as_public() | {"owner": job.owner}),
    }
    answer = client("events").put_events(Entries=[entry])
    if answer.get("FailedEntryCount"):
        raise MachineError(f"The event bus refused an event: {answer['Entries']}")


def _news(job: Job) -> dict[str, Any]:
    return {name: value for name, value in job.as_public().items() if name not in _BOOKKEEPING}
