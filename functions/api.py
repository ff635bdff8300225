"""REST: sessions, jobs, artifacts. Plain functions from a request to an answer; ``functions.app`` wires them.

Whoever asks for something of someone else's is told what they would be told were it not there: 404.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra import listing, storage, tokens
from infra.artifacts import content_type
from infra.errors import BadInput, InvalidOption, NotFound, Unauthorized
from infra.job import OPERATOR, Job, Source, iso
from infra.jobs import JobTable
from infra.options import Options
from infra.settings import Settings

_LARGEST_PAGE = 100


@dataclass(frozen=True)
class Request:
    """What the handlers look at of a request; header names in lower case."""

    body: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """A status, a JSON body and headers beyond the usual ones."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def create_session(request: Request, settings: Settings) -> Answer:
    """``POST /sessions``: a token that owns whatever is made with it."""
    owner = OPERATOR if settings.open_sessions else str(uuid.uuid4())
    token, expires_at = tokens.issue(owner, tokens.signing_key(settings))
    return Answer(201, {"token": token, "expires_at": iso(expires_at)})


def create_job(request: Request, settings: Settings) -> Answer:
    """``POST /jobs``: a job that waits for its photo, and the form to upload it with.

    Body: ``filename``, and optionally ``content_type`` and ``options``.
    """
    owner = _owner(request, settings)
    body = _json(request)
    unknown = sorted(set(body) - {"filename", "content_type", "options"})
    if unknown:
        raise BadInput(f"{unknown[0]!r} is unknown here; a job has filename, content_type and options.")
    filename, options, kind = body.get("filename"), body.get("options") or {}, body.get("content_type")
    if not isinstance(filename, str) or not filename.strip():
        raise BadInput("filename must name the photo, as in robot.png.")
    if not isinstance(options, dict):
        raise InvalidOption("options must be a JSON object.")
    if kind is not None and not isinstance(kind, str):
        raise InvalidOption("content_type must be a text such as image/png.")
    kind = storage.image_type(filename, kind)
    parsed = Options.parse(options)
    job_id = str(uuid.uuid4())
    source = Source(settings.upload_bucket, storage.upload_key(job_id, filename))
    job = JobTable(settings.jobs_table).create(job_id, owner, source, parsed.as_dict(), arrived=False)
    form = storage.upload_form(source.bucket, source.key, kind)
    return Answer(201, {"job": job.as_public(), "upload": {"url": form.url, "fields": form.fields}})


def list_jobs(request: Request, settings: Settings) -> Answer:
    """``GET /jobs?limit=&cursor=``: one's own jobs, newest first."""
    owner = _owner(request, settings)
    limit = request.query.get("limit", "20")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= _LARGEST_PAGE):
        raise BadInput(f"limit must be a whole number from 1 to {_LARGEST_PAGE}.")
    table = JobTable(settings.jobs_table)
    page = listing.owned(table, owner, limit=int(limit), cursor=request.query.get("cursor"))
    return Answer(200, {"jobs": [job.as_public() for job in page.jobs], "cursor": page.cursor})


def get_job(request: Request, settings: Settings, job_id: str) -> Answer:
    """``GET /jobs/{job_id}``."""
    return Answer(200, {"job": _own_job(request, settings, job_id).as_public()})


def list_artifacts(request: Request, settings: Settings, job_id: str) -> Answer:
    """``GET /jobs/{job_id}/artifacts``: every file of a succeeded job, with a link that holds for minutes."""
    job = _own_job(request, settings, job_id)
    prefix, names = _artifacts(job, settings)
    files = [
        {"name": name, **facts, "url": storage.download_link(settings.artifact_bucket, prefix + name)}
        for name, facts in names.items()
    ]
    return Answer(200, {"job_id": job_id, "artifacts": files, "expires_in": storage.DOWNLOAD_LINK_SECONDS})


def get_artifact(request: Request, settings: Settings, job_id: str, name: str) -> Answer:
    """``GET /jobs/{job_id}/artifacts/{name}``: sends the asker on to the file."""
    prefix, names = _artifacts(_own_job(request, settings, job_id), settings)
    if name not in names:
        raise NotFound("This job has no such file.")
    link = storage.download_link(settings.artifact_bucket, prefix + name)
    return Answer(302, {"url": link}, {"Location": link})


def _artifacts(job: Job, settings: Settings) -> tuple[str, dict[str, dict[str, Any]]]:
    """The folder of the job's results, and per file, the manifest included, what the manifest says of it."""
    if job.manifest_key is None:
        raise NotFound("This job has no files (yet): it has not succeeded.")
    manifest = storage.read_manifest(settings.artifact_bucket, job.manifest_key)
    prefix, _, own_name = job.manifest_key.rpartition("/")
    return f"{prefix}/", {**_facts(manifest), own_name: {"type": content_type(own_name)}}


def _facts(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["name"]: {k: v for k, v in entry.items() if k != "name"} for entry in manifest["files"]}


def _own_job(request: Request, settings: Settings, job_id: str) -> Job:
    owner = _owner(request, settings)
    job = JobTable(settings.jobs_table).get(job_id)
    if job.owner != owner:
        raise NotFound(f"There is no job {job_id}.")
    return job


def _owner(request: Request, settings: Settings) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Send the header 'Authorization: Bearer …' with the token of POST /sessions.")
    return tokens.owner_of(token.strip(), tokens.signing_key(settings))


def _json(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadInput("The body must be a JSON object.")
    return body
