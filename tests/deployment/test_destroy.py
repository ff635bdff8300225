"""``make destroy`` against moto: what goes, what stays, and that both are said."""

from __future__ import annotations

import json
import os
import pty
import sys
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.deployment import destroy
from infra.errors import DeploymentError, NotConfirmed, StackFailed
from tests.deployment.conftest import STACK, Bench

PLACE = "123456789012-us-east-1"
UPLOADS, ARTIFACTS, SITE = (f"{STACK}-{name}-{PLACE}" for name in ("upload", "artifact", "site"))
SAM_BUCKET = "aws-sam-cli-managed-default-samclisourcebucket-us-east-1"


@pytest.fixture
def deployed(bench: Bench) -> Bench:
    """A deployment that has been used: photos in several versions, models, jobs, keys."""
    bench.configure("links = true\naccess_key = true\n")
    bench.deploy()
    s3 = boto3.client("s3")
    for bucket in (UPLOADS, SITE):  # moto's CloudFormation does not
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(3):
        s3.put_object(Bucket=UPLOADS, Key="inbox/robot.png", Body=b"photo")
    s3.delete_object(Bucket=UPLOADS, Key="inbox/robot.png")
    s3.put_object(Bucket=ARTIFACTS, Key="jobs/1/1/mesh.glb", Body=b"glTF")
    s3.put_object(Bucket=SAM_BUCKET, Key="another-application/0123abcd", Body=b"code")
    boto3.client("dynamodb").put_item(TableName=f"{STACK}-jobs", Item={"job_id": {"S": "1"}})
    return bench


def buckets() -> set[str]:
    return {bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]}


def tables() -> list[str]:
    return list(boto3.client("dynamodb").list_tables()["TableNames"])


def stacks() -> list[str]:
    found = boto3.client("cloudformation").describe_stacks()["Stacks"]
    return [stack["StackName"] for stack in found]


def versions(bucket: str) -> list[Any]:
    listing = boto3.client("s3").list_object_versions(Bucket=bucket)
    return [*listing.get("Versions", []), *listing.get("DeleteMarkers", [])]


def test_the_stack_goes_and_what_people_put_in_stays_and_is_named(
    deployed: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.destroy()
    assert stacks() == ["aws-sam-cli-managed-default"]
    assert buckets() == {UPLOADS, ARTIFACTS, SAM_BUCKET}
    assert tables() == [f"{STACK}-jobs"]
    assert len(versions(UPLOADS)) == 4
    assert boto3.client("dynamodb").scan(TableName=f"{STACK}-jobs")["Count"] == 1
    with pytest.raises(ClientError, match="RepositoryNotFound"):
        boto3.client("ecr").describe_images(repositoryName=STACK)
    told = capsys.readouterr().out
    before, _, after = told.partition("Deleting the stack")
    for name in (UPLOADS, ARTIFACTS, f"{STACK}-jobs"):
        assert name in before.partition("These stay")[2]
        assert name in after.partition("Still there")[2]
    assert "WITH_DATA=1" in after
    assert "aws-sam-cli-managed-default stays" in after


def test_with_data_everything_of_this_deployment_goes_and_nothing_else(
    deployed: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.destroy("--with-data")
    assert buckets() == {SAM_BUCKET}
    assert tables() == []
    assert [version["Key"] for version in versions(SAM_BUCKET)] == ["another-application/0123abcd"]
    assert boto3.client("secretsmanager").list_secrets()["SecretList"] == []
    assert "It will also delete, with all that they hold" in capsys.readouterr().out


def test_a_stack_that_is_none_of_ours_is_left_alone(account: None) -> None:
    body = {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "somebodys"}}}}
    boto3.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(body))
    boto3.client("s3").put_object(Bucket="somebodys", Key="precious")
    with pytest.raises(StackFailed, match="not one of Maquette"):
        destroy.destroy(destroy.parse(["--stack", STACK, "--yes", "--with-data"]))
    assert stacks() == [STACK]
    assert boto3.client("s3").head_object(Bucket="somebodys", Key="precious")


def test_keys_go_with_the_stack_and_a_new_deployment_makes_new_ones(deployed: Bench) -> None:
    manager = boto3.client("secretsmanager")
    former = manager.get_secret_value(SecretId=f"{STACK}/access-key")["SecretString"]
    deployed.destroy("--with-data")
    deployed.deploy()
    assert manager.get_secret_value(SecretId=f"{STACK}/access-key")["SecretString"] != former


def test_data_that_was_left_can_go_later(deployed: Bench) -> None:
    deployed.destroy()
    deployed.destroy("--with-data")
    assert (buckets(), tables()) == ({SAM_BUCKET}, [])


def test_what_was_left_is_in_the_way_of_a_new_stack_of_the_same_name(deployed: Bench) -> None:
    deployed.destroy()
    with pytest.raises(
        DeploymentError, match="make destroy STACK=atelier REGION=us-east-1 WITH_DATA=1"
    ) as error:
        deployed.deploy()
    for name in (UPLOADS, ARTIFACTS, f"{STACK}-jobs"):
        assert name in str(error.value)
    assert stacks() == ["aws-sam-cli-managed-default"]


def test_a_removal_broken_off_after_the_stack_is_finished_by_the_next(deployed: Bench) -> None:
    where = destroy.target.find(STACK, region=None, profile=None)
    destroy.empty(where, SITE)
    destroy.worker_image.remove_all(where, deployed.outputs()["RepositoryUri"])
    boto3.client("cloudformation").delete_stack(StackName=STACK)
    deployed.destroy()
    assert boto3.client("secretsmanager").list_secrets()["SecretList"] == []
    assert [version["Key"] for version in versions(SAM_BUCKET)] == ["another-application/0123abcd"]


def test_more_objects_than_one_request_can_name_are_deleted(account: None) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="many")
    for number in range(1003):
        s3.put_object(Bucket="many", Key=str(number))
    where = destroy.target.find(STACK, region=None, profile=None)
    assert destroy.empty(where, "many") == 1003
    assert versions("many") == []


def type_in(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Destroy from a terminal on which somebody types ``answer``."""
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        try:
            destroy.destroy(destroy.parse(["--stack", STACK]))
        finally:
            os.close(ours)


def test_only_the_stacks_name_typed_removes_it(deployed: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ("yes\n", "atelie\n", "\n"):
        with pytest.raises(NotConfirmed, match="nothing was changed"):
            type_in(monkeypatch, answer)
    assert STACK in stacks()
    assert versions(SITE)
    type_in(monkeypatch, f"{STACK}\n")
    assert STACK not in stacks()


def test_without_a_terminal_and_without_yes_nothing_is_deleted(
    deployed: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nobody:  # noqa: PTH123 - not a terminal
        monkeypatch.setattr(sys, "stdin", nobody)
        with pytest.raises(NotConfirmed, match="YES=1"):
            destroy.destroy(destroy.parse(["--stack", STACK, "--with-data"]))
    assert STACK in stacks()
    assert buckets() == {UPLOADS, ARTIFACTS, SITE, SAM_BUCKET}
