"""No role may do less than its code does, nor more: what was recorded of a whole life against template.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.privileges.deployment import OF_SERVICES, WORKER, Stack, deployed
from tests.privileges.iam import Permission, Request, forbidden, requests, unused
from tests.privileges.recorder import read
from tests.privileges.story import Story

#: Permissions that no call makes use of: whose they are, by role and action.
USED_BY_OTHERS = {
    (
        "OnUploadFunctionRole",
        "sqs:SendMessage",
        "failed-events",
    ): "Lambda sets aside what the function could not handle",
    ("OnJobChangedFunctionRole", "sqs:SendMessage", "failed-events"): "the same, of the stream",
}
#: Variables that are looked up and that no process is given: what holds without them.
LEFT_TO_DEFAULTS = {
    "MAQUETTE_SESSION_SECRET": "its ARN is given",
    "MAQUETTE_ACCESS_KEY": "its ARN is given",
    "MAQUETTE_OPEN_SESSIONS": "for a machine of one's own",
    "MAQUETTE_WEIGHTS": "set by the image",
    "MAQUETTE_MATTE_MODEL": "set by the image",
    "MAQUETTE_LEASE_SECONDS": "60",
    "MAQUETTE_JOB_DEADLINE_SECONDS": "900",
    "MAQUETTE_THREADS": "all cores",
}
SECRET = "s" * 64


@dataclass
class Life:
    """What was recorded."""

    stack: Stack
    #: per role, what its process needed permission for
    asked: dict[str, set[Request]]
    #: per role, the variables that its process looked up, and those that the template gives it
    looked_up: dict[str, set[str]]
    given: dict[str, set[str]]

    def granted(self, role: str) -> list[Permission]:
        return [permission for permission in self.stack.permissions() if permission.role == role]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder, key = tmp_path_factory.mktemp("life"), "the key of the house"
    with deployed(folder, access_key=key, link_key=key_pair(), session_secret=SECRET) as deployment:
        Story(deployment, key, SECRET).tell()
        deployment.functions.stop()
        lines = {role: read(path) for role, path in deployment.records.items()}
        stack, arns = deployment.stack, deployment.stack.arns()
        yield Life(
            stack,
            {
                role: {
                    request
                    for line in recorded
                    if line["kind"] == "call"
                    for request in requests(line["service"], line["operation"], line["parameters"], arns)
                }
                for role, recorded in lines.items()
            },
            {
                role: ours(line["name"] for line in recorded if line["kind"] == "variable")
                for role, recorded in lines.items()
            },
            {
                role: ours(variables)
                for role, variables in (*stack.functions().values(), (WORKER, stack.worker()))
            },
        )


def ours(names: Iterable[str]) -> set[str]:
    """Those of the project; others are boto3's and the system's."""
    return {name for name in names if name.startswith("MAQUETTE_")}


def key_pair() -> tuple[str, str]:
    """Public and private half, PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return public.decode(), private.decode()


def test_every_role_of_the_template_was_at_work(life: Life) -> None:
    assert set(life.asked) | OF_SERVICES == set(life.stack.of_type("AWS::IAM::Role"))
    assert all(life.asked.values())


def test_no_call_is_outside_of_its_roles_policy(life: Life) -> None:
    found = {role: forbidden(asked, life.granted(role)) for role, asked in life.asked.items()}
    assert {role: requests for role, requests in found.items() if requests} == {}


def test_without_any_one_of_its_permissions_a_role_would_fail(life: Life) -> None:
    for role, asked in life.asked.items():
        granted = life.granted(role)
        for permission in set(granted) - set(unused(granted, asked)):
            assert forbidden(asked, [other for other in granted if other != permission]), permission


def test_every_service_that_the_worker_calls_can_be_reached_from_its_network(life: Life) -> None:
    """Where a network has no way to the internet, each needs an endpoint."""
    endpoints = {
        str(given["ServiceName"]["Fn::Sub"]).rpartition("${AWS::Region}.")[2]
        for given in life.stack.of_type("AWS::EC2::VPCEndpoint").values()
    }
    assert {request.action.partition(":")[0] for request in life.asked[WORKER]} <= endpoints
    # What a machine needs to join its cluster, to pull the image and to write the log.
    assert {"ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "logs", "s3"} <= endpoints


def test_every_process_is_given_the_variables_that_it_looks_up(life: Life) -> None:
    missing = {role: names - life.given[role] - set(LEFT_TO_DEFAULTS) for role, names in life.looked_up.items()}
    assert {role: names for role, names in missing.items() if names} == {}


def test_no_variable_is_left_to_its_default_needlessly(life: Life) -> None:
    assert set(LEFT_TO_DEFAULTS) <= set().union(*life.looked_up.values())
    assert set(LEFT_TO_DEFAULTS).isdisjoint(set().union(*life.given.values()))
