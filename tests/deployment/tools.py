"""Programs that a deployment starts, in their place: they write down how, and do in moto what they do in AWS.

python -m tests.deployment.tools NAME ARGUMENT…        as NAME: sam, docker, podman, buildah or make

$TOOLS_LOG receives one JSON line per call: name, arguments, standard input where it was read. $TOOLS_FAIL names
calls that fail, such as ``docker push``.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

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
        sam_deploy(arguments)
    elif name == "make":
        shutil.copytree(os.environ["TOOLS_SITE"], Path("web/dist"), dirs_exist_ok=True)
    elif arguments[0] == "build" and "TOOLS_EDIT" in os.environ:  # somebody works on meanwhile
        Path(os.environ["TOOLS_EDIT"]).write_text("print('changed')\n")
    elif arguments[0] == "push":
        push(arguments[1])


def push(remote: str) -> None:
    """An image of the asked tag; its manifest is as good as any."""
    import boto3

    repository, _, tag = remote.partition("/")[2].rpartition(":")
    digest = "sha256:" + hashlib.sha256(remote.encode()).hexdigest()
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": {"digest": digest}, "layers": []}
    ecr = boto3.client("ecr", region_name=remote.split(".")[3])
    ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=json.dumps(manifest))


def sam_deploy(arguments: list[str]) -> None:
    """A stack with the outputs of the template, and code in sam's own bucket."""
    import boto3
    from botocore.exceptions import ClientError

    options = dict(itertools.pairwise(arguments))
    stack, region = options["--stack-name"], options["--region"]
    parameters = {}
    for override in arguments[arguments.index("--parameter-overrides") + 1 :]:
        found = OVERRIDE.fullmatch(override)
        assert found, override
        parameters[found[1]] = found[2].replace('\\"', '"')
    boto3.setup_default_session(region_name=region)
    cloudformation = boto3.client("cloudformation")
    code_bucket = make_sam_bucket(cloudformation, region)
    boto3.client("s3").put_object(Bucket=code_bucket, Key=f"{options['--s3-prefix']}/0123abcd", Body=b"code")
    wanted = template(stack, region, parameters)
    try:
        there = cloudformation.get_template(StackName=stack)["TemplateBody"]
    except ClientError:
        cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(wanted))
    else:
        if json.loads(json.dumps(there)) == wanted:
            print(f"No changes to deploy. Stack {stack} is up to date")
            return
        cloudformation.update_stack(StackName=stack, TemplateBody=json.dumps(wanted))
    repository = wanted["Outputs"]["RepositoryUri"]["Value"]
    make_service(f"{stack}-worker", stack, f"{repository}:{parameters['ImageTag'] or 'none'}")


def make_sam_bucket(cloudformation: Any, region: str) -> str:
    from botocore.exceptions import ClientError

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
    import boto3

    account = boto3.client("sts").get_caller_identity()["Account"]
    kept = {"DeletionPolicy": "Retain"}

    def bucket(name: str) -> dict[str, Any]:
        return {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BucketName": f"{stack}-{name}-{account}-{region}"},
        }

    table = {
        "TableName": f"{stack}-jobs",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "job_id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "job_id", "KeyType": "HASH"}],
    }
    resources = {
        "UploadBucket": bucket("upload") | kept,
        "ArtifactBucket": bucket("artifact") | kept,
        "SiteBucket": bucket("site"),
        "JobsTable": {"Type": "AWS::DynamoDB::Table", "Properties": table} | kept,
        "WorkerRepository": {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": stack}},
    }
    distribution = make_distribution(stack)
    outputs = {
        "SiteUrl": f"https://{distribution}.cloudfront.example/",
        "SiteBucketName": {"Ref": "SiteBucket"},
        "DistributionId": distribution,
        "RestUrl": f"https://rest.execute-api.{region}.amazonaws.com/live",
        "SocketUrl": f"wss://socket.execute-api.{region}.amazonaws.com/live",
        "RepositoryUri": f"{account}.dkr.ecr.{region}.amazonaws.com/{stack}",
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
    import boto3

    ecs, container = boto3.client("ecs"), {"name": "worker", "image": image, "memory": 1024}
    ecs.register_task_definition(family=name, containerDefinitions=[container])
    ecs.create_cluster(clusterName=cluster)
    if ecs.describe_services(cluster=cluster, services=[name])["services"]:
        ecs.update_service(cluster=cluster, service=name, taskDefinition=name)
    else:
        ecs.create_service(cluster=cluster, serviceName=name, taskDefinition=name, desiredCount=0)


def make_distribution(stack: str) -> str:
    """The stack's distribution, which moto's CloudFormation does not know how to make."""
    import boto3

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
