"""``make destroy``: takes a deployment out of its account. See docs/operations.md, Remove.

    python -m infra.deployment.destroy --stack maquette [--with-data]

The stack goes, with everything that can be made again. What people have put in and got out (photos, models, the
records of jobs) stays, and is named, unless ``--with-data`` says otherwise.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from typing import Any

from infra.deployment import checks, keys, stack, target, worker_image
from infra.deployment.console import confirm, end, say
from infra.deployment.deploy import add_target_flags
from infra.deployment.stack import SAM_STACK, Stack
from infra.deployment.target import Target
from infra.errors import DeploymentError, StackFailed

#: resources by which a stack is known to be one of Maquette
_OURS = {"UploadBucket", "ArtifactBucket", "SiteBucket", "JobsTable"}
_KEPT = ("Retain", "RetainExceptOnCreate")
#: CloudFront takes its time to leave all edges, instances theirs to drain
_DELETION_SECONDS = 5400
_POLL_SECONDS = 15


@dataclass
class Inventory:
    """What there is, by what becomes of it."""

    #: buckets that the stack deletes, and must be empty for it
    buckets: list[str] = field(default_factory=list)
    #: what the stack leaves behind
    kept_buckets: list[str] = field(default_factory=list)
    kept_tables: list[str] = field(default_factory=list)


def destroy(given: argparse.Namespace) -> None:
    """Remove the stack; with ``with_data`` also what it would leave."""
    target.check_name(given.stack)
    where = target.find(given.stack, region=given.region, profile=given.profile)
    found = stack.find(where)
    if found and found.status.endswith("_IN_PROGRESS") and found.status != "DELETE_IN_PROGRESS":
        raise StackFailed(f"The stack is changing just now ({found.status}). Wait until it has ended.")
    inventory = _look(where, found)
    _announce(where, found, inventory, with_data=given.with_data)
    confirm(
        f"There is no way back. Type the stack's name, {given.stack}, to go on.",
        yes=given.yes,
        expected=given.stack,
    )
    if found:
        _remove_stack(where, found, inventory)
    code = _remove_code(where)
    secrets = keys.forget(where)
    if given.with_data:
        _remove_data(where, inventory)
    _tell(where, inventory, code, secrets, with_data=given.with_data)


def _look(where: Target, found: Stack | None) -> Inventory:
    inventory = Inventory()
    if found is None:
        buckets, table = checks.kept_names(where)
        there = checks.leftovers(where)
        inventory.kept_buckets = [name for name in buckets if name in there]
        inventory.kept_tables = [table] if table in there else []
        return inventory
    cloudformation = where.client("cloudformation")
    body = cloudformation.get_template(StackName=found.arn, TemplateStage="Processed")["TemplateBody"]
    policies = {name: about.get("DeletionPolicy") for name, about in _resources(body).items()}
    if not set(policies) >= _OURS:
        raise StackFailed(f"The stack {where.name} is not one of Maquette: it is left alone.")
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=found.arn):
        for resource in page["StackResourceSummaries"]:
            name, kind = resource.get("PhysicalResourceId"), resource["ResourceType"]
            if not name or resource["ResourceStatus"] == "DELETE_COMPLETE":
                continue
            kept = policies.get(resource["LogicalResourceId"]) in _KEPT
            if kind == "AWS::S3::Bucket":
                (inventory.kept_buckets if kept else inventory.buckets).append(name)
            elif kind == "AWS::DynamoDB::Table" and kept:
                inventory.kept_tables.append(name)
    return inventory


def _resources(body: Any) -> dict[str, Any]:
    """Resources of a template as CloudFormation answers it: parsed if it is JSON, else as text."""
    from samtranslator.yaml_helper import yaml_parse

    return dict((yaml_parse(body) if isinstance(body, str) else body)["Resources"])


def _announce(where: Target, found: Stack | None, inventory: Inventory, *, with_data: bool) -> None:
    kept = [f"bucket {name}" for name in inventory.kept_buckets]
    kept += [f"table {name}" for name in inventory.kept_tables]
    if found is None:
        say(f"There is no {where}. What may be left of one, code and keys, goes.")
    else:
        say(f"This will delete the {where}:")
        say("  functions, APIs, queues with their messages, workers and their images, the site, logs, alarms.")
    if kept:
        say(f"{'It will also delete' if with_data else 'These stay'}, with all that they hold:")
        for line in kept:
            say(f"  {line}")


def _remove_stack(where: Target, found: Stack, inventory: Inventory) -> None:
    from botocore.exceptions import WaiterError

    if "RepositoryUri" in found.outputs:
        say(f"{worker_image.remove_all(where, found.outputs['RepositoryUri'])} images deleted.")
    for bucket in inventory.buckets:
        say(f"{empty(where, bucket)} objects deleted from {bucket}.")
    say("Deleting the stack; CloudFront alone takes some minutes …")
    cloudformation = where.client("cloudformation")
    cloudformation.delete_stack(StackName=found.arn)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=found.arn,
            WaiterConfig={"Delay": _POLL_SECONDS, "MaxAttempts": _DELETION_SECONDS // _POLL_SECONDS},
        )
    except WaiterError as error:
        reason = stack.failure(where, found.arn) or str(error)
        raise StackFailed(
            f"The stack could not be deleted. {reason} Mend it and run the same command again."
        ) from error


def empty(where: Target, bucket: str, prefix: str = "") -> int:
    """Delete every version of every object under ``prefix``; returns how many.

    Raises:
        DeploymentError: S3 keeps some.
    """
    s3, count = where.client("s3"), 0
    while True:  # always the first page: what a second one follows on would be gone
        page = s3.list_object_versions(Bucket=bucket, Prefix=prefix)
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        if not found:
            return count
        wanted = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted, "Quiet": True})
        for error in answer.get("Errors", []):
            raise DeploymentError(f"S3 keeps {error['Key']} in {bucket}: {error.get('Message', error['Code'])}")
        count += len(wanted)


def _remove_code(where: Target) -> int:
    """The functions' code in sam's bucket; the bucket may hold that of other applications, too."""
    shared = stack.find(where, SAM_STACK)
    if shared is None:
        return 0
    return empty(where, shared.output("SourceBucket"), f"{where.name}/")


def _remove_data(where: Target, inventory: Inventory) -> None:
    for bucket in inventory.kept_buckets:
        say(f"{empty(where, bucket)} objects deleted from {bucket}.")
        where.client("s3").delete_bucket(Bucket=bucket)
    dynamodb = where.client("dynamodb")
    for table in inventory.kept_tables:
        dynamodb.delete_table(TableName=table)
        dynamodb.get_waiter("table_not_exists").wait(TableName=table)


def _tell(where: Target, inventory: Inventory, code: int, secrets: list[str], *, with_data: bool) -> None:
    say(f"Gone: {where.name}, {code} uploads of its code, {len(secrets)} keys.")
    stays = [] if with_data else [*inventory.kept_buckets, *inventory.kept_tables]
    if stays:
        say("Still there, and still paid for: " + ", ".join(stays))
        say(f"To delete them, too: make destroy STACK={where.name} REGION={where.region} WITH_DATA=1")
    if stack.find(where, SAM_STACK):
        say(f"The stack {SAM_STACK} stays: its bucket serves everything that sam deploys in this region.")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make destroy", description="Take Maquette out of an AWS account.")
    add_target_flags(parser)
    parser.add_argument("--with-data", action="store_true", help="also photos, models and the records of jobs")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    given = parse(sys.argv[1:] if arguments is None else arguments)
    end(lambda: destroy(given))


if __name__ == "__main__":
    main()
