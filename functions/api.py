"""REST: sessions, jobs, artifacts, shares. Plain functions from a request to an answer.

``functions.app`` wires them, ``functions.access`` says who may do what, docs/openapi.yaml describes them all.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from functions import access
from infra import links, listing, storage, tokens
from infra.artifacts import content_type
from infra.errors import BadInput, InvalidOption, NotFound, TooManyJobs, Unauthorized
from infra.job import OPERATOR, Job, Source, iso
from infra.jobs import JobTable
from infra.options import Options
from infra.settings import Settings

#: seconds that a share link may last, and how many it does when nothing is said
SHARE_SECONDS = (60, 30 * 24 * 3600)
DEFAULT_SHARE_SECONDS = 7 * 24 * 3600

_LARGEST_PAGE = 100
_RETRY_MILLISECONDS = 1000


@dataclass(frozen=True)
class Request:
    """What the handlers look at of a request; header names in lower case."""

    body: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """A status, a body (JSON, a text of the type that the headers name, or none), and unusual headers."""

    status: int
    body: dict[str, Any] | str | None
    headers: Mapping[str, str] = field(default_factory=dict)


def create_session(request: Request, settings: Settings) -> Answer:
    """``POST /sessions``: a token that owns whatever is made with it.

    Body, optional: ``access_key``. Asked with a session that still holds, it is the same owner's, and needs no
    key: a browser that comes back now and then keeps its jobs.
    """
    body = _json(request, "access_key", empty=True)
    key = body.get("access_key")
    if "access_key" in body and not isinstance(key, str):
        raise BadInput("access_key must be a text.")
    owner = _present_owner(request, settings)
    if owner is None or key is not None:
        access.check_access_key(key, settings)
    owner = OPERATOR if settings.open_sessions else owner or str(uuid.uuid4())
    token, expires_at = tokens.issue(owner, tokens.signing_key(settings))
    return Answer(201, {"token": token, "expires_at": iso(expires_at)})


def create_job(request: Request, settings: Settings) -> Answer:
    """``POST /jobs``: a job that waits for its photo, and the form to upload it with.

    Body: ``filename``, and optionally ``content_type`` and ``options``.
    """
    owner = access.owner(request.headers, settings)
    body = _json(request, "filename", "content_type", "options")
    filename, options, kind = body.get("filename"), body.get("options", {}), body.get("content_type")
    if not isinstance(filename, str) or not filename.strip():
        raise BadInput("filename must name the photo, as in robot.png.")
    if not isinstance(options, dict):
        raise InvalidOption("options must be a JSON object.")
    if "content_type" in body and not isinstance(kind, str):
        raise InvalidOption("content_type must be a text such as image/png.")
    kind = storage.image_type(filename, kind)
    parsed = Options.parse(options)
    _check_quota(owner, settings)
    job_id = str(uuid.uuid4())
    source = Source(settings.upload_bucket, storage.upload_key(job_id, filename))
    job = JobTable(settings.jobs_table).create(job_id, owner, source, parsed.as_dict(), arrived=False)
    form = storage.upload_form(source.bucket, source.key, kind)
    return Answer(201, {"job": job.as_public(), "upload": {"url": form.url, "fields": form.fields}})


def _check_quota(owner: str, settings: Settings) -> None:
    """No visitor takes all workers; whoever runs the place may."""
    most = settings.owner_jobs
    if owner != OPERATOR and listing.living(JobTable(settings.jobs_table), owner, most) >= most:
        raise TooManyJobs(
            f"{most} of your jobs are under way, and no more may be. Wait until one ends, or cancel one."
        )


def list_jobs(request: Request, settings: Settings) -> Answer:
    """``GET /jobs?limit=&cursor=``: one's own jobs, newest first, with links to their posters."""
    owner = access.owner(request.headers, settings)
    _only(request.query, "limit", "cursor")
    limit = _whole_number(request.query.get("limit", "20"))
    if limit is None or not 1 <= limit <= _LARGEST_PAGE:
        raise BadInput(f"limit must be a whole number from 1 to {_LARGEST_PAGE}.")
    table = JobTable(settings.jobs_table)
    page = listing.owned(table, owner, limit=limit, cursor=request.query.get("cursor"))
    return Answer(200, {"jobs": [_with_poster(job, settings) for job in page.jobs], "cursor": page.cursor})


def get_job(request: Request, settings: Settings, job_id: str) -> Answer:
    """``GET /jobs/{job_id}``: the record, a link to the poster, and its place in the queue while it waits."""
    job = _visible_job(request, settings, job_id)
    position = listing.queue_position(JobTable(settings.jobs_table), job)
    return Answer(200, {"job": {**_with_poster(job, settings), "queue_position": position}})


def delete_job(request: Request, settings: Settings, job_id: str) -> Answer:
    """``DELETE /jobs/{job_id}?only=``: cancels a living job (200), removes an ended one with its files (204).

    With ``only=cancel``, a job that has ended is left as it is (200): whoever last saw it running, and means to
    cancel it, should not lose a model that was finished a moment ago.
    """
    _only(request.query, "only")  # a slip of the pen here must not delete what was to be kept
    only = request.query.get("only", "cancel")
    if only != "cancel":
        raise BadInput("only has one value, cancel: an ended job is then left as it is.")
    job = access.own_job(request.headers, settings, job_id)
    table = JobTable(settings.jobs_table)
    if not job.terminal or "only" in request.query:
        return Answer(200, {"job": table.cancel(job_id).as_public()})  # which leaves an ended job alone
    # The files first: were the record gone and a file left, nobody could ask for it to be removed any more.
    storage.delete_artifacts(settings.artifact_bucket, job_id)
    storage.delete_photo(job.source)
    table.delete(job)
    return Answer(204, None)


def stream_events(request: Request, settings: Settings, job_id: str) -> Answer:
    """``GET /jobs/{job_id}/events``: what is new since ``Last-Event-ID`` as server-sent events, for now.

    The answer does not wait for news: the client comes back after ``retry`` milliseconds, as EventSource does
    by itself, until it is told 204. EventSource sends no headers of ours, so the token may come as ``?token=``.

    Reference: WHATWG HTML, "Server-sent events".
    """
    headers = dict(request.headers)
    if "authorization" not in headers and "token" in request.query:
        headers["authorization"] = f"Bearer {request.query['token']}"
    job = access.visible_job(access.bearer(headers, settings), settings, job_id)
    seen = _whole_number(headers.get("last-event-id", "")) or 0
    if job.terminal and job.seq <= seen:
        return Answer(204, None)
    text = f"retry: {_RETRY_MILLISECONDS}\n\n"
    if job.seq > seen:
        text += f"id: {job.seq}\nevent: job\ndata: {json.dumps(job.as_public())}\n\n"
    return Answer(200, text, {"Content-Type": "text/event-stream"})


def list_artifacts(request: Request, settings: Settings, job_id: str) -> Answer:
    """``GET /jobs/{job_id}/artifacts``: every file of a succeeded job, with a link that holds for minutes."""
    prefix, names = _artifacts(_visible_job(request, settings, job_id), settings)
    urls = links.to_files(settings, prefix, list(names))
    files = [
        {"name": name, **facts, "url": url} for (name, facts), url in zip(names.items(), urls, strict=True)
    ]
    return Answer(200, {"job_id": job_id, "artifacts": files, "expires_in": storage.DOWNLOAD_LINK_SECONDS})


def get_artifact(request: Request, settings: Settings, job_id: str, name: str) -> Answer:
    """``GET /jobs/{job_id}/artifacts/{name}``: sends the asker on to the file."""
    prefix, names = _artifacts(_visible_job(request, settings, job_id), settings)
    if name not in names:
        raise NotFound("This job has no such file.")
    link = links.to_file(settings, prefix + name)
    return Answer(302, {"url": link}, {"Location": link})


def create_share(request: Request, settings: Settings, job_id: str) -> Answer:
    """``POST /jobs/{job_id}/shares``: a link with which others may look at the job, and at nothing else.

    Body, optional: ``expires_in``, seconds; the link ends with the job at the latest.
    """
    job = access.own_job(request.headers, settings, job_id)
    seconds = _json(request, "expires_in", empty=True).get("expires_in", DEFAULT_SHARE_SECONDS)
    low, high = SHARE_SECONDS
    if isinstance(seconds, float) and seconds.is_integer():  # JSON makes no difference between 60 and 60.0
        seconds = int(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not low <= seconds <= high:
        raise BadInput(f"expires_in must be a whole number of seconds from {low} to {high}.")
    if job.status in ("failed", "canceled"):
        raise NotFound("This job has ended without a model: there is nothing to share.")
    ends = int(min(time.time() + seconds, job.expires_at))
    epoch = JobTable(settings.jobs_table).share(job_id).share_epoch
    token = tokens.issue_share(job_id, tokens.signing_key(settings), ends=ends, epoch=epoch)
    origin = settings.site_origin
    url = f"{origin}/#/shared/{job_id}/{token}" if origin else None
    return Answer(201, {"token": token, "url": url, "expires_at": iso(ends)})


def delete_shares(request: Request, settings: Settings, job_id: str) -> Answer:
    """``DELETE /jobs/{job_id}/shares``: takes every link to the job back (204), also where there is none.

    What a link's holder was sent to meanwhile, a file's own link, still holds for its quarter of an hour.
    """
    access.own_job(request.headers, settings, job_id)
    JobTable(settings.jobs_table).stop_sharing(job_id)
    return Answer(204, None)


def _with_poster(job: Job, settings: Settings) -> dict[str, Any]:
    key = job.manifest_key
    link = storage.poster_link(settings.artifact_bucket, key) if key is not None else None
    return job.as_public() | {"poster_url": link}


def _artifacts(job: Job, settings: Settings) -> tuple[str, dict[str, dict[str, Any]]]:
    """The folder of the job's results, and per file, the manifest included, what the manifest says of it."""
    if job.manifest_key is None:
        raise NotFound("This job has no files (yet): it has not succeeded.")
    manifest = storage.read_artifact(settings.artifact_bucket, job.manifest_key)
    prefix, _, own_name = job.manifest_key.rpartition("/")
    own_facts = {
        "bytes": len(manifest),
        "sha256": hashlib.sha256(manifest).hexdigest(),
        "type": content_type(own_name),
    }
    return f"{prefix}/", {**_facts(json.loads(manifest)), own_name: own_facts}


def _facts(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["name"]: {k: v for k, v in entry.items() if k != "name"} for entry in manifest["files"]}


def _visible_job(request: Request, settings: Settings, job_id: str) -> Job:
    return access.visible_job(access.bearer(request.headers, settings), settings, job_id)


def _present_owner(request: Request, settings: Settings) -> str | None:
    """The owner of the session that the request shows, if it shows one that holds."""
    try:
        return access.bearer(request.headers, settings).owner
    except Unauthorized:
        return None


def _whole_number(text: str) -> int | None:
    """What the digits say; None for anything else, and for more digits than any number here has."""
    return int(text) if len(text) <= 15 and text.isascii() and text.isdigit() else None


def _json(request: Request, *names: str, empty: bool = False) -> dict[str, Any]:
    """The body, which may hold ``names`` and nothing else; with ``empty``, there may be none at all."""
    if empty and not request.body.strip():
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadInput("The body must be a JSON object.")
    _only(body, *names)
    return body


def _only(given: Mapping[str, Any], *names: str) -> None:
    """Refuse what has no meaning here: most likely it was meant to have one."""
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise BadInput(f"{reprlib.repr(unknown[0])} is unknown here. There may be: {', '.join(names)}.")
