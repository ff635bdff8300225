"""template.yaml by its structure: what linters do not see."""

from __future__ import annotations

import json
from graphlib import CycleError
from importlib import import_module
from typing import Any

import pytest

from functions.app import app
from infra.job import MAX_ATTEMPTS, RETENTION_SECONDS
from infra.local.template import Resolver
from tests.template import Resources, actions, held, names_in, of_type, order_of_creation, statements, template

PHOTO_REMOVALS = ("s3:DeleteObject", "s3:DeleteObjectVersion")
#: the one given, else that of a domain of one's own, else that of the distribution
SITE_ORIGIN = {
    "Fn::If": [
        "OriginIsGiven",
        {"Ref": "SiteOrigin"},
        {
            "Fn::If": [
                "HasDomain",
                {"Fn::Sub": "https://${SiteDomain}"},
                {"Fn::Sub": "https://${SiteDistribution.DomainName}"},
            ]
        },
    ]
}


@pytest.fixture(scope="module")
def resources() -> Resources:
    return dict(template()["Resources"])


def test_every_handler_can_be_imported_and_called(resources: Resources) -> None:
    handlers = {name: given["Handler"] for name, given in of_type(resources, "AWS::Lambda::Function").items()}
    assert len(set(handlers.values())) == len(handlers)
    for handler in handlers.values():
        module, _, name = handler.rpartition(".")
        assert callable(getattr(import_module(module), name))


def test_the_paths_of_the_rest_api_are_the_routes_of_the_app(resources: Resources) -> None:
    (api,) = of_type(resources, "AWS::ApiGateway::RestApi").values()
    declared = {
        (method.upper(), path)
        for path, methods in api["Body"]["paths"].items()
        for method in methods
        if method != "options"
    }
    assert declared == {(method, path) for path, methods in app.routes.items() for method in methods}
    assert all("options" in methods for methods in api["Body"]["paths"].values()), "browsers ask first"


def test_a_browser_on_the_site_may_use_every_method_and_header(resources: Resources) -> None:
    (api,) = of_type(resources, "AWS::ApiGateway::RestApi").values()
    used = {method for methods in app.routes.values() for method in methods}
    for path, methods in api["Body"]["paths"].items():
        answer = methods["options"]["x-amazon-apigateway-integration"]["responses"]["default"]
        headers = {name.rpartition(".")[2]: value for name, value in answer["responseParameters"].items()}
        assert used <= set(headers["Access-Control-Allow-Methods"].strip("'").split(",")), path
        allowed = set(headers["Access-Control-Allow-Headers"].strip("'").split(","))
        assert allowed == {"Authorization", "Content-Type", "Last-Event-ID"}
        assert headers["Access-Control-Allow-Origin"] == {"Fn::Sub": ["'${origin}'", {"origin": SITE_ORIGIN}]}


def test_what_the_gateway_refuses_by_itself_looks_like_every_other_error(resources: Resources) -> None:
    (api,) = of_type(resources, "AWS::ApiGateway::RestApi").values()
    answers = api["Body"]["x-amazon-apigateway-gateway-responses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "MISSING_AUTHENTICATION_TOKEN"} == set(answers)
    for kind, answer in answers.items():
        parameters = answer["responseParameters"]
        origin = parameters["gatewayresponse.header.Access-Control-Allow-Origin"]
        assert origin == {"Fn::Sub": ["'${origin}'", {"origin": SITE_ORIGIN}]}, kind
        text = answer["responseTemplates"]["application/json"]
        error = json.loads(text.replace("$context.error.messageString", '"in words"'))["error"]
        assert set(error) == {"code", "message"}, kind


def test_every_route_of_the_socket_leads_to_a_function(resources: Resources) -> None:
    routes = of_type(resources, "AWS::ApiGatewayV2::Route")
    assert {route["RouteKey"] for route in routes.values()} == {
        "$connect",
        "$disconnect",
        "$default",
        "subscribe",
        "ping",
    }
    assert {str(list(names_in(route["Target"]))) for route in routes.values()} == {"['SocketIntegration']"}


def test_no_resource_waits_for_itself(resources: Resources) -> None:
    order = order_of_creation(resources)
    assert order.index("OnUploadFunction") < order.index("UploadBucket"), "the bucket names the function"


def test_the_search_for_cycles_finds_one(resources: Resources) -> None:
    # The obvious way to write it, which neither cfn-lint nor sam validate objects to.
    function = resources["OnUploadFunction"]
    properties = function["Properties"] | {"Environment": {"Variables": {"BUCKET": {"Ref": "UploadBucket"}}}}
    with pytest.raises(CycleError):
        order_of_creation(resources | {"OnUploadFunction": function | {"Properties": properties}})


def test_every_queue_sets_aside_what_it_cannot_deliver(resources: Resources) -> None:
    queues = of_type(resources, "AWS::SQS::Queue")
    dead_ends = {"JobDeadLetterQueue", "FailedEventQueue"}
    for name, queue in queues.items():
        if name in dead_ends:
            assert queue["MessageRetentionPeriod"] == 1209600, "the longest there is"
            continue
        (target,) = names_in(queue["RedrivePolicy"]["deadLetterTargetArn"])
        assert target in dead_ends
        assert queue["RedrivePolicy"]["maxReceiveCount"] == MAX_ATTEMPTS >= 3
        assert queues[target]["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]


def test_every_event_that_cannot_be_handled_is_set_aside(resources: Resources) -> None:
    (mapping,) = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    assert list(names_in(mapping["DestinationConfig"])) == ["FailedEventQueue"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"]
    assert 0 < mapping["MaximumRetryAttempts"] <= 10
    assert 0 < mapping["MaximumRecordAgeInSeconds"] <= 24 * 3600
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    invocations = of_type(resources, "AWS::Lambda::EventInvokeConfig").values()
    by_function = {next(names_in(given["FunctionName"])): given for given in invocations}
    assert list(names_in(by_function["OnUploadFunction"]["DestinationConfig"])) == ["FailedEventQueue"]


def test_buckets_are_private_encrypted_and_forgetful(resources: Resources) -> None:
    for name, bucket in of_type(resources, "AWS::S3::Bucket").items():
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms")
        (lifecycle,) = bucket["LifecycleConfiguration"]["Rules"]
        assert lifecycle["Status"] == "Enabled"
        assert lifecycle["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
        if name == "SiteBucket":
            assert "CorsConfiguration" not in bucket
            continue
        assert lifecycle["ExpirationInDays"] * 24 * 3600 == RETENTION_SECONDS, "files leave with their records"
        for rule in bucket["CorsConfiguration"]["CorsRules"]:
            assert rule["AllowedOrigins"] == [SITE_ORIGIN]


def test_only_uploads_make_events(resources: Resources) -> None:
    buckets = of_type(resources, "AWS::S3::Bucket")
    assert [name for name, given in buckets.items() if "NotificationConfiguration" in given] == ["UploadBucket"]
    notifications = buckets["UploadBucket"]["NotificationConfiguration"]["LambdaConfigurations"]
    prefixes = [rule["Value"] for given in notifications for rule in given["Filter"]["S3Key"]["Rules"]]
    assert sorted(prefixes) == ["inbox/", "uploads/"]
    assert {given["Event"] for given in notifications} == {"s3:ObjectCreated:*"}


@pytest.mark.parametrize(
    ("kind", "policy_kind", "named_by"),
    [
        ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "Bucket"),
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues"),
    ],
)
def test_buckets_and_queues_refuse_connections_that_are_not_encrypted(
    resources: Resources, kind: str, policy_kind: str, named_by: str
) -> None:
    refusing = set()
    for policy in of_type(resources, policy_kind).values():
        (target,) = names_in(policy[named_by])
        for statement in map(held, policy["PolicyDocument"]["Statement"]):
            if (
                statement["Effect"] == "Deny"
                and statement["Principal"] == "*"
                and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            ):
                assert set(names_in(statement["Resource"])) == {target}
                refusing.add(target)
    assert refusing == set(of_type(resources, kind))


def test_tables_can_be_restored_and_forget(resources: Resources) -> None:
    for table in of_type(resources, "AWS::DynamoDB::Table").values():
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["SSESpecification"]["SSEEnabled"]


def test_every_function_has_a_role_of_its_own(resources: Resources) -> None:
    functions = of_type(resources, "AWS::Lambda::Function")
    roles = [name for given in functions.values() for name in names_in(given["Role"])]
    assert len(roles) == len(set(roles)) == len(functions)


def test_every_function_logs_where_logs_end_some_day(resources: Resources) -> None:
    groups = of_type(resources, "AWS::Logs::LogGroup")
    assert all(1 <= group["RetentionInDays"] <= 365 for group in groups.values())
    functions = of_type(resources, "AWS::Lambda::Function").values()
    used = [name for given in functions for name in names_in(given["LoggingConfig"]["LogGroup"])]
    (task,) = of_type(resources, "AWS::ECS::TaskDefinition").values()
    (worker,) = task["ContainerDefinitions"]
    used += names_in(worker["LogConfiguration"]["Options"]["awslogs-group"])
    assert sorted([*used, "ClusterLogs"]) == sorted(groups)


def test_no_policy_has_a_wildcard_for_action_or_resource(resources: Resources) -> None:
    seen = list(statements(resources))
    assert seen
    for role, statement in seen:
        assert statement["Effect"] == "Allow"
        assert not [action for action in actions(statement) if "*" in action], role
        if actions(statement) != ["ecr:GetAuthorizationToken"]:  # which knows no narrower one
            assert statement["Resource"] != "*", role


def test_only_services_that_name_their_source_may_call_a_function(resources: Resources) -> None:
    for name, permission in of_type(resources, "AWS::Lambda::Permission").items():
        assert permission.get("SourceArn"), name
        assert permission["Action"] == "lambda:InvokeFunction"


def test_rest_may_do_exactly_what_its_routes_need(resources: Resources) -> None:
    granted = {
        (action, next(names_in(statement["Resource"])))
        for role, statement in statements(resources)
        if role == "ApiFunctionRole" and "Resource" in statement
        for action in actions(statement)
    }
    assert granted == {
        ("s3:PutObject", "UploadBucket"),
        ("s3:DeleteObject", "UploadBucket"),
        ("s3:DeleteObjectVersion", "UploadBucket"),
        ("s3:GetObject", "ArtifactBucket"),
        ("s3:ListBucket", "ArtifactBucket"),
        ("s3:DeleteObject", "ArtifactBucket"),
        *(
            (f"dynamodb:{name}", "JobsTable")
            for name in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")
        ),
        ("secretsmanager:GetSecretValue", "SessionSecret"),
        ("secretsmanager:GetSecretValue", "AccessKeySecretArn"),
        ("secretsmanager:GetSecretValue", "LinkSecretArn"),
    }
    for _, statement in statements(resources):
        if "s3:ListBucket" in actions(statement) and "ArtifactBucket" in names_in(statement["Resource"]):
            assert statement["Condition"] == {"StringLike": {"s3:prefix": "jobs/*"}}


def test_the_secret_with_the_access_key_can_be_read_only_where_there_is_one(resources: Resources) -> None:
    role = resources["ApiFunctionRole"]["Properties"]
    whole = template()

    def policy(arn: str) -> list[dict[str, Any]]:
        resolver = Resolver(
            whole,
            pseudo={"AWS::Partition": "aws"},
            parameters={"AccessKeySecretArn": arn},
            reference=str,
            attribute=lambda name, attribute: f"{name}.{attribute}",
        )
        return list(resolver.resolve(role["Policies"])[0]["PolicyDocument"]["Statement"])

    arn = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:access-key"
    assert [s["Resource"] for s in policy(arn) if s["Sid"] == "CheckAccessKeys"] == [arn]
    assert [s for s in policy(arn) if s["Sid"] != "CheckAccessKeys"] == policy("")


def test_rest_deletes_photos_and_results_the_worker_results_and_nobody_else_anything(
    resources: Resources,
) -> None:
    found = {
        (role, action, place)
        for role, statement in statements(resources)
        for action in actions(statement)
        if action.startswith(("s3:Delete", "dynamodb:DeleteItem"))
        for place in ("uploads/", "inbox/", "jobs/", "JobsTable", "ConnectionsTable")
        if place in str(statement["Resource"])
    }
    assert found == {
        ("ApiFunctionRole", "s3:DeleteObject", "jobs/"),
        *(("ApiFunctionRole", a, p) for a in PHOTO_REMOVALS for p in ("uploads/", "inbox/")),
        ("ApiFunctionRole", "dynamodb:DeleteItem", "JobsTable"),
        # what it was about to publish of a job that its owner has removed
        ("WorkerRole", "s3:DeleteObject", "jobs/"),
        ("SocketFunctionRole", "dynamodb:DeleteItem", "ConnectionsTable"),
        ("OnJobChangedFunctionRole", "dynamodb:DeleteItem", "ConnectionsTable"),
    }


def test_the_template_holds_no_secret(resources: Resources) -> None:
    (secret,) = of_type(resources, "AWS::SecretsManager::Secret").values()
    assert "SecretString" not in secret
    assert secret["GenerateSecretString"]["PasswordLength"] >= 32
    for given in of_type(resources, "AWS::Lambda::Function").values():
        assert "MAQUETTE_SESSION_SECRET" not in given["Environment"]["Variables"]
