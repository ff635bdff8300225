"""``deployment.toml``: what can be said, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.deployment import configuration
from infra.errors import BadConfiguration
from tests.deployment.conftest import declared


def read(tmp_path: Path, text: str) -> configuration.Configuration:
    file = tmp_path / "deployment.toml"
    file.write_text(text, encoding="utf-8")
    return configuration.read(file, declared(), required=True)


def test_an_absent_file_says_nothing_unless_it_was_asked_for(tmp_path: Path) -> None:
    absent = tmp_path / "deployment.toml"
    assert configuration.read(absent, declared(), required=False) == configuration.Configuration()
    with pytest.raises(BadConfiguration, match="There is no file"):
        configuration.read(absent, declared(), required=True)


def test_the_example_of_the_documentation_is_understood(tmp_path: Path) -> None:
    text = str(configuration.__doc__)
    example = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    example = example.replace("~/weights", str(tmp_path))
    found = read(tmp_path, example)
    assert (found.links, found.access_key, found.builder, found.models) == (True, True, "podman", tmp_path)
    assert found.parameters == {"MaxWorkers": "8", "AlarmEmail": "me@example.org"}
    assert found.image == {"WEIGHTS": "triposr"}


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
