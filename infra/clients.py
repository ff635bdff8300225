"""boto3 clients, made when first used and then kept: importing this module costs nothing.

boto3 reads region, credentials and ``AWS_ENDPOINT_URL`` from the environment itself; whether the answers come
from AWS or from a program on the same machine makes a difference to the form of S3's addresses alone.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any


@cache
def client(service: str, endpoint_url: str | None = None) -> Any:
    """The process's client of ``service``; boto3's clients may be shared between threads."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=5,
        # Small questions are answered soon or never: a connection whose other end is gone should not hold a
        # worker up that has a minute to go in. 10 is above the longest long poll; a file may take its time.
        read_timeout=30 if service == "s3" else 10,
        retries={"mode": "standard", "total_max_attempts": 5},
        signature_version="s3v4" if service == "s3" else None,
        s3=_s3_addresses() if service == "s3" else None,
    )
    return boto3.client(service, endpoint_url=endpoint_url, config=config)


def _s3_addresses() -> dict[str, str]:
    """Links lead to ``{bucket}.s3.{region}.amazonaws.com``.

    Left to itself, boto3 signs links to ``{bucket}.s3.amazonaws.com``, which redirects for hours after a bucket
    was made in another region than us-east-1; a browser's upload does not survive that. A server of one's own
    need not have a name for each bucket: there the bucket stays in the path.
    """
    if os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL_S3"):
        return {}
    return {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}


def error_code(error: Any) -> str:
    """The code inside a botocore ``ClientError``, such as ``ConditionalCheckFailedException``."""
    return str(error.response.get("Error", {}).get("Code", ""))
