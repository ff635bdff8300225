"""The stack: made by ``sam deploy``, looked at through CloudFormation.

References: AWS SAM Developer Guide, "sam deploy"; AWS CloudFormation API Reference, "Stack status codes".
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from infra.deployment.target import Target
from infra.errors import StackFailed

#: sam keeps the functions' code in a bucket that it makes once per account and region, for all that it deploys
SAM_STACK = "aws-sam-cli-managed-default"
#: a stack that never came to be; sam begins it anew
_NOTHING_YET = ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE")
#: what no update can mend: stacks that never worked, and so hold nothing
_STILLBORN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")


@dataclass(frozen=True)
class Stack:
    """A stack as CloudFormation describes it."""

    arn: str
    status: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    changed_at: datetime

    def output(self, name: str) -> str:
        """Raises StackFailed when the stack does not have it: it was made of another template."""
        if name not in self.outputs:
            raise StackFailed(f"The stack has no output {name}: it was not made of this template.")
        return self.outputs[name]


def find(target: Target, name: str | None = None) -> Stack | None:
    """The stack, or None while there is none."""
    from botocore.exceptions import ClientError

    try:
        found = target.client("cloudformation").describe_stacks(StackName=name or target.name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            return None
        raise StackFailed(f"CloudFormation does not tell about the stack: {error}") from error
    if found["StackStatus"] in _NOTHING_YET:
        return None
    return Stack(
        arn=found["StackId"],
        status=found["StackStatus"],
        outputs={output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])},
        parameters={one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", [])},
        changed_at=found.get("LastUpdatedTime") or found["CreationTime"],
    )


def check_can_change(stack: Stack | None, name: str) -> None:
    """Raises StackFailed when the stack is in a state that ``sam deploy`` cannot lead out of."""
    if stack is None:
        return
    if stack.status.endswith("_IN_PROGRESS"):
        raise StackFailed(f"The stack is changing just now ({stack.status}). Wait until it has ended.")
    if stack.status in _STILLBORN:
        raise StackFailed(
            f"The stack was begun once and never worked ({stack.status}). Remove what is left of it, which "
            f"holds nothing yet: make destroy STACK={name} WITH_DATA=1"
        )
    if stack.status == "DELETE_FAILED":
        raise StackFailed(f"The stack was to be deleted, but not all of it was: make destroy STACK={name}")
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        raise StackFailed(
            "The last change could neither be made nor taken back (UPDATE_ROLLBACK_FAILED). The console says "
            f"why; then: aws cloudformation continue-update-rollback --stack-name {name}"
        )


def deploy(target: Target, sam: str, template: Path, parameters: Mapping[str, str]) -> tuple[Stack, bool]:
    """Make the stack what the template says; also answers whether anything had to be changed.

    Raises:
        StackFailed: it could not; the message names the first resource that failed.
    """
    before = find(target)
    command = [
        *(sam, "deploy", "--template-file", str(template), "--stack-name", target.name),
        *("--region", target.region),
        *(("--profile", target.profile) if target.profile else ()),
        *("--resolve-s3", "--s3-prefix", target.name, "--capabilities", "CAPABILITY_NAMED_IAM"),
        *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--parameter-overrides", *(_override(name, value) for name, value in parameters.items())),
    ]
    # cwd: sam takes up a samconfig.toml from where it runs.
    ended = subprocess.run(
        command, cwd=template.parent, env={**os.environ, "SAM_CLI_TELEMETRY": "0"}, check=False
    )
    after = find(target)
    if ended.returncode != 0 or after is None:
        reason = failure(target, after.arn) if after else None
        raise StackFailed(
            (f"{reason} " if reason else f"sam deploy ended with status {ended.returncode}; see above. ")
            + "CloudFormation has taken back what it began; mend it and run the same command again."
        )
    return after, before is None or before.changed_at != after.changed_at


def _override(name: str, value: str) -> str:
    """In quotes, with which sam takes spaces, commas, newlines and nothing at all."""
    escaped = value.replace('"', '\\"')
    return f'{name}="{escaped}"'


def failure(target: Target, stack_arn: str) -> str | None:
    """What went wrong first in the stack's last operation, in CloudFormation's words; None if nothing did."""
    first = None
    for event in _events(target, stack_arn):  # newest first
        if event["ResourceStatus"].endswith("_FAILED") and "ResourceStatusReason" in event:
            reason = event["ResourceStatusReason"]
            if "cancelled" not in reason.lower():
                first = f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}"
        begun = event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
        if begun and event["PhysicalResourceId"] == stack_arn:
            break
    return first


def _events(target: Target, stack_arn: str) -> Iterator[dict[str, Any]]:
    pages = target.client("cloudformation").get_paginator("describe_stack_events")
    for page in pages.paginate(StackName=stack_arn):
        yield from page["StackEvents"]
