"""Links to results: for some minutes, to one file, or to the files of one job.

Where the deployment has a key for it they lead to its distribution, which gives out what is signed for; else to
the bucket itself. A signature for CloudFront takes a small function about a tenth of a second, so a list of
files gets one for all of them: it opens the folder that the list shows, to the one who may see the list.

Reference: Amazon CloudFront Developer Guide, "Use signed URLs", "Create a signed URL using a canned policy",
"Create a signed URL using a custom policy".
"""

from __future__ import annotations

import base64
import json
import time
from functools import lru_cache
from typing import Any

from infra import storage, tokens
from infra.errors import BadConfiguration
from infra.settings import LinkKey, Settings


def to_file(settings: Settings, key: str) -> str:
    """A link to the one artifact at ``key``."""
    given = settings.link_key
    if given is None:
        return storage.download_link(settings.artifact_bucket, key)
    address = f"https://{given.domain}/{key}"
    ends = _ends()
    return f"{address}?Expires={ends}&{_signature(given, _policy(address, ends))}"


def to_files(settings: Settings, prefix: str, names: list[str]) -> list[str]:
    """Links to artifacts ``names`` under ``prefix``, the folder of one attempt at one job."""
    given = settings.link_key
    if given is None:
        return [storage.download_link(settings.artifact_bucket, prefix + name) for name in names]
    folder = f"https://{given.domain}/{prefix}"
    policy = _policy(f"{folder}*", _ends())
    query = f"Policy={_in_an_address(policy)}&{_signature(given, policy)}"
    return [f"{folder}{name}?{query}" for name in names]


def _ends() -> int:
    return int(time.time()) + storage.DOWNLOAD_LINK_SECONDS


def _policy(resource: str, ends: int) -> bytes:
    """What is allowed until ``ends``, to the letter as CloudFront puts it together from a canned policy."""
    statement = {"Resource": resource, "Condition": {"DateLessThan": {"AWS:EpochTime": ends}}}
    return json.dumps({"Statement": [statement]}, separators=(",", ":")).encode()


def _signature(given: LinkKey, policy: bytes) -> str:
    import rsa  # late: only here, and not everywhere

    signed = rsa.sign(policy, _private_key(given.secret_arn), "SHA-1")  # what it expects unless told otherwise
    return f"Signature={_in_an_address(signed)}&Key-Pair-Id={given.key_id}"


@lru_cache(maxsize=1)
def _private_key(secret_arn: str) -> Any:
    import rsa
    from pyasn1.error import PyAsn1Error

    try:
        return rsa.PrivateKey.load_pkcs1(tokens.stored_secret(secret_arn).encode())
    except (ValueError, PyAsn1Error):
        # From None: the cause may quote what it could not read.
        raise BadConfiguration(
            "The secret that MAQUETTE_LINK_SECRET_ARN names holds no RSA key in PEM of PKCS #1 "
            "(BEGIN RSA PRIVATE KEY). openssl rsa -traditional makes one of another form."
        ) from None


def _in_an_address(value: bytes) -> str:
    """Base64 in CloudFront's own alphabet."""
    return base64.b64encode(value).decode().translate(str.maketrans("+=/", "-_~"))
