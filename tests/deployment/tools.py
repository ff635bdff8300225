"""Programs that a deployment starts, in their place: they write down how, and do in moto what they would in AWS.

python -m tests.deployment.tools NAME ARGUMENT…        as NAME: sam, docker, podman, buildah or make

$TOOLS_LOG receives one JSON line per call: name, arguments, standard input where it was read. $TOOLS_FAIL names
calls that fail, such as ``docker push``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

#: sam's own expression for one override in quotes (samcli.cli.types.CfnParameterOverridesType)
OVERRIDE = re.compile(r'([A-Za-z0-9]+)="((?:\\.|[^"\\]+)*)"', re.DOTALL)


def main() -> None:
    name, *arguments = sys.argv[1:]
    given = sys.stdin.read() if "--password-stdin" in arguments else None
    call = {"name": name, "arguments": arguments, "given": given, "folder": str(Path.cwd())}
    with Path(os.environ["TOOLS_LOG"]).open("a", encoding="utf-8") as log:
        log.write(json.dumps(call) + "\n")
    if f"{name} {arguments[0]}" in os.environ.get("TOOLS_FAIL", "").split(","):
        sys.exit(f"{name}: {arguments[0]} was told to fail")
    if name == "sam":
        sam(arguments)
    elif name == "make":
        shutil.copytree(os.environ["TOOLS_SITE"], Path("web/dist"), dirs_exist_ok=True)
    elif arguments[0] == "push":
        push(arguments[1])


def push(remote: str) -> None:
    """An image of the asked tag; its manifest is as good as any."""
    repository, _, tag = remote.partition("/")[2].rpartition(":")
    digest = "sha256:" + hashlib.sha256(remote.encode()).hexdigest()
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": {"digest": digest}, "layers": []}
    boto3.client("ecr").put_image(repositoryName=repository, imageTag=tag, imageManifest=json.dumps(manifest))


def sam(arguments: list[str]) -> None:
    """``sam deploy``: a stack with the outputs of the template, code in sam's own bucket."""
    options = dict(zip(arguments, arguments[1:], strict=False))
    stack, region = options["--stack-name"], options["--region"]
    overrides = arguments[arguments.index("--parameter-overrides") + 1 :]
    parameters = {}
    for override in overrides:
        found = OVERRIDE.fullmatch(override)
        assert found, override
        parameters[found[1]] = found[2].replace('\\"', '"')
    cloudformation = boto3.client("cloudformation", region_name=region)
    code_bucket = make_sam_bucket(cloudformation, region)
    boto3.client("s3").put_object(Bucket=code_bucket, Key=f"{options['--s3-prefix']}/0123abcd", Body=b"code")
    body = json.dumps(template(stack, region, parameters))
    try:
        there = cloudformation.get_template(StackName=stack)["TemplateBody"]
    except ClientError:
        cloudformation.create_stack(StackName=stack, TemplateBody=body)
        return
    if json.loads(json.dumps(there)) == json.loads(body):
        print(f"No changes to deploy. Stack {stack} is up to date")
        return
    cloudformation.update_stack(StackName=stack, TemplateBody=body)
    # CloudFormation passes a new revision on to the service that refers to it; moto's does not.
    boto3.client("ecs").update_service(
        cluster=stack, service=f"{stack}-worker", taskDefinition=f"{stack}-worker"
    )


def make_sam_bucket(cloudformation: Any, region: str) -> str:
    name = f"aws-sam-cli-managed-default-samclisourcebucket-{region}"
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}
    body = {"Resources": {"Bucket": bucket}, "Outputs": {"SourceBucket": {"Value": name}}}
    try:
        cloudformation.describe_stacks(StackName="aws-sam-cli-managed-default")
    except ClientError:
        cloudformation.create_stack(StackName="aws-sam-cli-managed-default", TemplateBody=json.dumps(body))
    return name


def template(stack: str, region: str, parameters: dict[str, str]) -> dict[str, Any]:
    """A stack with what a deployment looks at: names, policies and outputs as in template.yaml."""
    place = f"{boto3.client('sts').get_caller_identity()['Account']}-{region}"
    kept = {"DeletionPolicy": "Retain"}

    def bucket(name: str, **more: Any) -> dict[str, Any]:
        return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{stack}-{name}-{place}", **more}}

    versioned = {"VersioningConfiguration": {"Status": "Enabled"}}
    table = {
        "TableName": f"{stack}-jobs",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "job_id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "job_id", "KeyType": "HASH"}],
    }
    image = (
        f"{place.partition('-')[0]}.dkr.ecr.{region}.amazonaws.com/{stack}:{parameters['ImageTag'] or 'none'}"
    )
    resources = {
        "UploadBucket": bucket("upload", **versioned) | kept,
        "ArtifactBucket": bucket("artifact") | kept,
        "SiteBucket": bucket("site", **versioned),
        "JobsTable": {"Type": "AWS::DynamoDB::Table", "Properties": table} | kept,
        "WorkerRepository": {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": stack}},
    }
    distribution = make_distribution(stack)
    make_service(f"{stack}-worker", stack, image)
    outputs = {
        "SiteUrl": f"https://{distribution}.cloudfront.example/",
        "SiteBucketName": {"Ref": "SiteBucket"},
        "DistributionId": distribution,
        "RestUrl": f"https://rest.execute-api.{region}.amazonaws.com/live",
        "SocketUrl": f"wss://socket.execute-api.{region}.amazonaws.com/live",
        "RepositoryUri": image.rpartition(":")[0],
        "ClusterName": stack,
        "ServiceName": f"{stack}-worker",
    }
    return {
        "Metadata": {"Parameters": parameters},
        "Resources": resources,
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }


def make_service(name: str, cluster: str, image: str) -> None:
    """The workers' service; moto's CloudFormation does not pass a new task definition on to it."""
    ecs, container = boto3.client("ecs"), {"name": "worker", "image": image, "memory": 1024}
    ecs.register_task_definition(family=name, containerDefinitions=[container])
    ecs.create_cluster(clusterName=cluster)
    if ecs.describe_services(cluster=cluster, services=[name])["services"]:
        ecs.update_service(cluster=cluster, service=name, taskDefinition=name)
    else:
        ecs.create_service(cluster=cluster, serviceName=name, taskDefinition=name, desiredCount=0)


def make_distribution(stack: str) -> str:
    """The stack's distribution, which moto's CloudFormation does not know how to make."""
    cloudfront = boto3.client("cloudfront")
    for known in cloudfront.list_distributions()["DistributionList"].get("Items", []):
        if known["Comment"] == stack:
            return str(known["Id"])
    origin = {
        "Id": "site",
        "DomainName": f"{stack}.s3.amazonaws.com",
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }
    config = {
        "CallerReference": stack,
        "Comment": stack,
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {"TargetOriginId": "site", "ViewerProtocolPolicy": "redirect-to-https"},
    }
    return str(cloudfront.create_distribution(DistributionConfig=config)["Distribution"]["Id"])


if __name__ == "__main__":
    main()
