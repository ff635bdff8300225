"""An account in moto, programs that write down how they are started, and a checkout to deploy."""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.deployment import deploy, destroy
from infra.deployment.configuration import declared_parameters
from infra.deployment.deploy import Checkout
from infra.local.endpoint import Endpoint
from infra.local.moto import MotoServer

ROOT = Path(__file__).parents[2]
STACK = "atelier"
REGION = "us-east-1"


@dataclass
class Bench:
    """A checkout, and what was started while it was deployed."""

    checkout: Checkout
    log: Path
    site: Path
    tools: Path

    def deploy(self, *flags: str) -> None:
        deploy.deploy(self.checkout, deploy.parse(["--stack", STACK, "--yes", *flags]))

    def destroy(self, *flags: str) -> None:
        destroy.destroy(destroy.parse(["--stack", STACK, "--yes", *flags]))

    def calls(self, name: str | None = None) -> list[dict[str, Any]]:
        """Calls of the programs so far, in order."""
        text = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
        calls = [json.loads(line) for line in text.splitlines()]
        return [call for call in calls if name in (None, call["name"])]

    def configure(self, text: str) -> None:
        (self.checkout.root / "deployment.toml").write_text(text, encoding="utf-8")

    def outputs(self) -> dict[str, str]:
        stack = boto3.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def parameters(self) -> dict[str, str]:
        """What sam was told last."""
        template = boto3.client("cloudformation").get_template(StackName=STACK)["TemplateBody"]
        return dict(json.loads(json.dumps(template))["Metadata"]["Parameters"])

    def invalidations(self) -> list[list[str]]:
        cloudfront, distribution = boto3.client("cloudfront"), self.outputs()["DistributionId"]
        listed = cloudfront.list_invalidations(DistributionId=distribution)["InvalidationList"].get("Items", [])
        found = [cloudfront.get_invalidation(DistributionId=distribution, Id=one["Id"]) for one in listed]
        return [one["Invalidation"]["InvalidationBatch"]["Paths"]["Items"] for one in found]


@cache
def declared() -> dict[str, Any]:
    """The parameters of the real template."""
    return declared_parameters(ROOT / "template.yaml")


@pytest.fixture(scope="session")
def aws() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


@pytest.fixture
def account(aws: MotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty account, and an environment that leads to it and nowhere else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in Endpoint(aws.endpoint_url, region=REGION).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    reset = urllib.request.Request(f"{aws.endpoint_url}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()


@pytest.fixture
def bench(account: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    root, tools, site = tmp_path / "checkout", tmp_path / "tools", tmp_path / "built"
    (root / "gpu_container").mkdir(parents=True)
    (root / "template.yaml").write_text(json.dumps({"Parameters": declared()}))
    (root / "gpu_container" / "Dockerfile").write_text("FROM scratch\nCOPY gpu_container /app/gpu_container\n")
    (root / "gpu_container" / "worker.py").write_text("print('work')\n")
    tools.mkdir()
    for name in ("sam", "docker", "make"):
        install(tools, name)
    build_site(site, "one")
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("TOOLS_LOG", str(tmp_path / "calls.jsonl"))
    monkeypatch.setenv("TOOLS_SITE", str(site))
    return Bench(Checkout(root), tmp_path / "calls.jsonl", site, tools)


def install(tools: Path, name: str) -> None:
    """A program called ``name`` that is :mod:`tests.deployment.tools`."""
    program = tools / name
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m tests.deployment.tools {name} "$@"\n'
    )
    program.chmod(0o755)


def build_site(folder: Path, version: str) -> None:
    """What Vite leaves behind, in small; ``version`` is in the hashed names and in the contents."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "assets").mkdir(parents=True)
    for name in (f"index-{version}.js", f"turn-{version}.js", f"index-{version}.css", f"robot-{version}.jpg"):
        (folder / "assets" / name).write_text(f"{name}\n")
    (folder / "assets" / "marcellus-latin.woff2").write_bytes(b"wOF2")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "theme.js").write_text("// theme\n")
    (folder / "index.html").write_text(
        '<!doctype html><link rel="icon" href="./favicon.svg"><script src="./theme.js"></script>'
        f'<script type="module" src="./assets/index-{version}.js"></script>'
        f'<link rel="stylesheet" href="./assets/index-{version}.css"><a href="https://example.org/">away</a>'
    )
