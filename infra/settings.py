"""Everything the cloud tells this code about itself: environment variables, read in one place.

Functions and worker get their names and addresses from ``template.yaml``; the local cloud sets the same
variables. A variable is looked up when it is asked for, so each process needs only those it uses, and a missing
one is named in the error instead of surfacing as a strange answer from AWS.

==============================  ==========================================================================
MAQUETTE_UPLOAD_BUCKET          photos arrive here: ``inbox/…`` and ``uploads/{job_id}/…``
MAQUETTE_ARTIFACT_BUCKET        results leave from here: ``jobs/{job_id}/{attempt}/…``
MAQUETTE_JOBS_TABLE             one record per job
MAQUETTE_CONNECTIONS_TABLE      one record per open WebSocket
MAQUETTE_JOB_QUEUE_URL          wakes the workers
MAQUETTE_EVENT_BUS              name of the bus that hears of every ended job
MAQUETTE_SOCKET_ENDPOINT        ``https://…`` address that WebSocket frames are posted to
MAQUETTE_SESSION_SECRET         key that signs session tokens, at least 32 bytes; or instead of it:
MAQUETTE_SESSION_SECRET_ARN     the Secrets Manager secret that holds the key
MAQUETTE_ACCESS_KEY             key that a new session must give; or instead of it, if any is wanted:
MAQUETTE_ACCESS_KEY_ARN         the Secrets Manager secret that holds it; neither: anyone may start one
MAQUETTE_LINK_DOMAIN            distribution that links to results lead to; with both of these, or none of
MAQUETTE_LINK_KEY_ID            the three: then they lead to the bucket. Id of the key that it trusts;
MAQUETTE_LINK_SECRET_ARN        the Secrets Manager secret with the private half, PEM (PKCS #1)
MAQUETTE_OPEN_SESSIONS          ``operator``: every new session is the operator's (a machine of one's own)
MAQUETTE_OWNER_JOBS             jobs that one visitor may have under way (50); the operator is not counted
MAQUETTE_SITE_ORIGIN            origin that may call REST from a browser; unset: none but its own
MAQUETTE_WEIGHTS                worker: folder of the TripoSR weights; unset: what a fetch has left here
MAQUETTE_MATTE_MODEL            worker: the U²-Net model file; unset: likewise
MAQUETTE_LEASE_SECONDS          worker: how long a silent worker keeps its job (60)
MAQUETTE_JOB_DEADLINE_SECONDS   worker: longest run of one attempt (900)
MAQUETTE_THREADS                worker: CPU threads; unset: all cores
MAQUETTE_JOB_MEMORY             worker: most memory that a job may take, MB; unset: nine tenths of what is there
MAQUETTE_HEALTH_FILE            worker: where it leaves signs of life; unset: nowhere
MAQUETTE_DEPLOYMENT             name of this deployment, ``service`` of its logs and metrics (maquette)
MAQUETTE_LOG                    ``json``: lines and metrics for CloudWatch; ``text`` (default): for a person
ECS_AGENT_URI                   worker: ECS sets it, and then the worker asks for scale-in protection
==============================  ==========================================================================
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from infra.errors import BadConfiguration
from infra.weights import default_directory, default_matte_model

#: HS256 wants a key as long as its hash (RFC 7518, section 3.2).
SESSION_SECRET_BYTES = 32


@dataclass(frozen=True)
class LinkKey:
    """What signs links to results for a distribution."""

    domain: str
    key_id: str
    secret_arn: str


@dataclass(frozen=True)
class Settings:
    """The environment, typed. Every property raises :class:`BadConfiguration` naming its variable."""

    environment: Mapping[str, str]

    @property
    def upload_bucket(self) -> str:
        return self._required("MAQUETTE_UPLOAD_BUCKET")

    @property
    def artifact_bucket(self) -> str:
        return self._required("MAQUETTE_ARTIFACT_BUCKET")

    @property
    def jobs_table(self) -> str:
        return self._required("MAQUETTE_JOBS_TABLE")

    @property
    def connections_table(self) -> str:
        return self._required("MAQUETTE_CONNECTIONS_TABLE")

    @property
    def job_queue_url(self) -> str:
        return self._required("MAQUETTE_JOB_QUEUE_URL")

    @property
    def event_bus(self) -> str:
        return self._required("MAQUETTE_EVENT_BUS")

    @property
    def socket_endpoint(self) -> str:
        return self._required("MAQUETTE_SOCKET_ENDPOINT")

    @property
    def session_secret(self) -> str | None:
        """The signing key itself; None where :attr:`session_secret_arn` names it."""
        secret = self.environment.get("MAQUETTE_SESSION_SECRET") or None
        if secret is not None and len(secret.encode()) < SESSION_SECRET_BYTES:
            raise BadConfiguration(f"MAQUETTE_SESSION_SECRET must have {SESSION_SECRET_BYTES} bytes or more.")
        return secret

    @property
    def session_secret_arn(self) -> str:
        return self._required("MAQUETTE_SESSION_SECRET_ARN")

    @property
    def access_key(self) -> str | None:
        """What a new session must give; None where none is wanted or :attr:`access_key_arn` names it."""
        return self.environment.get("MAQUETTE_ACCESS_KEY") or None

    @property
    def access_key_arn(self) -> str | None:
        return self.environment.get("MAQUETTE_ACCESS_KEY_ARN") or None

    @property
    def link_key(self) -> LinkKey | None:
        """None where links lead to the bucket."""
        names = ("MAQUETTE_LINK_DOMAIN", "MAQUETTE_LINK_KEY_ID", "MAQUETTE_LINK_SECRET_ARN")
        given = [self.environment.get(name) or None for name in names]
        if not any(given):
            return None
        return LinkKey(*(self._required(name) for name in names))

    @property
    def open_sessions(self) -> bool:
        """True where every session is the operator's: one machine, one person."""
        value = self.environment.get("MAQUETTE_OPEN_SESSIONS", "")
        if value not in ("", "operator"):
            raise BadConfiguration(f"MAQUETTE_OPEN_SESSIONS must be 'operator' or unset, not {value!r}.")
        return value == "operator"

    @property
    def owner_jobs(self) -> int:
        """Most jobs that an owner may have that have not ended."""
        return math.ceil(self._number("MAQUETTE_OWNER_JOBS", 50.0))

    @property
    def site_origin(self) -> str | None:
        return self.environment.get("MAQUETTE_SITE_ORIGIN") or None

    @property
    def deployment(self) -> str:
        return self.environment.get("MAQUETTE_DEPLOYMENT") or "maquette"

    @property
    def log_form(self) -> Literal["json", "text"]:
        value = self.environment.get("MAQUETTE_LOG") or "text"
        if value not in ("json", "text"):
            raise BadConfiguration(f"MAQUETTE_LOG must be 'json' or 'text', not {value!r}.")
        return "json" if value == "json" else "text"

    @property
    def weights(self) -> Path | None:
        return self._path("MAQUETTE_WEIGHTS") or default_directory(self.environment)

    @property
    def matte_model(self) -> Path | None:
        return self._path("MAQUETTE_MATTE_MODEL") or default_matte_model(self.environment)

    @property
    def lease_seconds(self) -> float:
        return self._number("MAQUETTE_LEASE_SECONDS", 60.0)

    @property
    def job_deadline_seconds(self) -> float:
        return self._number("MAQUETTE_JOB_DEADLINE_SECONDS", 900.0)

    @property
    def threads(self) -> int | None:
        """CPU threads of the worker; None leaves the choice to the machine."""
        return int(self._number("MAQUETTE_THREADS", 0.0)) or None

    @property
    def job_memory(self) -> float | None:
        """Bytes that the worker may have in RAM while a job runs; None leaves the choice to the machine."""
        return self._number("MAQUETTE_JOB_MEMORY", 0.0) * 1e6 or None

    @property
    def health_file(self) -> Path | None:
        return self._path("MAQUETTE_HEALTH_FILE")

    @property
    def agent_uri(self) -> str | None:
        return self.environment.get("ECS_AGENT_URI") or None

    def _required(self, name: str) -> str:
        value = self.environment.get(name)
        if not value:
            raise BadConfiguration(f"The environment variable {name} is not set.")
        return value

    def _path(self, name: str) -> Path | None:
        value = self.environment.get(name)
        return Path(value) if value else None

    def _number(self, name: str, default: float) -> float:
        text = self.environment.get(name)
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf"):
            raise BadConfiguration(f"{name} must be a number above 0, not {text!r}.")
        return value


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings; the environment is copied once, so later changes to it do not matter."""
    return Settings(dict(os.environ))
