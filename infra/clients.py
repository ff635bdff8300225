"""boto3 clients, made when first used and then kept: importing this module costs nothing.

boto3 reads region, credentials and ``AWS_ENDPOINT_URL`` from the environment itself; nothing here knows whether
the answers come from AWS or from a program on the same machine.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def client(service: str, endpoint_url: str | None = None) -> Any:
    """The process's client of ``service``; boto3's clients may be shared between threads."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=5,
        read_timeout=30,  # above the longest long poll
        retries={"mode": "standard", "total_max_attempts": 5},
        signature_version="s3v4" if service == "s3" else None,
    )
    return boto3.client(service, endpoint_url=endpoint_url, config=config)


def error_code(error: Any) -> str:
    """The code inside a botocore ``ClientError``, such as ``ConditionalCheckFailedException``."""
    return str(error.response.get("Error", {}).get("Code", ""))
