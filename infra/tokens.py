"""Who is asking: session tokens speak for an owner, share tokens for one job. Signed, not stored.

They are JWT with HS256 (RFC 7519). The audience (``aud``) tells the two kinds apart.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from infra.clients import client
from infra.errors import Unauthorized
from infra.job import Job
from infra.settings import Settings

#: As long as the jobs that the session can own; see :data:`infra.job.RETENTION_SECONDS`.
SESSION_SECONDS = 30 * 24 * 3600

_ISSUER = "maquette"
_ALGORITHM = "HS256"
_SESSION = "session"
_SHARE = "share"

#: Three parts in Base64url, the last of them 32 bytes in their only spelling: decoders pass over letters that
#: are none of theirs and bits that are too many, and one token would have many forms (RFC 4648, sections 3.3
#: and 3.5). None of ours is longer than a few hundred letters.
_ONE_OF_OURS = re.compile(r"(?=.{,1024}\Z)[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)


@dataclass(frozen=True)
class Bearer:
    """For whom a token speaks: an owner, or anybody who was given the link of one job. Exactly one is set."""

    owner: str | None = None
    job_id: str | None = None
    #: of the link: the job's own has moved on once its owner has taken the links back
    share_epoch: int = 0

    def may_look_at(self, job: Job) -> bool:
        """True for what is their own, and for what was shared with them and still is."""
        if self.job_id is not None:
            return (self.job_id, self.share_epoch) == (job.job_id, job.share_epoch)
        return self.owner == job.owner


def issue(owner: str, key: str) -> tuple[str, int]:
    """A session token that speaks for ``owner``, and the second since 1970 at which it ends."""
    ends = int(time.time()) + SESSION_SECONDS
    return _signed(_SESSION, owner, ends, key), ends


def issue_share(job_id: str, key: str, *, ends: int, epoch: int) -> str:
    """A share token that lets its holder look at one job until ``ends``, seconds since 1970.

    It holds in one epoch of the job's sharing, which is 1 or more.
    """
    return _signed(_SHARE, job_id, ends, key, epoch=epoch)


def read(token: str, key: str) -> Bearer:
    """For whom the token speaks. Raises :class:`Unauthorized` when it is forged, expired or none of ours."""
    import jwt  # late: half the functions never see a token, and it may pull in all of cryptography

    if not _ONE_OF_OURS.fullmatch(token):
        raise _unknown()
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            issuer=_ISSUER,
            audience=[_SESSION, _SHARE],
            options={"require": ["iss", "sub", "exp", "aud"]},
        )
    except jwt.InvalidTokenError as error:
        raise _unknown() from error
    if claims["aud"] == _SESSION:
        return Bearer(owner=claims["sub"])
    if claims["aud"] == _SHARE:
        return Bearer(job_id=claims["sub"], share_epoch=_epoch(claims))
    raise Unauthorized("This token is for something else.")  # a list: the library accepts any overlap


def signing_key(settings: Settings) -> str:
    """The key itself, from the environment, or else once from Secrets Manager."""
    return settings.session_secret or stored_secret(settings.session_secret_arn)


@lru_cache(maxsize=4)
def stored_secret(arn: str) -> str:
    """A secret of Secrets Manager, asked for once per process."""
    return str(client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])


def _unknown() -> Unauthorized:
    return Unauthorized(
        "The session or link has ended or is not known. Start a new session with POST /sessions."
    )


def _epoch(claims: Mapping[str, Any]) -> int:
    epoch = claims.get("epoch")
    if type(epoch) is not int or epoch < 1:
        raise Unauthorized("This link is of a form that is no longer taken. Ask for a new one.")
    return epoch


def _signed(audience: str, subject: str, ends: int, key: str, **more: int) -> str:
    import jwt

    claims = {"iss": _ISSUER, "aud": audience, "sub": subject, "iat": int(time.time()), "exp": ends, **more}
    return jwt.encode(claims, key, _ALGORITHM)
