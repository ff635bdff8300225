"""Resources as the template lists them, and template.yaml as the local cloud reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.errors import BadConfiguration
from infra.local.endpoint import Endpoint
from infra.local.moto import MotoServer
from infra.local.resources import Resources, create
from infra.local.template import TEMPLATE, Resolver, load

ORIGIN = "http://127.0.0.1:4321"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with MotoServer() as aws:
        yield Endpoint(aws.endpoint_url)


@pytest.fixture(scope="module")
def resources(endpoint: Endpoint) -> Resources:
    return create(endpoint, parameters={"SiteOrigin": ORIGIN})


def test_buckets_have_the_cors_lifecycle_and_versions_of_the_template(
    endpoint: Endpoint, resources: Resources
) -> None:
    s3 = endpoint.client("s3")
    upload, artifact = resources.names["UploadBucket"], resources.names["ArtifactBucket"]
    assert s3.get_bucket_versioning(Bucket=upload)["Status"] == "Enabled"
    for bucket, method in ((upload, "POST"), (artifact, "GET")):
        (rule,) = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
        assert rule["AllowedOrigins"] == [ORIGIN]
        assert method in rule["AllowedMethods"]
        (lifecycle,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert lifecycle["Expiration"]["Days"] == 30
        assert lifecycle["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_only_the_two_announced_prefixes_are_notified_and_only_of_the_upload_bucket(
    endpoint: Endpoint, resources: Resources
) -> None:
    s3, sqs = endpoint.client("s3"), endpoint.client("sqs")
    (trigger,) = resources.triggers.uploads.values()
    assert trigger.handler == "functions.app.on_upload"
    expected = {"inbox/a", "uploads/b"}
    for key in (*expected, "elsewhere/c"):
        s3.put_object(Bucket=resources.names["UploadBucket"], Key=key, Body=b"-")
        s3.put_object(Bucket=resources.names["ArtifactBucket"], Key=key, Body=b"-")
    told = set()
    while messages := sqs.receive_message(QueueUrl=trigger.queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            told |= {r["s3"]["object"]["key"] for r in json.loads(message["Body"]).get("Records", [])}
            sqs.delete_message(QueueUrl=trigger.queue_url, ReceiptHandle=message["ReceiptHandle"])
    assert {key.replace("%2F", "/") for key in told} == expected


def test_queues_redrive_to_the_dead_letter_queue_of_the_template(
    endpoint: Endpoint, resources: Resources
) -> None:
    sqs = endpoint.client("sqs")

    def attributes(url: str) -> dict[str, str]:
        return dict(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])

    jobs, dead = (attributes(resources.names[name]) for name in ("JobQueue", "JobDeadLetterQueue"))
    redrive = json.loads(jobs["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead["QueueArn"]
    assert redrive["maxReceiveCount"] >= 3
    assert int(dead["MessageRetentionPeriod"]) > int(jobs["MessageRetentionPeriod"])


def test_tables_have_their_indexes_stream_and_time_to_live(endpoint: Endpoint, resources: Resources) -> None:
    dynamodb = endpoint.client("dynamodb")
    jobs = dynamodb.describe_table(TableName=resources.names["JobsTable"])["Table"]
    assert {index["IndexName"] for index in jobs["GlobalSecondaryIndexes"]} == {"by_owner", "by_sweep"}
    assert jobs["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    for name in ("JobsTable", "ConnectionsTable"):
        lifetime = dynamodb.describe_time_to_live(TableName=resources.names[name])["TimeToLiveDescription"]
        assert lifetime == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    (stream,) = resources.triggers.streams
    assert stream.stream_arn == jobs["LatestStreamArn"]
    assert stream.reports_item_failures


def test_creating_everything_again_changes_nothing_and_loses_nothing(
    endpoint: Endpoint, resources: Resources
) -> None:
    s3 = endpoint.client("s3")
    s3.put_object(Bucket=resources.names["ArtifactBucket"], Key="kept", Body=b"still here")
    again = create(endpoint, parameters={"SiteOrigin": ORIGIN})
    assert again == resources
    assert s3.get_object(Bucket=again.names["ArtifactBucket"], Key="kept")["Body"].read() == b"still here"


def test_every_variable_that_the_template_gives_a_function_is_set_here_too(resources: Resources) -> None:
    here = resources.environment(socket_endpoint="http://127.0.0.1:1", session_secret="s" * 32)
    wanted: set[str] = set()
    for resource in load(TEMPLATE, region="us-east-1")["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            wanted |= set(resource["Properties"].get("Environment", {}).get("Variables", {}))
    # the local cloud holds the secret itself, asks for no key, and learns its own origin once its port is bound
    elsewhere = {"MAQUETTE_SESSION_SECRET_ARN", "MAQUETTE_SITE_ORIGIN", "MAQUETTE_ACCESS_KEY_ARN"}
    # nor has it a distribution to sign links for; name, form of the log and bounds are the defaults
    elsewhere |= {"MAQUETTE_LINK_DOMAIN", "MAQUETTE_LINK_KEY_ID", "MAQUETTE_LINK_SECRET_ARN"}
    elsewhere |= {"MAQUETTE_DEPLOYMENT", "MAQUETTE_LOG", "MAQUETTE_OWNER_JOBS"}
    assert wanted - elsewhere <= set(here)
    assert "MAQUETTE_JOBS_TABLE" in wanted


def test_every_route_socket_and_schedule_of_the_template_leads_to_a_handler(resources: Resources) -> None:
    triggers = resources.triggers
    assert ("POST", "/jobs") in triggers.routes
    assert ("GET", "/jobs/{job_id}/artifacts/{name}") in triggers.routes
    assert {"$connect", "$disconnect", "$default", "subscribe"} <= set(triggers.socket_routes)
    assert triggers.preflights["/jobs"]["Access-Control-Allow-Origin"] == ORIGIN
    (schedule,) = triggers.schedules
    assert (schedule.handler, schedule.seconds) == ("functions.app.on_schedule", 60.0)


def test_a_property_that_cannot_be_created_is_refused_and_not_dropped(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(
        "Resources:\n"
        "  Mirror:\n"
        "    Type: AWS::S3::Bucket\n"
        "    Properties:\n"
        "      ReplicationConfiguration: {Role: somebody, Rules: []}\n"
    )
    with pytest.raises(BadConfiguration, match="ReplicationConfiguration"):
        create(endpoint, path)


def test_a_missing_template_is_a_sentence(endpoint: Endpoint, tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"There is no template at .*nowhere\.yaml"):
        create(endpoint, tmp_path / "nowhere.yaml")


RESOLVER = Resolver(
    {
        "Parameters": {"Stage": {"Type": "String", "Default": "test"}, "Secret": {"Type": "String"}},
        "Conditions": {
            "IsTest": {"Fn::Equals": [{"Ref": "Stage"}, "test"]},
            "IsNot": {"Fn::Not": [{"Condition": "IsTest"}]},
            "Both": {"Fn::And": [{"Condition": "IsTest"}, {"Condition": "IsNot"}]},
            "Either": {"Fn::Or": [{"Condition": "IsTest"}, {"Condition": "IsNot"}]},
        },
        "Mappings": {"Sizes": {"test": {"memory": 128}}},
    },
    pseudo={"AWS::Region": "us-east-1"},
    parameters={"Owner": "ann"},
    reference=lambda logical_id: f"ref:{logical_id}",
    attribute=lambda logical_id, name: f"att:{logical_id}.{name}",
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"Ref": "Stage"}, "test"),
        ({"Ref": "Owner"}, "ann"),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Ref": "Bucket"}, "ref:Bucket"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "att:Queue.Arn"),
        ({"Fn::GetAtt": "Queue.Arn"}, "att:Queue.Arn"),
        (
            {"Fn::Sub": "${Stage}-${Bucket}-${Queue.Arn}-${!Literal}"},
            "test-ref:Bucket-att:Queue.Arn-${Literal}",
        ),
        ({"Fn::Sub": ["${Who} in ${AWS::Region}", {"Who": {"Ref": "Owner"}}]}, "ann in us-east-1"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Stage"}, 3]]}, "a-test-3"),
        ({"Fn::Select": [1, {"Fn::Split": [",", "a,b,c"]}]}, "b"),
        ({"Fn::If": ["IsTest", "yes", "no"]}, "yes"),
        ({"Fn::If": ["IsNot", "yes", "no"]}, "no"),
        ({"Fn::If": ["Both", "yes", "no"]}, "no"),
        ({"Fn::If": ["Either", "yes", "no"]}, "yes"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "memory"]}, 128),
        ([1, {"Ref": "AWS::NoValue"}, 2], [1, 2]),
        ({"a": {"Ref": "AWS::NoValue"}, "b": {"c": {"Ref": "Stage"}}}, {"b": {"c": "test"}}),
        ({"Fn::If": ["IsNot", "yes", {"Ref": "AWS::NoValue"}]}, None),
    ],
)
def test_intrinsic_functions_are_answered_as_cloudformation_answers_them(given: Any, expected: Any) -> None:
    if expected is None:
        assert RESOLVER.resolve([given]) == []
    else:
        assert RESOLVER.resolve(given) == expected


@pytest.mark.parametrize(
    ("given", "complaint"),
    [({"Fn::ImportValue": "x"}, "Fn::ImportValue"), ({"Ref": "Secret"}, "Secret has no default")],
)
def test_what_cannot_be_answered_is_named(given: Any, complaint: str) -> None:
    with pytest.raises(BadConfiguration, match=complaint):
        RESOLVER.resolve(given)
