"""Each function reads exactly the variables that the template gives it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from functions import app
from infra import tokens
from infra.clients import client
from infra.connections import ConnectionTable
from infra.dynamodb import to_dynamodb
from infra.job import Job
from infra.local.template import TEMPLATE, load
from infra.settings import Settings
from infra.tokens import Bearer
from tests.cloud.conftest import Cloud, SocketServer

KEY = "the key that signs sessions in this test"


class Watched(Mapping[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self, given: dict[str, str]) -> None:
        self._given = given
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


def exercise_on_upload(cloud: Cloud) -> None:
    app.on_upload({"Records": [cloud.drop("inbox/robot.png")]}, None)


def exercise_app(cloud: Cloud) -> None:
    token = tokens.issue("operator", KEY)[0]

    def call(method: str, resource: str, body: Any = None, **parameters: str) -> None:
        event = {
            "requestContext": {"resourcePath": resource, "httpMethod": method},
            "headers": {"Authorization": f"Bearer {token}"},
            "multiValueQueryStringParameters": None,
            "pathParameters": parameters,
            "stageVariables": None,
            "isBase64Encoded": False,
            "body": json.dumps(body),
        }
        assert app.app(event, None)["statusCode"] < 400

    call("POST", "/sessions", {"access_key": KEY})
    call("POST", "/jobs", {"filename": "robot.png"})
    call("GET", "/jobs")
    call("GET", "/jobs/{job_id}", job_id=succeeded(cloud).job_id)
    call("GET", "/jobs/{job_id}/artifacts", job_id="done")
    call("GET", "/jobs/{job_id}/artifacts/{name}", job_id="done", name="manifest.json")
    call("DELETE", "/jobs/{job_id}", job_id="done")


def exercise_authorize_socket(cloud: Cloud) -> None:
    token = tokens.issue("operator", KEY)[0]
    answer = app.authorize_socket({"methodArn": "arn", "queryStringParameters": {"token": token}}, None)
    assert answer["context"] == {"owner": "operator"}


def exercise_on_socket(cloud: Cloud) -> None:
    cloud.queued("job")
    context = {"connectionId": "c", "authorizer": {"owner": "operator"}}
    for event in (
        {"requestContext": context | {"eventType": "CONNECT"}},
        {
            "requestContext": context | {"eventType": "MESSAGE"},
            "body": '{"action": "subscribe", "job_id": "job"}',
        },
        {"requestContext": context | {"eventType": "DISCONNECT"}},
    ):
        assert app.on_socket(event, None) == {"statusCode": 200}


def exercise_on_job_changed(cloud: Cloud) -> None:
    job = succeeded(cloud)
    connections = ConnectionTable(cloud.settings.connections_table)
    connections.open("c", Bearer(owner=job.owner))
    connections.follow_all("c")
    change = {"SequenceNumber": "1", "NewImage": to_dynamodb(job.as_item())}
    assert app.on_job_changed({"Records": [{"dynamodb": change}]}, None) == {"batchItemFailures": []}


def exercise_on_schedule(cloud: Cloud) -> None:
    app.on_schedule({}, None)


def succeeded(cloud: Cloud) -> Job:
    cloud.queued("done")
    claimed = cloud.table.claim("done", "worker", lease_seconds=60, deadline_seconds=900).job
    key = "jobs/done/1/manifest.json"
    client("s3").put_object(Bucket=cloud.settings.artifact_bucket, Key=key, Body=b'{"files": []}')
    return cloud.table.succeed(claimed, manifest_key=key, engine="inflate", timings={})


EXERCISES = {
    f"functions.app.{name.removeprefix('exercise_')}": exercise
    for name, exercise in globals().copy().items()
    if name.startswith("exercise_")
}


#: read when the process starts, and where there is a key for links
ELSEWHERE = {
    "MAQUETTE_DEPLOYMENT",
    "MAQUETTE_LOG",
    "MAQUETTE_LINK_DOMAIN",
    "MAQUETTE_LINK_KEY_ID",
    "MAQUETTE_LINK_SECRET_ARN",
}


def variables() -> dict[str, set[str]]:
    """Per handler, the names of the variables that the template sets."""
    resources = load(TEMPLATE, region="us-east-1")["Resources"].values()
    functions = [thing["Properties"] for thing in resources if thing["Type"] == "AWS::Lambda::Function"]
    return {given["Handler"]: set(given["Environment"]["Variables"]) - ELSEWHERE for given in functions}


def test_every_handler_is_exercised_here() -> None:
    assert set(EXERCISES) == set(variables())


@pytest.mark.parametrize("handler", EXERCISES)
def test_a_function_needs_each_variable_it_is_given_and_no_other(
    cloud: Cloud, socket_server: SocketServer, monkeypatch: pytest.MonkeyPatch, handler: str
) -> None:
    secret = client("secretsmanager")
    known = {entry["Name"]: entry["ARN"] for entry in secret.list_secrets()["SecretList"]}
    arn = known.get("session-key") or secret.create_secret(Name="session-key", SecretString=KEY)["ARN"]
    everything = {
        **cloud.environment,
        "MAQUETTE_SOCKET_ENDPOINT": socket_server.url,
        "MAQUETTE_SESSION_SECRET_ARN": arn,
        "MAQUETTE_ACCESS_KEY_ARN": arn,
        "MAQUETTE_SITE_ORIGIN": "https://maquette.example",
        "MAQUETTE_OWNER_JOBS": "50",
    }
    given = variables()[handler]
    watched = Watched({name: everything[name] for name in given})
    monkeypatch.setattr(app, "settings", lambda: Settings(watched))
    EXERCISES[handler](cloud)
    assert given - watched.read == set(), "set in the template, but never read"
