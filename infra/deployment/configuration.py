"""``deployment.toml``: what somebody wants otherwise than the template's defaults. Every line is optional.

    links = true                  # models through CloudFront's signed links; the key pair is made for you
    access_key = true             # only who knows a key may begin a session; the key is made for you
    builder = "podman"            # docker, podman or buildah; otherwise the first that is installed
    models = "~/weights"          # folder of model files at hand; others are fetched while the image is built

    [parameters]                  # of template.yaml
    MaxWorkers = 8
    AlarmEmail = "me@example.org"

    [image]                       # build arguments of gpu_container/Dockerfile
    WEIGHTS = "triposr"

It holds no secrets and may be kept with the code. A parameter that is not named here has the template's
default, also when an earlier deployment gave it another value: what the file says is what there is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.errors import BadConfiguration

#: programs that build and push images, in the order in which they are looked for
BUILDERS = ("docker", "podman", "buildah")
#: parameters of the template that a deployment finds out by itself
OURS = ("Name", "ImageTag", "LinkPublicKey", "LinkSecretArn")


@dataclass(frozen=True)
class Configuration:
    """What the file says."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    links: bool = False
    access_key: bool = False
    builder: str | None = None
    models: Path | None = None
    image: Mapping[str, str] = field(default_factory=dict)


def read(path: Path, declared: Mapping[str, Mapping[str, Any]], *, required: bool) -> Configuration:
    """The configuration in ``path``; an absent file says nothing, unless it is ``required``.

    ``declared`` are the parameters of the template, as it describes them.

    Raises:
        BadConfiguration: the file cannot be read, or says something that nothing can be done with.
    """
    if not path.is_file():
        if required:
            raise BadConfiguration(f"There is no file {path}.")
        return Configuration()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path.name} is not TOML: {error}") from error
    shapes = {
        "links": bool,
        "access_key": bool,
        "builder": str,
        "models": str,
        "parameters": dict,
        "image": dict,
    }
    for name, value in found.items():
        if name not in shapes:
            raise BadConfiguration(f"{path.name}: {name!r} is unknown; there are {', '.join(shapes)}.")
        if not isinstance(value, shapes[name]):
            raise BadConfiguration(f"{path.name}: {name} must be a {_NAMES[shapes[name]]}.")
    builder = found.get("builder")
    if builder is not None and builder not in BUILDERS:
        raise BadConfiguration(f"{path.name}: builder must be one of {', '.join(BUILDERS)}.")
    models = (path.parent / Path(found["models"]).expanduser()).resolve() if "models" in found else None
    if models is not None and not models.is_dir():
        raise BadConfiguration(f"{path.name}: there is no folder {models}.")
    configuration = Configuration(
        parameters={name: _text(value) for name, value in found.get("parameters", {}).items()},
        links=found.get("links", False),
        access_key=found.get("access_key", False),
        builder=builder,
        models=models,
        image={name: _text(value) for name, value in found.get("image", {}).items()},
    )
    for name, text in configuration.parameters.items():
        _check_parameter(path.name, name, text, declared)
    if configuration.access_key and configuration.parameters.get("AccessKeySecretArn"):
        raise BadConfiguration(f"{path.name}: access_key makes a secret; AccessKeySecretArn names another one.")
    return configuration


def declared_parameters(template: Path) -> dict[str, dict[str, Any]]:
    """The ``Parameters`` section of a SAM template."""
    from samtranslator.yaml_helper import yaml_parse

    return dict(yaml_parse(template.read_text(encoding="utf-8")).get("Parameters", {}))


def complete(
    declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str], ours: Mapping[str, str]
) -> dict[str, str]:
    """A value for every parameter: ours, the given one or the template's default.

    Raises:
        BadConfiguration: one has none of them.
    """
    values = {}
    for name, about in declared.items():
        if name not in given and name not in ours and "Default" not in about:
            raise BadConfiguration(f"The parameter {name} has no default: deployment.toml must give it.")
        values[name] = ours.get(name, given.get(name, _text(about.get("Default", ""))))
    return values


def _check_parameter(file: str, name: str, text: str, declared: Mapping[str, Mapping[str, Any]]) -> None:
    if name in OURS:
        raise BadConfiguration(f"{file}: the deployment itself sets the parameter {name}.")
    if name not in declared:
        known = ", ".join(sorted(set(declared) - set(OURS)))
        raise BadConfiguration(f"{file}: the template has no parameter {name!r}; it has {known}.")
    about = declared[name]
    allowed = [_text(value) for value in about.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise BadConfiguration(f"{file}: {name} must be one of {', '.join(allowed)}.")
    if "AllowedPattern" in about and not re.fullmatch(about["AllowedPattern"], text):
        raise BadConfiguration(f"{file}: {name} must look like {about['AllowedPattern']}.")


def _text(value: Any) -> str:
    """As CloudFormation takes it: true and false in small letters, lists with commas."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value)


_NAMES = {bool: "truth value (true or false)", str: "string", dict: "table"}
