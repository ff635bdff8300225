"""What the template keeps closed, beside what tests/unit/test_template.py holds: queues, everybody, secrets."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.template import Resources, of_type, template
from tests.unit.test_template_site import resolved

#: whose value would be a secret itself, and not where one lies
VALUES = {"MAQUETTE_SESSION_SECRET", "MAQUETTE_ACCESS_KEY"}


@pytest.fixture(scope="module")
def resources() -> Resources:
    return dict(template()["Resources"])


def test_queues_are_encrypted_where_they_lie(resources: Resources) -> None:
    assert [
        name
        for name, queue in of_type(resources, "AWS::SQS::Queue").items()
        if not queue["SqsManagedSseEnabled"]
    ] == []


def test_nobody_in_general_is_allowed_anything(resources: Resources) -> None:
    kinds = ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
    statements = [
        statement
        for kind in kinds
        for policy in of_type(resources, kind).values()
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    assert len(statements) >= 8
    for statement in statements:
        text = json.dumps(statement)
        if '"Effect": "Allow"' in text:
            for everybody in ('"Principal": "*"', '"AWS": "*"', '"Principal": {"AWS": ["*"]}'):
                assert everybody not in text


def test_no_process_is_given_a_secret_but_only_its_place(resources: Resources) -> None:
    given: dict[str, dict[str, Any]] = {
        name: function["Environment"]["Variables"]
        for name, function in of_type(resources, "AWS::Lambda::Function").items()
    }
    for name, task in of_type(resources, "AWS::ECS::TaskDefinition").items():
        for container in task["ContainerDefinitions"]:
            assert "Secrets" not in container
            given[name] = {entry["Name"]: entry["Value"] for entry in container["Environment"]}
    assert len(given) >= 6
    for name, variables in given.items():
        assert not variables.keys() & VALUES, name
        assert "resolve:secretsmanager" not in json.dumps(variables), name
        assert "resolve:ssm-secure" not in json.dumps(variables), name


def test_no_parameter_and_no_output_is_a_secret() -> None:
    whole = template()
    for name, parameter in whole["Parameters"].items():
        assert not parameter.get("NoEcho"), f"{name}: what must not be shown lies in Secrets Manager"
        assert not re.search(r"(?i)password|(?<!access)key$", name) or name == "LinkPublicKey"
    shown = json.dumps(whole["Outputs"])
    assert "SessionSecret" not in shown
    assert "AccessKey" not in shown


def test_what_leaves_by_way_of_the_distribution_is_taken_for_what_it_is() -> None:
    for policy in ("SiteHeaders", "ModelHeaders"):
        config = resolved(policy, LinkPublicKey="x", LinkSecretArn="arn:x")["ResponseHeadersPolicyConfig"]
        assert config["SecurityHeadersConfig"]["ContentTypeOptions"] == {"Override": True}


def test_no_service_of_aws_keeps_addresses_which_hold_tokens_and_links(resources: Resources) -> None:
    stages = [
        *of_type(resources, "AWS::ApiGateway::Stage").values(),
        *of_type(resources, "AWS::ApiGatewayV2::Stage").values(),
    ]
    assert len(stages) == 2
    for stage in stages:
        assert not {"AccessLogSetting", "AccessLogSettings"} & stage.keys()
        for settings in [*stage.get("MethodSettings", []), stage.get("DefaultRouteSettings", {})]:
            assert not {"DataTraceEnabled", "LoggingLevel"} & settings.keys()
    for bucket in of_type(resources, "AWS::S3::Bucket").values():
        assert "LoggingConfiguration" not in bucket
    for distribution in of_type(resources, "AWS::CloudFront::Distribution").values():
        assert "Logging" not in distribution["DistributionConfig"]
