"""Session tokens: who is asking. Signed, not stored: JWT with HS256 (RFC 7519)."""

from __future__ import annotations

import time
from functools import lru_cache

from infra.clients import client
from infra.errors import Unauthorized
from infra.settings import Settings

#: As long as the jobs that the session can own; see :data:`infra.job.RETENTION_SECONDS`.
SESSION_SECONDS = 30 * 24 * 3600

_ISSUER = "maquette"
_ALGORITHM = "HS256"


def issue(owner: str, key: str) -> tuple[str, int]:
    """A token that speaks for ``owner``, and the second since 1970 at which it ends."""
    import jwt  # late: half the functions never see a token, and it may pull in all of cryptography

    now = int(time.time())
    claims = {"iss": _ISSUER, "sub": owner, "iat": now, "exp": now + SESSION_SECONDS}
    return jwt.encode(claims, key, _ALGORITHM), now + SESSION_SECONDS


def owner_of(token: str, key: str) -> str:
    """For whom the token speaks. Raises :class:`Unauthorized` when it is forged, expired or none of ours."""
    import jwt

    required = ["iss", "sub", "exp"]
    try:
        claims = jwt.decode(token, key, algorithms=[_ALGORITHM], issuer=_ISSUER, options={"require": required})
    except jwt.InvalidTokenError as error:
        raise Unauthorized(
            "The session has ended or is not known. Start a new one with POST /sessions."
        ) from error
    return str(claims["sub"])


def signing_key(settings: Settings) -> str:
    """The key itself, from the environment, or else once from Secrets Manager."""
    return settings.session_secret or _stored_key(settings.session_secret_arn)


@lru_cache(maxsize=1)
def _stored_key(arn: str) -> str:
    return str(client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
