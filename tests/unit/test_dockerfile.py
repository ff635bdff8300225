"""The worker's image, as far as its text tells; infra/deployment/image/prove.py builds and runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from gpu_container.health import STUCK_SECONDS
from infra import settings
from infra.deployment.image.requirements import requirements
from infra.published import MODELS
from tests import dockerfile
from tests.dockerfile import ROOT, Instruction

#: variables that the image sets for programs other than ours
OF_OTHERS = {
    "HOME",
    "NUMBA_CACHE_DIR",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NVIDIA_DRIVER_CAPABILITIES",
    "PATH",
    "PYTHONUNBUFFERED",
}


@pytest.fixture(scope="module")
def instructions() -> list[Instruction]:
    return dockerfile.read()


@pytest.fixture(scope="module")
def last(instructions: list[Instruction]) -> list[Instruction]:
    """The stage that becomes the image."""
    return [it for it in instructions if it.stage == instructions[-1].stage]


def only(instructions: list[Instruction], name: str) -> Instruction:
    (found,) = [it for it in instructions if it.name == name]
    return found


def pins(path: str) -> dict[str, str]:
    lines = [line for line in (ROOT / path).read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def project() -> dict[str, object]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def test_every_stage_stands_on_the_base_argument_on_nothing_or_on_another_stage(
    instructions: list[Instruction],
) -> None:
    known = {"scratch", "${BASE}"}
    for it in instructions:
        if it.name == "FROM":
            origin, _, name = it.text.partition(" AS ")
            assert origin in known | {"with-${WEIGHTS}"}, it.text
            known.add(name)


def test_the_base_is_pinned_by_its_digest(instructions: list[Instruction]) -> None:
    base = dockerfile.arguments(instructions)["BASE"]
    assert re.fullmatch(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}", base), base


def test_the_worker_is_a_numbered_user_without_rights(last: list[Instruction]) -> None:
    assert only(last, "USER").text == "10001:10001"
    after = last[last.index(only(last, "USER")) :]
    assert not {it.name for it in after} & {"RUN", "COPY", "ADD", "VOLUME"}


def test_the_worker_hears_signals_itself_and_has_no_shell_before_it(last: list[Instruction]) -> None:
    assert json.loads(only(last, "ENTRYPOINT").text) == ["python", "-m", "gpu_container.worker"]
    assert not [it for it in last if it.name == "CMD"]


def test_the_health_check_asks_the_worker_and_is_quicker_than_a_worker_is_called_stuck(
    last: list[Instruction],
) -> None:
    check = only(last, "HEALTHCHECK")
    assert json.loads(check.text.partition("CMD ")[2]) == ["python", "-m", "gpu_container.health"]
    interval = re.search(r"--interval=(\d+)s", check.text)
    assert interval is not None
    assert int(interval[1]) < STUCK_SECONDS


def test_nothing_comes_from_the_network_but_packages_and_models_that_are_hashed_or_pinned(
    instructions: list[Instruction],
) -> None:
    text = " ".join(it.text for it in instructions if it.name == "RUN")
    assert not [it for it in instructions if it.name == "ADD"]
    assert not re.findall(r"\b(curl|wget|git|apt-get|apt)\b", text)
    for command in re.findall(r"tools/bin/pip [^;]*", text):
        assert "--no-deps" in command or "-c constraints.txt" in command, command


def test_every_variable_of_the_image_is_one_that_something_reads(instructions: list[Instruction]) -> None:
    assert settings.__doc__ is not None
    documented = set(re.findall(r"^(\w+) {2,}", settings.__doc__, re.MULTILINE))
    found = set(dockerfile.variables(instructions))
    assert found - documented == OF_OTHERS
    told = (ROOT / "docs" / "operations.md").read_text()
    assert [name for name in found if name not in told] == []


def test_there_is_a_stage_for_every_choice_of_models_with_just_their_variables(
    instructions: list[Instruction],
) -> None:
    names = dockerfile.stages(instructions)
    for choice in ("all", "none", *(model.name for model in MODELS)):
        stage = [it for it in instructions if it.stage == names[f"with-{choice}"]]
        wanted = {
            model.variable: str(model.value(Path("/opt/models")))
            for model in MODELS
            if choice in ("all", model.name)
        }
        assert dockerfile.variables(stage) == wanted


def test_what_is_written_to_are_volumes_and_nothing_else_is(
    instructions: list[Instruction], last: list[Instruction]
) -> None:
    volumes = json.loads(only(last, "VOLUME").text)
    paths = dockerfile.variables(instructions)
    for name in ("HOME", "NUMBA_CACHE_DIR", "MAQUETTE_HEALTH_FILE"):
        assert any(Path(paths[name]).is_relative_to(volume) for volume in volumes), name


def test_what_is_copied_from_the_checkout_is_all_that_the_builder_gets(instructions: list[Instruction]) -> None:
    copies = [it.words for it in instructions if it.name == "COPY" and "--from=" not in it.text]
    sources = {source for words in copies for source in words[:-1]}
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored[0] == "*"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert let_in == {source for source in sources if "/" not in source}
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, f"{each}*") for each in let_in), source


def test_the_packages_are_the_projects_pins_without_those_of_the_functions(
    instructions: list[Instruction],
) -> None:
    extras = dockerfile.arguments(instructions)["EXTRAS"].split(",")
    run = subprocess.run(
        [
            sys.executable,
            ROOT / "infra/deployment/image/requirements.py",
            ROOT / "pyproject.toml",
            ",".join(extras),
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={},
    )
    given, groups = run.stdout.split(), project()["optional-dependencies"]
    assert isinstance(groups, dict)
    assert given == requirements(project(), extras)
    assert set(groups["pipeline"] + groups["rembg"]) < set(given)
    assert {pin.partition("==")[0] for pin in given} >= {"boto3", "torch", "onnxruntime"}
    assert not {pin for pin in given if pin.lower().startswith(("chalice", "pyjwt"))}
    assert requirements(project(), ["cli"], only=True) == groups["cli"]


def test_what_only_the_image_installs_is_pinned_exactly_and_nowhere_twice() -> None:
    image, everywhere = pins("gpu_container/constraints-image.txt"), pins("constraints.txt")
    assert not {name.lower() for name in image} & {name.lower() for name in everywhere}
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert required == [f"setuptools=={image['setuptools']}"]
