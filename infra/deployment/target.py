"""Where a deployment goes: one stack, in one account and region, reached with one profile."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from infra.errors import BadConfiguration, CredentialsMissing

#: what the template's parameter Name admits; stack, parameter and prefix of every name are the same word
NAME = re.compile(r"[a-z][a-z0-9-]{1,18}[a-z0-9]")
_HOW = (
    "Set AWS_PROFILE, or PROFILE=… on the command line, to a profile that may administer the account; "
    "'aws configure' or 'aws configure sso' makes one."
)


@dataclass(frozen=True)
class Target:
    """The place, with credentials that AWS has taken."""

    name: str
    region: str
    profile: str | None
    account: str
    #: ARN of the user or role that the credentials stand for
    caller: str

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.Session(profile_name=self.profile, region_name=self.region)

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def client(self, service: str) -> Any:
        """The boto3 client of ``service`` there."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service)
        return self._clients[service]

    def __str__(self) -> str:
        return f"stack {self.name} in account {self.account}, region {self.region}, as {self.caller}"


def check_name(name: str) -> None:
    """Raises BadConfiguration unless ``name`` can be a stack's and begin every name in it."""
    if not NAME.fullmatch(name):
        raise BadConfiguration(
            f"The stack cannot be called {name!r}: 3 to 20 small letters, digits and dashes, a letter first."
        )


def find(name: str, *, region: str | None, profile: str | None) -> Target:
    """Ask AWS who we are.

    Raises:
        CredentialsMissing: there are none, they have expired, or AWS cannot be asked.
        BadConfiguration: no region is said, or there is none of that name.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        _check_region(session)
        if session.get_credentials() is None:
            raise CredentialsMissing(f"No AWS credentials are to be found. {_HOW}")
        caller = session.client("sts").get_caller_identity()
    except ProfileNotFound as error:
        raise CredentialsMissing(f"{error}. {_HOW}") from error
    except ClientError as error:
        reason = error.response["Error"].get("Message") or error.response["Error"]["Code"]
        raise CredentialsMissing(
            f"AWS does not take the credentials: {reason} They may have expired, or the region may not be "
            f"enabled in this account. {_HOW}"
        ) from error
    except BotoCoreError as error:
        raise CredentialsMissing(f"AWS cannot be asked who you are: {error}. {_HOW}") from error
    return Target(name, session.region_name, profile, caller["Account"], caller["Arn"])


def _check_region(session: Any) -> None:
    if session.region_name is None:
        raise BadConfiguration("No region is said. Give REGION=…, such as us-east-1, or set AWS_REGION.")
    known = [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("cloudformation", partition)
    ]
    if session.region_name not in known:
        near = difflib.get_close_matches(session.region_name, known)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise BadConfiguration(f"AWS has no region {session.region_name!r}.{hint}")
