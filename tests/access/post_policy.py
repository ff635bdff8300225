"""A presigned POST judged as S3 documents it, where no emulator does all of it.

Reference: AWS S3 API, "Creating a POST policy" (every field of the form but ``x-amz-signature``, ``file``,
``policy`` and ``x-ignore-*`` must appear in the conditions) and "Calculating a signature" for POST.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_NEED_NO_CONDITION = {"x-amz-signature", "file", "policy"}


@dataclass(frozen=True)
class Bucket:
    """Where forms are sent, and the key that they must be signed with."""

    name: str
    region: str
    access_key: str
    secret_key: str

    def refusal(self, fields: Mapping[str, str], size: int, now: datetime | None = None) -> str | None:
        """Why S3 would not take a file of ``size`` bytes with these fields; None if it would."""
        policy = json.loads(base64.b64decode(fields.get("policy", "bnVsbA==")))
        if policy is None:
            return "an anonymous upload"
        if not hmac.compare_digest(self.signature(fields), fields.get("x-amz-signature", "")):
            return "signature"
        if (now or datetime.now(UTC)) > datetime.fromisoformat(policy["expiration"]):
            return "expired"
        given = {"bucket": self.name, **{name.lower(): value for name, value in fields.items()}}
        named = set()
        for condition in policy["conditions"]:
            refused, name = _judge(condition, given, size)
            if refused:
                return f"condition on {name}"
            named.add(name)
        unnamed = {name for name in given if not name.startswith("x-ignore-")} - named - _NEED_NO_CONDITION
        return f"extra field {min(unnamed)}" if unnamed else None

    def signature(self, fields: Mapping[str, str]) -> str:
        """What the form's policy should be signed with."""
        scope = fields.get("x-amz-credential", "").split("/")
        if scope[0] != self.access_key or scope[2:] != [self.region, "s3", "aws4_request"]:
            return "none"
        key = f"AWS4{self.secret_key}".encode()
        for part in (*scope[1:], fields["policy"]):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key.hex()


def _judge(condition: Any, given: Mapping[str, str], size: int) -> tuple[bool, str]:
    """Whether a condition refuses the form, and the field that it speaks of."""
    if isinstance(condition, Mapping):
        ((name, value),) = condition.items()
        return given.get(name.lower()) != value, name.lower()
    match condition:
        case ["eq", str(field), value]:
            return given.get(field.lstrip("$").lower()) != value, field.lstrip("$").lower()
        case ["starts-with", str(field), str(value)]:
            return not given.get(field.lstrip("$").lower(), "").startswith(value), field.lstrip("$").lower()
        case ["content-length-range", low, high]:
            return not low <= size <= high, "content-length-range"
    raise ValueError(f"There is no such condition: {condition}")
