"""Is everything there that a deployment needs? Asked before anything is touched, and answered all at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from infra.deployment import stack as stacks
from infra.deployment.configuration import BUILDERS
from infra.deployment.stack import Stack
from infra.deployment.target import Target
from infra.errors import DeploymentError, MaquetteError, MissingDependency, NotReady

#: vCPUs that instances with a GPU may have in this account and region, by the quota's code; new accounts have 0
GPU_QUOTAS = {"L-3819A6DF": "spot", "L-DB2E81BA": "on-demand"}
VCPUS_PER_WORKER = 4
#: where ``make template`` puts the SAM command line
TOOLS = Path("build") / "tools" / "sam" / "bin"


class Problems(list[MaquetteError]):
    """What was found missing so far."""

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """An error inside is kept for later."""
        try:
            yield
        except MaquetteError as error:
            self.append(error)

    def tell(self) -> NoReturn:
        """Raise the one problem, or :class:`NotReady` with all of them."""
        if len(self) == 1:
            raise self[0]
        lines = "".join(f"\n- {error.code}: {error.message}" for error in self)
        raise NotReady(f"{len(self)} things are in the way; nothing was changed:{lines}")


def find_sam(root: Path) -> str:
    """The SAM command line: on the path, or where ``make template`` has put it."""
    found = shutil.which("sam") or shutil.which("sam", path=str(root / TOOLS))
    if found is None:
        raise MissingDependency(
            "The AWS SAM command line is not installed. 'make template' installs it into build/tools, "
            "or: pip install aws-sam-cli"
        )
    return found


def check_node() -> None:
    """The virtual environment brings a Node.js of its own; one on the path does as well."""
    if shutil.which(
        "node", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    ):
        return
    raise MissingDependency("Node.js, which builds the site, is not installed. Run: make setup")


def find_builder(wanted: str | None) -> str:
    """The first program that builds images and can do so now."""
    candidates = (wanted,) if wanted else BUILDERS
    reasons = []
    for name in candidates:
        found = shutil.which(name)
        if found is None:
            continue
        # docker's command line is nothing without its daemon; the other two need none.
        answer = subprocess.run([found, "info"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return found
        reasons.append(f"{name} does not work here: {answer.stderr.strip()}")
    if reasons:
        raise MissingDependency(". ".join(reasons))
    if wanted:
        raise MissingDependency(f"{wanted}, which deployment.toml asks for, is not installed.")
    raise MissingDependency("Nothing here builds container images. Install docker, podman or buildah.")


def check_leftovers(target: Target, stack: Stack | None) -> None:
    """What an earlier stack of the same name left behind would be in this one's way.

    Raises:
        DeploymentError: there is something; the message says what can be done about it.
    """
    found = [] if stack else leftovers(target)
    if found:
        raise DeploymentError(
            f"An earlier stack called {target.name} has left {', '.join(found)} behind. Choose another "
            f"STACK=… to keep them. To begin anew, delete them with all that they hold: "
            f"make destroy STACK={target.name} REGION={target.region} WITH_DATA=1"
        )


def leftovers(target: Target) -> list[str]:
    """Names of what a removed stack keeps, as far as it is there: see the template's deletion policies."""
    buckets, table = kept_names(target)
    return [name for name in buckets if _bucket_is_there(target, name)] + (
        [table] if _table_is_there(target, table) else []
    )


def kept_names(target: Target) -> tuple[list[str], str]:
    """The template's names of both buckets and of the jobs table."""
    place = f"{target.account}-{target.region}"
    return [f"{target.name}-upload-{place}", f"{target.name}-artifact-{place}"], f"{target.name}-jobs"


def _bucket_is_there(target: Target, name: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        target.client("s3").head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise DeploymentError(f"The bucket {name} cannot be looked at: {error}") from error
    return True


def _table_is_there(target: Target, name: str) -> bool:
    dynamodb = target.client("dynamodb")
    try:
        dynamodb.describe_table(TableName=name)
    except dynamodb.exceptions.ResourceNotFoundException:
        return False
    return True


def find_stack(target: Target) -> Stack | None:
    """The stack as it is, if ``sam deploy`` can make something of it."""
    found = stacks.find(target)
    stacks.check_can_change(found, target.name)
    return found


def quota_notes(target: Target) -> list[str]:
    """What the account's quotas for instances with a GPU mean for workers; one sentence per quota that matters.

    Nothing that stops a deployment: a quota can be raised afterwards.
    """
    from botocore.exceptions import ClientError

    quotas, notes = target.client("service-quotas"), []
    for code, kind in GPU_QUOTAS.items():
        try:
            allowed = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"]
        except ClientError as error:
            reason = error.response["Error"]["Code"]
            notes.append(f"The quota {code} ({kind} G instances) could not be read ({reason}).")
            continue
        if allowed < VCPUS_PER_WORKER:
            notes.append(
                f"No {kind} worker can start: the account may use {allowed:g} vCPUs of {kind} G instances, "
                f"and each worker takes {VCPUS_PER_WORKER}. Ask for more: aws service-quotas "
                f"request-service-quota-increase --region {target.region} --service-code ec2 "
                f"--quota-code {code} --desired-value 16"
            )
    return notes
