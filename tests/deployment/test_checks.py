"""What is looked at before anything is touched."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.deployment import checks, stack, target
from infra.deployment.stack import Stack
from infra.deployment.target import Target
from infra.errors import BadConfiguration, CredentialsMissing, MissingDependency, NotReady, StackFailed
from infra.local.endpoint import Endpoint
from infra.local.moto import MotoServer
from infra.local.resources import create
from tests.deployment.conftest import REGION, STACK, Bench, install

TARGET = Target(STACK, REGION, None, "123456789012", "arn:aws:iam::123456789012:user/me")
Answer = Callable[[str], tuple[int, str]]


@pytest.fixture
def aws_that_answers(account: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], None]]:
    """A server in the place of AWS that answers each request's body as a test says."""
    servers = []

    def start(answer: Answer) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, body = answer(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_all_that_is_missing_is_told_at_once_and_nothing_was_started(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    bench.configure("link = true\n")
    with pytest.raises(NotReady) as error:
        bench.deploy()
    lines = str(error.value).splitlines()
    assert lines[0] == "5 things are in the way; nothing was changed:"
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "- bad_configuration",
        *["- missing_dependency"] * 2,
        "- credentials_missing",
        "- missing_dependency",
    ]
    for hint in ("'link' is unknown", "make template", "Node.js", "AWS_PROFILE", "docker, podman or buildah"):
        assert hint in str(error.value)
    assert bench.calls() == []


def test_one_thing_missing_is_its_own_error(bench: Bench) -> None:
    (bench.tools / "sam").unlink()
    with pytest.raises(MissingDependency, match="pip install aws-sam-cli"):
        bench.deploy()


def test_sam_is_also_found_where_make_template_puts_it(bench: Bench) -> None:
    (bench.tools / "sam").unlink()
    folder = bench.checkout.root / checks.TOOLS
    folder.mkdir(parents=True)
    install(folder, "sam")
    bench.deploy()
    assert len(bench.calls("sam")) == 2


def test_a_docker_without_its_daemon_gives_way_to_what_works(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(bench.tools))
    (bench.tools / "docker").write_text("#!/bin/sh\necho Cannot connect to the Docker daemon. >&2\nexit 1\n")
    with pytest.raises(
        MissingDependency, match="docker does not work here: Cannot connect to the Docker daemon"
    ):
        checks.find_builder(None)
    install(bench.tools, "buildah")
    assert checks.find_builder(None) == str(bench.tools / "buildah")
    with pytest.raises(MissingDependency, match="docker does not work here"):
        checks.find_builder("docker")
    with pytest.raises(MissingDependency, match=r"podman, which deployment\.toml asks for, is not installed"):
        checks.find_builder("podman")


def test_an_image_that_is_there_needs_no_builder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.deploy()
    (bench.tools / "docker").unlink()
    monkeypatch.setenv("PATH", str(bench.tools))
    bench.deploy()


def test_no_credentials(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CredentialsMissing, match="No AWS credentials are to be found"):
        target.find(STACK, region=REGION, profile=None)


def test_credentials_that_aws_does_not_take(aws_that_answers: Callable[[Answer], None]) -> None:
    reason = "The security token included in the request is expired"
    error = (
        f"<ErrorResponse><Error><Code>ExpiredToken</Code><Message>{reason}</Message></Error></ErrorResponse>"
    )
    aws_that_answers(lambda _: (403, error))
    with pytest.raises(CredentialsMissing, match=f"AWS does not take the credentials: {reason}"):
        target.find(STACK, region=REGION, profile=None)


def test_aws_out_of_reach(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(CredentialsMissing, match="AWS cannot be asked who you are"):
        target.find(STACK, region=REGION, profile=None)


def test_a_profile_that_does_not_exist(account: None) -> None:
    with pytest.raises(CredentialsMissing, match="nobody"):
        target.find(STACK, region=REGION, profile="nobody")


def test_the_profiles_region_is_taken_unless_another_one_is_given(
    account: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile mine]\nregion = eu-central-1\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert target.find(STACK, region=None, profile="mine").region == "eu-central-1"
    assert target.find(STACK, region="eu-west-1", profile="mine").region == "eu-west-1"


def test_no_region_and_a_region_that_is_none(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadConfiguration, match=r"no region 'eu-centrall-1'\. Did you mean eu-central-1"):
        target.find(STACK, region="eu-centrall-1", profile=None)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with pytest.raises(BadConfiguration, match="REGION="):
        target.find(STACK, region=None, profile=None)


@pytest.mark.parametrize("name", ["", "a", "Atelier", "1st", "a_b", "ends-", "x" * 21])
def test_names_that_the_template_would_refuse(name: str) -> None:
    with pytest.raises(BadConfiguration, match="small letters"):
        target.check_name(name)


def test_the_names_of_what_a_stack_leaves_are_the_templates(aws: MotoServer, account: None) -> None:
    names = create(Endpoint(aws.endpoint_url, region=REGION), parameters={"Name": STACK}).names
    buckets, table = checks.kept_names(TARGET)
    assert (buckets, table) == ([names["UploadBucket"], names["ArtifactBucket"]], names["JobsTable"])
    assert checks.leftovers(TARGET) == [*buckets, table]


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("UPDATE_IN_PROGRESS", "Wait until it has ended"),
        ("ROLLBACK_COMPLETE", "make destroy STACK=atelier WITH_DATA=1"),
        ("DELETE_FAILED", "make destroy STACK=atelier"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name atelier"),
    ],
)
def test_a_stack_that_no_deployment_can_mend_is_told_beforehand(status: str, hint: str) -> None:
    with pytest.raises(StackFailed, match=hint):
        stack.check_can_change(Stack("arn", status, {}, {}, datetime.now(UTC)), STACK)


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_stack_at_rest_can_be_changed(status: str) -> None:
    stack.check_can_change(Stack("arn", status, {}, {}, datetime.now(UTC)), STACK)


def test_of_a_failed_change_the_first_cause_is_told(aws_that_answers: Callable[[Answer], None]) -> None:
    """Newest first, as CloudFormation answers; an earlier change's failure is none of this one's."""
    events = [
        ("atelier", "AWS::CloudFormation::Stack", "UPDATE_ROLLBACK_COMPLETE", ""),
        ("SiteDistribution", "AWS::CloudFront::Distribution", "UPDATE_FAILED", "Resource update cancelled"),
        ("WorkerFleet", "AWS::AutoScaling::AutoScalingGroup", "UPDATE_FAILED", "No such subnet"),
        ("JobQueue", "AWS::SQS::Queue", "UPDATE_IN_PROGRESS", ""),
        ("atelier", "AWS::CloudFormation::Stack", "UPDATE_IN_PROGRESS", "User Initiated"),
        ("EventBus", "AWS::Events::EventBus", "CREATE_FAILED", "Long ago"),
    ]
    members = "".join(
        f"<member><LogicalResourceId>{name}</LogicalResourceId><ResourceType>{kind}</ResourceType>"
        f"<PhysicalResourceId>{'arn:stack' if name == STACK else name}</PhysicalResourceId>"
        f"<ResourceStatus>{status}</ResourceStatus>"
        + (f"<ResourceStatusReason>{reason}</ResourceStatusReason>" if reason else "")
        + "</member>"
        for name, kind, status, reason in events
    )
    result = f"<DescribeStackEventsResult><StackEvents>{members}</StackEvents></DescribeStackEventsResult>"
    aws_that_answers(lambda _: (200, f"<DescribeStackEventsResponse>{result}</DescribeStackEventsResponse>"))
    assert stack.failure(TARGET, "arn:stack") == (
        "WorkerFleet (AWS::AutoScaling::AutoScalingGroup): No such subnet"
    )


def test_a_quota_that_lets_no_worker_start_is_told_with_the_way_out(
    aws_that_answers: Callable[[Answer], None],
) -> None:
    def answer(body: str) -> tuple[int, str]:
        code = json.loads(body)["QuotaCode"]
        return 200, json.dumps({"Quota": {"QuotaCode": code, "Value": 0.0 if code == "L-3819A6DF" else 8.0}})

    aws_that_answers(answer)
    (note,) = checks.quota_notes(Target(STACK, REGION, None, "1", "me"))
    assert "No spot worker can start: the account may use 0 vCPUs of spot G instances" in note
    assert "--quota-code L-3819A6DF" in note


def test_a_quota_that_cannot_be_read_is_no_obstacle(account: None) -> None:
    notes = checks.quota_notes(Target(STACK, REGION, None, "1", "me"))
    assert [note.partition(" could")[0] for note in notes] == [
        "The quota L-3819A6DF (spot G instances)",
        "The quota L-DB2E81BA (on-demand G instances)",
    ]


def test_a_stack_of_another_template_is_not_taken_for_ours(bench: Bench) -> None:
    body = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q"}}}}
    boto3.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(body))
    with pytest.raises(StackFailed, match="not made of this template"):
        bench.deploy()
    assert bench.calls() == []


def test_notes_are_part_of_what_is_shown(bench: Bench, capsys: Any) -> None:
    bench.deploy()
    assert "The quota L-3819A6DF" in capsys.readouterr().out
