"""Values in template.yaml that no linter looks at, against what AWS's descriptions of its services admit."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from tests.template import Resources, names_in, of_type, statements, template

#: Policies that AWS writes and keeps; nothing else may be attached whole.
MANAGED = {
    "AWSLambdaBasicExecutionRole": "write its log",
    "AWSXrayWriteOnlyAccess": "send its traces",
    "AWSLambdaDynamoDBExecutionRole": "read the stream",
    "AmazonEC2ContainerServiceforEC2Role": "be a machine of ECS",
}


@pytest.fixture(scope="module")
def resources() -> Resources:
    return dict(template()["Resources"])


def admitted(service: str, shape: str) -> set[str]:
    """Every value of an enumeration in the description of a service."""
    found = botocore.session.get_session().get_service_model(service).shape_for(shape).enum
    assert found
    return set(found)


def test_functions_run_on_what_lambda_has(resources: Resources) -> None:
    for function in of_type(resources, "AWS::Lambda::Function").values():
        assert function["Runtime"] in admitted("lambda", "Runtime")
        assert function["Runtime"].startswith("python3.")
        assert function["Architectures"] == ["arm64"]
        assert 128 <= function["MemorySize"] <= 10240
        assert 1 <= function["Timeout"] <= 60
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["LoggingConfig"]["LogFormat"] in admitted("lambda", "LogFormat")


def test_a_function_of_the_gateway_answers_before_the_gateway_gives_up(resources: Resources) -> None:
    functions = of_type(resources, "AWS::Lambda::Function")
    for name in ("ApiFunction", "SocketFunction", "AuthorizeFunction"):
        assert functions[name]["Timeout"] <= 29, name


def test_streams_are_read_from_where_streams_can_be_read(resources: Resources) -> None:
    for mapping in of_type(resources, "AWS::Lambda::EventSourceMapping").values():
        assert mapping["StartingPosition"] in admitted("lambda", "EventSourcePosition") - {"AT_TIMESTAMP"}
        assert set(mapping["FunctionResponseTypes"]) <= admitted("lambda", "FunctionResponseType")
        assert 1 <= mapping["ParallelizationFactor"] <= 10
        assert 1 <= mapping["BatchSize"] <= 10000
    for table in of_type(resources, "AWS::DynamoDB::Table").values():
        if "StreamSpecification" in table:
            assert table["StreamSpecification"]["StreamViewType"] in admitted("dynamodb", "StreamViewType")


def test_buckets_tell_of_events_that_there_are(resources: Resources) -> None:
    events = {
        notification["Event"]
        for bucket in of_type(resources, "AWS::S3::Bucket").values()
        for notification in bucket.get("NotificationConfiguration", {}).get("LambdaConfigurations", [])
    }
    assert events
    assert events <= admitted("s3", "Event")


def test_a_policy_that_aws_writes_is_one_of_a_few(resources: Resources) -> None:
    attached = {
        str(arn["Fn::Sub"] if isinstance(arn, dict) else arn).rpartition("/")[2]
        for role in of_type(resources, "AWS::IAM::Role").values()
        for arn in role.get("ManagedPolicyArns", [])
    }
    assert attached == set(MANAGED)


def test_a_role_is_taken_by_one_service_each(resources: Resources) -> None:
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Effect"] == "Allow"
        assert statement["Action"] in ("sts:AssumeRole", ["sts:AssumeRole"])
        (service,) = services(statement["Principal"])
        assert service.split(".")[0] in ("lambda", "ecs-tasks", "ec2"), name


def services(principal: dict[str, Any]) -> list[str]:
    """The services that a principal names, and there is nothing else in it."""
    assert list(principal) == ["Service"]
    given = principal["Service"] if isinstance(principal["Service"], list) else [principal["Service"]]
    return [each["Fn::Sub"] if isinstance(each, dict) else each for each in given]


def test_an_action_is_one_that_its_service_has(resources: Resources) -> None:
    session = botocore.session.get_session()
    names = {
        "execute-api": {"ManageConnections"},
        "s3": {"ListBucket", "GetObjectVersion", "DeleteObjectVersion"},
    }
    for role, statement in statements(resources):
        given = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        for action in given:
            service, _, name = action.partition(":")
            known = names.get(service, set())
            if name not in known:
                known = known | set(session.get_service_model(service).operation_names)
            assert name in known, (role, action)


def test_every_log_group_is_kept_for_a_time_that_there_is(resources: Resources) -> None:
    # PutRetentionPolicy, in the reference of CloudWatch Logs
    possible = {
        1,
        3,
        5,
        7,
        14,
        30,
        60,
        90,
        120,
        150,
        180,
        365,
        400,
        545,
        731,
        1096,
        1827,
        2192,
        2557,
        2922,
        3288,
        3653,
    }
    for group in of_type(resources, "AWS::Logs::LogGroup").values():
        assert group["RetentionInDays"] in possible


def test_whatever_a_stack_leaves_behind_is_a_bucket_or_a_table_with_what_people_made(
    resources: Resources,
) -> None:
    kept = {name for name, thing in resources.items() if thing.get("DeletionPolicy") == "RetainExceptOnCreate"}
    assert kept == {"UploadBucket", "ArtifactBucket", "JobsTable"}
    stateful = ("S3::Bucket", "DynamoDB::Table", "Logs::LogGroup", "SecretsManager::Secret", "ECR::Repository")
    for name, thing in resources.items():
        if thing["Type"].removeprefix("AWS::") in stateful:
            assert thing["DeletionPolicy"].removesuffix("ExceptOnCreate") == thing["UpdateReplacePolicy"], name


def test_names_are_of_this_stack(resources: Resources) -> None:
    """Two deployments in one account must not meet."""
    named = {
        "AWS::S3::Bucket": "BucketName",
        "AWS::SQS::Queue": "QueueName",
        "AWS::DynamoDB::Table": "TableName",
        "AWS::Events::EventBus": "Name",
        "AWS::Events::Archive": "ArchiveName",
        "AWS::Logs::LogGroup": "LogGroupName",
        "AWS::ECS::Cluster": "ClusterName",
        "AWS::ECS::TaskDefinition": "Family",
        "AWS::ECR::Repository": "RepositoryName",
        "AWS::SNS::Topic": "TopicName",
        "AWS::CloudWatch::Alarm": "AlarmName",
        "AWS::CloudWatch::Dashboard": "DashboardName",
        "AWS::ApiGateway::RestApi": "Name",
        "AWS::ApiGatewayV2::Api": "Name",
    }
    for kind, attribute in named.items():
        for name, given in of_type(resources, kind).items():
            assert "Name" in names_in(given[attribute]), name
