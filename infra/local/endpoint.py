"""Where the local cloud's AWS is, and who may talk to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: moto's and LocalStack's own; any value does
DUMMY_KEY = "test"


#: what leads boto3 to other accounts or endpoints, whatever the variables of :meth:`Endpoint.environment` say
LEADING_ELSEWHERE = (
    "AWS_DEFAULT_PROFILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
)


def leading_elsewhere() -> list[str]:
    """Variables of this process that lead boto3 away from here, those of single services included."""
    return [name for name in os.environ if name in LEADING_ELSEWHERE or name.startswith("AWS_ENDPOINT_URL_")]


def adopt(environment: Mapping[str, str]) -> None:
    """Make ``environment`` this process's, and leave no way from here to a real account."""
    for name in leading_elsewhere():
        del os.environ[name]
    os.environ.update(environment)


@dataclass(frozen=True)
class Endpoint:
    """One URL that answers every AWS service."""

    url: str
    region: str = "us-east-1"
    access_key_id: str = DUMMY_KEY
    secret_access_key: str = DUMMY_KEY

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of ``service`` at this endpoint."""
        import boto3

        session = boto3.Session(
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name=self.region,
        )
        return session.client(service, endpoint_url=self.url, **options)

    def environment(self) -> dict[str, str]:
        """What boto3 and the aws CLI read from the environment to reach this endpoint and nothing else."""
        direct = ",".join(dict.fromkeys([*os.environ.get("NO_PROXY", "").split(","), "127.0.0.1", "localhost"]))
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": direct.strip(","),
            "no_proxy": direct.strip(","),
        }
