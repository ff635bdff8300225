"""``deployment.toml``: what can be said, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from infra.deployment import checks, configuration
from infra.errors import BadConfiguration
from tests.deployment.conftest import ROOT, declared

GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def read(tmp_path: Path, text: str) -> configuration.Configuration:
    file = tmp_path / "deployment.toml"
    file.write_text(text, encoding="utf-8")
    return configuration.read(file, declared(), required=True)


def test_an_absent_file_says_nothing_unless_it_was_asked_for(tmp_path: Path) -> None:
    absent = tmp_path / "deployment.toml"
    assert configuration.read(absent, declared(), required=False) == configuration.Configuration()
    with pytest.raises(BadConfiguration, match="There is no file"):
        configuration.read(absent, declared(), required=True)


@pytest.mark.parametrize("source", ["the module", "the guide"])
def test_the_examples_are_understood(tmp_path: Path, source: str) -> None:
    if source == "the guide":
        example = GUIDE.partition("```toml\n")[2].partition("```")[0]
    else:
        lines = str(configuration.__doc__).splitlines()
        example = "\n".join(line[4:] for line in lines if line.startswith("    "))
    found = read(tmp_path, example.replace("~/weights", str(tmp_path)))
    assert (found.links, found.access_key, found.builder, found.models) == (True, True, "podman", tmp_path)
    assert found.parameters == {"MaxWorkers": "8", "AlarmEmail": "me@example.org"}
    assert set(found.image) == {"WEIGHTS"}


def test_the_guide_names_resources_outputs_and_quotas_that_there_are() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL))
    outputs = set(re.findall(r"\$\(out (\w+)\)", commands))
    assert {"JobDeadLetterQueueUrl", "FailedEventQueueUrl"} <= outputs <= set(template["Outputs"])
    (loop,) = re.findall(r"for id in ([\w ]+);", commands)
    assert {name for name, about in template["Resources"].items() if reads_session_secret(about)} == set(
        loop.split()
    )
    assert set(checks.GPU_QUOTAS) == set(re.findall(r"L-[0-9A-F]{8}", GUIDE))


def reads_session_secret(resource: dict[str, Any]) -> bool:
    variables = resource.get("Properties", {}).get("Environment", {})
    return isinstance(variables, dict) and "MAQUETTE_SESSION_SECRET_ARN" in variables.get("Variables", {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("links = ", "is not TOML"),
        ("link = true", "'link' is unknown; there are links"),
        ('links = "yes"', "links must be a truth value"),
        ('builder = "kaniko"', "docker, podman, buildah"),
        ('models = "nowhere"', "there is no folder .*nowhere"),
        ("[parameters]\nMaxWorker = 3", "no parameter 'MaxWorker'; it has .*MaxWorkers"),
        ('[parameters]\nName = "other"', "the deployment itself sets the parameter Name"),
        ('[parameters]\nImageTag = "v1"', "the deployment itself sets the parameter ImageTag"),
        ('[parameters]\nNetwork = "none"', "Network must be one of private, public"),
        ('[parameters]\nAlarmEmail = "me"', "AlarmEmail must look like"),
        (
            '[parameters]\nSiteDomain = "a.example"\nSiteCertificateArn = "arn:aws:acm:eu-west-1:1:x"',
            "SiteCertificateArn must look like .*us-east-1",
        ),
        ('access_key = true\n[parameters]\nAccessKeySecretArn = "arn:aws:x"', "names another one"),
    ],
)
def test_what_nothing_can_be_done_with_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(BadConfiguration, match=reason):
        read(tmp_path, text)


def test_every_parameter_gets_a_value_as_cloudformation_takes_it() -> None:
    about = {"A": {"Default": 0}, "B": {"Default": True}, "C": {"Default": ""}, "D": {"Default": "d"}, "E": {}}
    values = configuration.complete(about, {"D": "mine", "E": "given"}, {"C": "ours", "Unknown": "left out"})
    assert values == {"A": "0", "B": "true", "C": "ours", "D": "mine", "E": "given"}
    with pytest.raises(BadConfiguration, match="E has no default"):
        configuration.complete(about, {}, {})


def test_parameters_that_a_deployment_finds_out_are_parameters_of_the_template() -> None:
    assert set(configuration.OURS) <= set(declared())
    assert "AccessKeySecretArn" in declared()
