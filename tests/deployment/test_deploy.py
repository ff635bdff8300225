"""``make deploy`` against moto, with programs that write down how they are started."""

from __future__ import annotations

import base64
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives import serialization

from infra.deployment import bundle, deploy
from infra.errors import BuildFailed, NotConfirmed, StackFailed
from tests.deployment.conftest import ROOT, STACK, Bench, build_site, declared
from tests.deployment.tools import OVERRIDE

REPOSITORY = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{STACK}"


def short(calls: list[dict[str, Any]]) -> list[str]:
    """``docker push`` and the like."""
    return [f"{call['name']} {call['arguments'][0]}" for call in calls if call["name"] != "make"]


def given(call: dict[str, Any]) -> dict[str, str]:
    """Parameters of a call of sam."""
    found = [OVERRIDE.fullmatch(argument) for argument in call["arguments"]]
    return {match[1]: match[2] for match in found if match}


def image_tag(bench: Bench) -> str:
    return bench.parameters()["ImageTag"]


def test_the_first_time_the_stack_comes_without_workers_then_the_image_then_workers_then_the_site(
    bench: Bench,
) -> None:
    bench.deploy()
    assert short(bench.calls()) == [
        *("docker info", "docker build"),  # what can fail here fails before anything is touched
        "sam deploy",
        *("docker tag", "docker login", "docker push", "docker logout"),
        "sam deploy",
    ]
    first, second = map(given, bench.calls("sam"))
    assert first == second | {"ImageTag": ""}
    assert re.fullmatch("[0-9a-f]{24}", second["ImageTag"])
    images = boto3.client("ecr").describe_images(repositoryName=STACK)["imageDetails"]
    assert [image["imageTags"] for image in images] == [[second["ImageTag"]]]
    assert boto3.client("s3").head_object(Bucket=bench.outputs()["SiteBucketName"], Key="index.html")


def test_sam_is_told_everything_and_asks_nothing(bench: Bench) -> None:
    bench.configure('[parameters]\nMaxWorkers = 8\nAlarmEmail = "me@example.org"\nSubnetIds = ["a", "b"]\n')
    bench.deploy("--region", "us-east-1")
    arguments = bench.calls("sam")[-1]["arguments"]
    for flag in ("--resolve-s3", "--no-confirm-changeset", "--no-fail-on-empty-changeset"):
        assert flag in arguments
    assert "--guided" not in arguments
    told = given(bench.calls("sam")[-1])
    assert set(told) == set(declared()), "what is not said would stay as a former deployment left it"
    assert (told["Name"], told["MaxWorkers"], told["AlarmEmail"], told["SubnetIds"]) == (
        *(STACK, "8", "me@example.org", "a,b"),
    )
    assert told["Network"] == declared()["Network"]["Default"]


def test_a_second_run_changes_nothing_and_says_so(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.deploy()
    capfd.readouterr()
    bucket, invalidations = bench.outputs()["SiteBucketName"], bench.invalidations()
    s3 = boto3.client("s3")
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    before = len(bench.calls())
    bench.deploy()
    assert s3.list_object_versions(Bucket=bucket)["Versions"] == versions
    assert bench.invalidations() == invalidations
    assert short(bench.calls()[before:]) == ["sam deploy"]
    told = capfd.readouterr().out.splitlines()
    assert "Nothing to change: everything was there already." in told
    assert told[-1] == bench.outputs()["SiteUrl"]


def test_the_functions_are_the_same_bytes_each_time_so_that_sam_finds_nothing_to_change(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        bundle.make(tmp_path / name)
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        made.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert made[0] == made[1]


def test_an_upgrade_has_its_image_in_place_before_any_worker_is_told_to_take_it(bench: Bench) -> None:
    bench.deploy()
    former, before = image_tag(bench), len(bench.calls())
    (bench.checkout.root / "gpu_container" / "worker.py").write_text("print('work harder')\n")
    bench.deploy()
    assert image_tag(bench) != former
    assert short(bench.calls()[before:]) == [
        *("docker info", "docker build", "docker tag", "docker login", "docker push", "docker logout"),
        "sam deploy",
    ]


def test_going_back_builds_nothing_since_the_former_image_is_still_there(bench: Bench) -> None:
    worker = bench.checkout.root / "gpu_container" / "worker.py"
    text = worker.read_text()
    bench.deploy()
    former = image_tag(bench)
    worker.write_text("print('a mistake')\n")
    bench.deploy()
    worker.write_text(text)
    before = len(bench.calls())
    bench.deploy()
    assert image_tag(bench) == former
    assert short(bench.calls()[before:]) == ["sam deploy"]


def test_what_leaves_the_configuration_returns_to_the_templates_default(bench: Bench) -> None:
    bench.configure("[parameters]\nMaxWorkers = 8\n")
    bench.deploy()
    assert bench.parameters()["MaxWorkers"] == "8"
    bench.configure("")
    bench.deploy()
    assert bench.parameters()["MaxWorkers"] == "4"


def test_a_deployment_broken_off_at_any_program_is_finished_by_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for broken, error in (
        ("make --no-print-directory", BuildFailed),
        ("docker build", BuildFailed),
        ("sam deploy", StackFailed),
        ("docker login", BuildFailed),
        ("docker push", BuildFailed),
    ):
        monkeypatch.setenv("TOOLS_FAIL", broken)
        with pytest.raises(error, match=r"again|Nothing was changed"):
            bench.deploy()
    monkeypatch.setenv("TOOLS_FAIL", "")
    bench.deploy()
    assert boto3.client("s3").head_object(Bucket=bench.outputs()["SiteBucketName"], Key="index.html")
    assert given(bench.calls("sam")[-1])["ImageTag"] == image_tag(bench)


def test_a_failed_build_leaves_the_account_untouched(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLS_FAIL", "docker build")
    with pytest.raises(BuildFailed):
        bench.deploy()
    assert boto3.client("cloudformation").describe_stacks()["Stacks"] == []
    assert boto3.client("s3").list_buckets()["Buckets"] == []
    assert boto3.client("secretsmanager").list_secrets()["SecretList"] == []


def test_an_image_whose_files_changed_while_it_was_built_is_not_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tag would not say what is in it."""
    monkeypatch.setenv("TOOLS_EDIT", str(bench.checkout.root / "gpu_container" / "worker.py"))
    with pytest.raises(BuildFailed, match="Files changed"):
        bench.deploy()
    assert short(bench.calls()) == ["docker info", "docker build"]


def test_a_login_is_given_up_even_when_the_image_cannot_be_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLS_FAIL", "docker push")
    with pytest.raises(BuildFailed):
        bench.deploy()
    assert short(bench.calls())[-1] == "docker logout"


def test_an_image_that_the_service_does_not_take_is_an_error(bench: Bench) -> None:
    bench.deploy()
    ecs = boto3.client("ecs")
    container = {"name": "worker", "image": f"{REPOSITORY}:other", "memory": 1024}
    ecs.register_task_definition(family="other", containerDefinitions=[container])
    ecs.update_service(cluster=STACK, service=f"{STACK}-worker", taskDefinition="other")
    with pytest.raises(StackFailed, match=r"The service starts .*:other, not"):
        bench.deploy()


def test_the_site_is_told_where_its_servers_are(bench: Bench) -> None:
    bench.deploy()
    body = boto3.client("s3").get_object(Bucket=bench.outputs()["SiteBucketName"], Key="config.json")["Body"]
    outputs = bench.outputs()
    assert body.read().decode().split() == [
        *("{", '"rest":', f'"{outputs["RestUrl"]}",', '"socket":', f'"{outputs["SocketUrl"]}"', "}")
    ]


def test_it_goes_to_the_region_that_was_asked_for_whatever_the_environment_says(bench: Bench) -> None:
    bench.deploy("--region", "eu-west-1")
    assert boto3.client("cloudformation").describe_stacks()["Stacks"] == []
    assert boto3.client("ecr").describe_repositories()["repositories"] == []
    there = boto3.client("cloudformation", region_name="eu-west-1").describe_stacks(StackName=STACK)["Stacks"][
        0
    ]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in there["Outputs"]}
    assert outputs["SiteBucketName"] == f"{STACK}-site-123456789012-eu-west-1"
    assert boto3.client("s3").head_object(Bucket=outputs["SiteBucketName"], Key="index.html")
    bench.destroy("--region", "eu-west-1", "--with-data")
    assert boto3.client("dynamodb", region_name="eu-west-1").list_tables()["TableNames"] == []


def test_only_what_may_change_under_its_name_is_invalidated(bench: Bench) -> None:
    bench.deploy()
    build_site(bench.site, "two")
    bench.deploy()
    names = ["/", "/config.json", "/favicon.svg", "/theme.js", "/index.html"]
    assert bench.invalidations() == [names, names]


def test_a_link_key_is_made_once_and_its_private_half_is_in_secrets_manager_alone(
    bench: Bench, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bench.configure("links = true\n")
    bench.deploy()
    manager = boto3.client("secretsmanager")
    secret = manager.get_secret_value(SecretId=f"{STACK}/link-key")
    private = serialization.load_pem_private_key(secret["SecretString"].encode(), password=None)
    told = given(bench.calls("sam")[-1])
    assert told["LinkSecretArn"] == secret["ARN"]
    public = serialization.load_pem_public_key(told["LinkPublicKey"].encode())
    assert public == private.public_key()
    assert public.key_size == 2048  # type: ignore[union-attr]

    bench.deploy()
    assert given(bench.calls("sam")[-1]) == told, "the same key serves on"
    seen = "".join(capfd.readouterr())
    lines = secret["SecretString"].splitlines()
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for line in [line for line in lines if len(line) > 40]:
        assert line not in seen
        assert not any(line.encode() in content for content in written), "the programs' arguments among them"

    bench.configure("")
    bench.deploy()
    told = given(bench.calls("sam")[-1])
    assert (told["LinkPublicKey"], told["LinkSecretArn"]) == ("", "")


def test_an_access_key_is_made_once_and_only_the_way_to_it_is_printed(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.configure("access_key = true\n")
    bench.deploy()
    manager = boto3.client("secretsmanager")
    secret = manager.get_secret_value(SecretId=f"{STACK}/access-key")
    assert len(secret["SecretString"]) >= 43
    assert given(bench.calls("sam")[-1])["AccessKeySecretArn"] == secret["ARN"]
    bench.deploy()
    assert manager.get_secret_value(SecretId=f"{STACK}/access-key")["SecretString"] == secret["SecretString"]
    seen = "".join(capfd.readouterr())
    assert f"--secret-id {STACK}/access-key" in seen
    assert secret["SecretString"] not in seen
    assert secret["SecretString"] not in bench.log.read_text()


def test_a_key_that_somebody_deleted_is_taken_back_within_its_days_of_grace(bench: Bench) -> None:
    bench.configure("access_key = true\n")
    bench.deploy()
    manager, name = boto3.client("secretsmanager"), f"{STACK}/access-key"
    value = manager.get_secret_value(SecretId=name)["SecretString"]
    manager.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    bench.deploy()
    assert manager.get_secret_value(SecretId=name)["SecretString"] == value


def test_the_registrys_password_goes_in_by_standard_input_and_nowhere_else(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.deploy()
    token = boto3.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).decode().partition(":")[2]
    login = next(call for call in bench.calls("docker") if call["arguments"][0] == "login")
    assert login["given"] == password
    assert login["arguments"] == [
        *("login", "--username", "AWS", "--password-stdin", REPOSITORY.partition("/")[0])
    ]
    assert not any(password in call["arguments"] for call in bench.calls())
    assert password not in "".join(capfd.readouterr())


def ask(bench: Bench, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Deploy from a terminal on which somebody types ``answer``."""
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        try:
            deploy.deploy(bench.checkout, deploy.parse(["--stack", STACK]))
        finally:
            os.close(ours)


def test_on_a_terminal_only_yes_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotConfirmed, match="nothing was changed"):
        ask(bench, monkeypatch, "no\n")
    assert "stack atelier in account 123456789012, region us-east-1" in capsys.readouterr().out
    assert short(bench.calls()) == ["docker info"]
    ask(bench, monkeypatch, "yes\n")
    assert bench.outputs()


def test_without_a_terminal_and_without_yes_nothing_happens(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nobody:  # noqa: PTH123 - not a terminal
        monkeypatch.setattr(sys, "stdin", nobody)
        with pytest.raises(NotConfirmed, match="YES=1"):
            deploy.deploy(bench.checkout, deploy.parse(["--stack", STACK]))
    assert short(bench.calls()) == ["docker info"]
    assert boto3.client("cloudformation").describe_stacks()["Stacks"] == []


def test_an_error_is_one_sentence_on_standard_error_and_status_2(bench: Bench) -> None:
    command = [
        sys.executable,
        "-m",
        "infra.deployment.deploy",
        "--stack",
        "Not A Name",
        "--region",
        "us-esat-1",
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("not_ready: ")
    assert (
        "bad_configuration: AWS has no region 'us-esat-1'. Did you mean us-west-1 or us-east-1" in ended.stderr
    )
    assert "Traceback" not in ended.stderr
