"""The job record: what the jobs table holds, and what of it the world may see.

States run ``awaiting_upload → queued → running → succeeded | failed | canceled``; the last three never change.
Times are seconds since 1970 (UTC) inside, ISO 8601 in the public record.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias

from infra.options import OPTION_NAMES

Status: TypeAlias = Literal["awaiting_upload", "queued", "running", "succeeded", "failed", "canceled"]
TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "canceled"})

#: Tries that a job gets before it counts as the killer of its workers.
MAX_ATTEMPTS = 3
#: Records and files leave together; the buckets' lifecycle rules say the same in days.
RETENTION_SECONDS = 30 * 24 * 3600

#: The owner of everything that arrives through the drop folder.
OPERATOR = "operator"


@dataclass(frozen=True)
class Source:
    """The photo: exactly one object, in exactly one version where the bucket keeps versions."""

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None
    bytes: int | None = None

    @property
    def filename(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name


@dataclass(frozen=True)
class Job:
    """One job at one moment; :class:`infra.jobs.JobTable` alone makes the next moment."""

    job_id: str
    owner: str
    status: Status
    source: Source
    created_at: float
    updated_at: float
    #: when table and buckets forget the job
    expires_at: float
    options: Mapping[str, Any] = field(default_factory=dict)
    #: when its photo was there and it began to wait for a worker
    queued_at: float | None = None
    #: raised by every write; readers drop what does not raise it
    seq: int = 1
    #: raised by every claim; the number that fences a stale worker off
    attempt: int = 0
    #: claims allowed; a worker that hands its job back in good order raises it
    attempt_limit: int = MAX_ATTEMPTS
    stage: str | None = None
    #: 0..1, never falls, not even when another attempt starts over
    progress: float = 0.0
    worker: str | None = None
    lease_until: float | None = None
    #: when this attempt must have ended
    deadline_at: float | None = None
    #: when the sweeper should look at this job; None once it has ended
    sweep_at: float | None = None
    engine: str | None = None
    error: Mapping[str, str] | None = None
    #: why the last attempt ended without a verdict
    notice: Mapping[str, str] | None = None
    manifest_key: str | None = None
    #: seconds per stage
    timings: Mapping[str, float] = field(default_factory=dict)
    #: 0 until the job is first shared, raised when its links are taken back; those of another lead nowhere
    share_epoch: int = 0

    @property
    def terminal(self) -> bool:
        """True once nothing about the job can change."""
        return self.status in TERMINAL

    def as_public(self) -> dict[str, Any]:
        """The record for sockets, REST and the bus: plain JSON; no owner, bucket, worker or lease."""
        return {
            "job_id": self.job_id,
            "status": self.status,
            "stage": self.stage,
            "progress": self.progress,
            "seq": self.seq,
            "attempt": self.attempt,
            "source": {"filename": self.source.filename, "bytes": self.source.bytes},
            "options": {name: self.options.get(name) for name in OPTION_NAMES},
            "engine": self.engine,
            "error": dict(self.error) if self.error else None,
            "notice": dict(self.notice) if self.notice else None,
            "manifest_key": self.manifest_key,
            "timings": dict(self.timings),
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            "expires_at": iso(self.expires_at),
        }

    def as_item(self) -> dict[str, Any]:
        """The record as the table stores it, plain."""
        return dataclasses.asdict(self)

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Job:
        """The record from a plain item; attributes that this release does not know are passed over."""
        names = {f.name for f in dataclasses.fields(cls)}
        known = {name: value for name, value in item.items() if name in names}
        return cls(**known | {"source": Source(**item["source"])})


def iso(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601, UTC, milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
