"""Everybody who may ask for a job: whose it is, whose it is not, and those whom it was or is shared with."""

from __future__ import annotations

import time
from dataclasses import dataclass

import jwt

from infra import tokens
from infra.job import Job
from tests.cloud.conftest import SECRET, Cloud

HOUR = 3600


@dataclass(frozen=True)
class Askers:
    """The job, another one of the same owner's, and the token of each who asks; None for nobody's."""

    job: Job
    another: Job
    tokens: dict[str, str | None]


def askers(cloud: Cloud, job: Job) -> Askers:
    """Around ``job``, which has been shared once before and is shared again."""
    another = cloud.queued(f"beside-{job.job_id}", owner=job.owner)
    cloud.table.share(job.job_id)
    epoch = cloud.table.stop_sharing(job.job_id).share_epoch
    assert epoch >= 2
    elsewhere = cloud.table.share(another.job_id).share_epoch
    now = int(time.time())
    past = {"iss": "maquette", "iat": now - 2 * HOUR, "exp": now - HOUR}
    return Askers(
        cloud.table.get(job.job_id),
        cloud.table.get(another.job_id),
        {
            "owner": tokens.issue(job.owner, SECRET)[0],
            "another owner": tokens.issue("somebody-else", SECRET)[0],
            "an owner called as the job": tokens.issue(job.job_id, SECRET)[0],
            "guest": tokens.issue_share(job.job_id, SECRET, ends=now + HOUR, epoch=epoch),
            "guest of another job": tokens.issue_share(
                another.job_id, SECRET, ends=now + HOUR, epoch=elsewhere
            ),
            "guest of a job called as the owner": tokens.issue_share(
                job.owner, SECRET, ends=now + HOUR, epoch=2
            ),
            "guest whose link was taken back": tokens.issue_share(
                job.job_id, SECRET, ends=now + HOUR, epoch=epoch - 1
            ),
            "guest of sharing to come": tokens.issue_share(
                job.job_id, SECRET, ends=now + HOUR, epoch=epoch + 1
            ),
            "nobody": None,
            "owner whose session has ended": jwt.encode(
                past | {"aud": "session", "sub": job.owner}, SECRET, "HS256"
            ),
            "guest whose link has ended": jwt.encode(
                past | {"aud": "share", "sub": job.job_id, "epoch": epoch}, SECRET, "HS256"
            ),
        },
    )


#: of these the job is none, nor ever was
STRANGERS = [
    "another owner",
    "an owner called as the job",
    "guest of another job",
    "guest of a job called as the owner",
    "guest whose link was taken back",
    "guest of sharing to come",
]
#: of them it is not even known who they are
UNKNOWN = ["nobody", "owner whose session has ended", "guest whose link has ended"]
OWNERS = ["owner", "another owner", "an owner called as the job"]
GUESTS = [
    "guest",
    "guest of another job",
    "guest of a job called as the owner",
    "guest whose link was taken back",
    "guest of sharing to come",
]
EVERYBODY = [*OWNERS, *GUESTS, *UNKNOWN]
