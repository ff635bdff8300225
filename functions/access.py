"""Who may do what. An owner may do everything with what is theirs; a share link's holder may look at one job.

Whoever asks for something of someone else's is told what they would be told were it not there: 404.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from infra import tokens
from infra.errors import AccessKeyRequired, NotFound, Unauthorized
from infra.job import Job
from infra.jobs import JobTable
from infra.settings import Settings
from infra.tokens import Bearer


def bearer(headers: Mapping[str, str], settings: Settings) -> Bearer:
    """For whom the request speaks. Raises :class:`Unauthorized`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Send the header 'Authorization: Bearer …' with the token of POST /sessions.")
    return tokens.read(token.strip(), tokens.signing_key(settings))


def owner(headers: Mapping[str, str], settings: Settings) -> str:
    """The owner whose session it is. Raises :class:`Unauthorized`, for a share link's token too."""
    return _session(bearer(headers, settings))


def own_job(headers: Mapping[str, str], settings: Settings, job_id: str) -> Job:
    """A job of the asker's own. Raises :class:`Unauthorized` or :class:`NotFound`."""
    asker = owner(headers, settings)
    job = JobTable(settings.jobs_table).get(job_id)
    if job.owner != asker:
        raise not_found(job_id)
    return job


def visible_job(who: Bearer, settings: Settings, job_id: str) -> Job:
    """A job that the asker may look at: their own, or the one that was shared. Raises :class:`NotFound`."""
    job = JobTable(settings.jobs_table).get(job_id)
    if not who.may_look_at(job):
        raise not_found(job_id)
    return job


def check_access_key(given: str | None, settings: Settings) -> None:
    """Raises :class:`AccessKeyRequired` where the deployment asks for a key and this is not it."""
    wanted = settings.access_key
    if wanted is None and settings.access_key_arn is not None:
        wanted = tokens.stored_secret(settings.access_key_arn)
    if wanted is None:
        return
    if given is None or not hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode()):
        raise AccessKeyRequired("This deployment asks for an access key. Whoever runs it can give you one.")


def not_found(job_id: str) -> NotFound:
    """What is said of a job that is not there, and of one that is not the asker's."""
    return NotFound(f"There is no job {job_id}.")


def _session(who: Bearer) -> str:
    if who.owner is None:
        raise Unauthorized("A share link lets you look at one model. For anything else, start a session.")
    return who.owner
