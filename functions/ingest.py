"""S3 event → job → queue. Every step may be repeated: the same event makes the same job."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from infra import storage, telemetry
from infra.errors import BadInput, EmptyFile, NotFound
from infra.job import OPERATOR, Job, Source
from infra.jobs import JobTable
from infra.options import OPTION_NAMES, Options
from infra.queue import JobQueue
from infra.settings import Settings

log = logging.getLogger(__name__)

#: Name space of the job ids of dropped photos; any constant will do, but never another one.
_DROPPED = uuid.UUID("6d61715e-7565-5474-8e65-000000000001")


def take_in(event: Mapping[str, Any], settings: Settings) -> None:
    """Make a job of every photo that the event names.

    One bad record does not keep the others waiting: all are tried, then the first error is raised, so that S3's
    event is delivered again and in the end lies where failed events lie.
    """
    if event.get("Event") == "s3:TestEvent":
        return
    errors: list[Exception] = []
    for record in event.get("Records", []):
        with telemetry.about():
            try:
                _take_in_one(record, settings)
            except Exception as error:
                log.exception("an upload could not be taken in")
                errors.append(error)
    if errors:
        raise errors[0]


def _take_in_one(record: Mapping[str, Any], settings: Settings) -> None:
    source, occurrence = _read(record)
    if source.bucket != settings.upload_bucket:
        raise BadInput(f"An event of the bucket {source.bucket} is none of an upload.")
    table = JobTable(settings.jobs_table)
    if source.key.startswith(storage.UPLOADS):
        job = _expected(source, table)
    elif source.key.startswith(storage.INBOX) and not source.key.endswith("/"):
        job = _dropped(source, occurrence, table)
    else:
        return  # a folder marker, or a place that nobody announced
    # The table first, then the queue. Whoever crashes in between is called again and finds the job queued,
    # so the message is sent then; a second message for a job does no harm.
    if job is not None and job.status == "queued":
        JobQueue(settings.job_queue_url).send(job.job_id)
        telemetry.count("JobsQueued")
        log.info("job %s queued", job.job_id)


def _read(record: Mapping[str, Any]) -> tuple[Source, str]:
    """The object an event speaks of, and what tells this writing of it from every other."""
    try:
        thing = record["s3"]["object"]
        version = thing.get("versionId")
        version = None if version == "null" else version
        etag = thing.get("eTag", "").strip('"')
        source = Source(
            bucket=record["s3"]["bucket"]["name"],
            key=unquote_plus(thing["key"]),
            version=version,
            etag=etag or None,
            bytes=thing.get("size"),
        )
        occurrence = version or thing.get("sequencer") or f"{etag} {record.get('eventTime', '')}"
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"This is not the record of an S3 event: {str(record)[:200]}") from error
    return source, occurrence


def _expected(source: Source, table: JobTable) -> Job | None:
    """The job that REST made for this upload, now queued."""
    job_id = source.key.removeprefix(storage.UPLOADS).partition("/")[0]
    telemetry.note(job_id=job_id)
    try:
        job = table.get(job_id)
    except NotFound:
        job = None
    if job is None or job.source.key != source.key:
        log.warning("no job waits for the upload %r", source.key)
        return None
    return table.photo_arrived(job, source)


def _dropped(source: Source, occurrence: str, table: JobTable) -> Job:
    """The job of a photo in the drop folder; one that cannot run is recorded too, as failed."""
    job_id = str(uuid.uuid5(_DROPPED, "\n".join((source.bucket, source.key, occurrence))))
    telemetry.note(job_id=job_id)
    try:
        _check_size(source.bytes)
        options = _read_options(source)
    except BadInput as error:
        return table.create_failed(job_id, OPERATOR, source, error)
    return table.create(job_id, OPERATOR, source, options.as_dict(), arrived=True)


def _check_size(size: int | None) -> None:
    if size == 0:
        raise EmptyFile("The file is empty: it may have been uploaded before it was fully written.")
    if size is not None and size > storage.MAX_PHOTO_BYTES:
        raise storage.photo_too_large(size)


def _read_options(source: Source) -> Options:
    """Options from the object's metadata. Nothing else of it counts: no bucket, no key, no owner.

    Names that are no options are passed over, since upload tools leave their own (rclone's ``mtime``).
    """
    metadata = storage.read_metadata(source.bucket, source.key, source.version)
    given = {name.replace("-", "_"): value for name, value in metadata.items()}
    return Options.parse({name: value for name, value in given.items() if name in OPTION_NAMES})
