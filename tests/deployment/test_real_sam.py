"""The real ``sam``, where it is installed, against moto: does it understand how we call it?

moto cannot transform a SAM template, so the stack is one queue; its parameters are those of the real template.
"""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest

from infra.deployment import checks, configuration, stack, target
from infra.errors import MissingDependency
from infra.local.moto import MotoServer
from tests.deployment.conftest import REGION, ROOT, STACK, declared

PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkq+/hkiG9w0=\nAQAB==\n-----END PUBLIC KEY-----\n"


@pytest.fixture
def sam() -> str:
    try:
        return checks.find_sam(ROOT)
    except MissingDependency:
        pytest.skip("sam is not installed; make template does it")


def test_every_parameter_arrives_as_it_was_given_and_a_second_run_changes_nothing(
    sam: str, aws: MotoServer, account: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # moto reads templates out of buckets only by this name of its own.
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url.replace("127.0.0.1", "localhost"))
    make_sam_bucket()
    template = {
        "Parameters": {name: {"Type": "String", "Default": "default"} for name in declared()},
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Name"}}}},
    }
    (tmp_path / "template.yaml").write_text(json.dumps(template))
    given = {"AlarmEmail": "me+alarms@example.org", "SubnetIds": "subnet-1,subnet-2", "MaxWorkers": "8"}
    ours = {"Name": STACK, "ImageTag": "", "LinkPublicKey": PUBLIC_KEY, "LinkSecretArn": "arn:aws:secret:x"}
    parameters = configuration.complete(declared(), given, ours)
    where = target.find(STACK, region=REGION, profile=None)

    made, changed = stack.deploy(where, sam, tmp_path / "template.yaml", parameters)
    assert changed
    assert made.parameters == parameters
    again, changed = stack.deploy(where, sam, tmp_path / "template.yaml", parameters)
    assert not changed
    assert again == made


def make_sam_bucket() -> None:
    """As sam itself would, but that moto loses the stack's tags on the way that sam takes."""
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "sam-code"}}
    body = {"Resources": {"Bucket": bucket}, "Outputs": {"SourceBucket": {"Value": "sam-code"}}}
    boto3.client("cloudformation").create_stack(
        StackName=stack.SAM_STACK,
        TemplateBody=json.dumps(body),
        Tags=[{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
    )
