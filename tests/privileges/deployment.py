"""The template as if deployed: what each role may do and which variables each process is given.

Buckets, queues, tables and the bus lie in moto; functions and worker are processes of their own
(:mod:`tests.privileges.processes`); REST, sockets, uploads and the stream are the local cloud's.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from infra.deployment import keys
from infra.local.endpoint import Endpoint
from infra.local.gateway import Address, Gateway, bind
from infra.local.moto import MotoServer
from infra.local.resources import Resources, create
from infra.local.streams import StreamDispatcher
from infra.local.template import TEMPLATE, Resolver, load
from infra.local.uploads import UploadDispatcher
from tests.privileges.iam import Permission, permissions
from tests.privileges.processes import FunctionProcesses

ACCOUNT = "123456789012"  # moto's
WORKER = "WorkerRole"
#: Roles of services, whose calls nobody here makes.
OF_SERVICES = {"WorkerExecutionRole", "WorkerInstanceRole"}
#: of a process's variables, those that its system sets and not the template
SYSTEM = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}


@dataclass(repr=False)
class Stack:
    """What the template comes to when it is deployed with ``parameters``."""

    endpoint: Endpoint
    parameters: Mapping[str, str]
    created: Resources
    #: of the session secret, which CloudFormation would make
    secret_arn: str
    template: dict[str, Any] = field(init=False)
    resolver: Resolver = field(init=False)

    def __post_init__(self) -> None:
        self.template = load(TEMPLATE, region=self.endpoint.region)
        self.resolver = Resolver(
            self.template,
            pseudo={
                "AWS::AccountId": ACCOUNT,
                "AWS::Partition": "aws",
                "AWS::Region": self.endpoint.region,
                "AWS::StackName": "maquette",
                "AWS::URLSuffix": "amazonaws.com",
            },
            parameters=self.parameters,
            reference=self._reference,
            attribute=self._attribute,
        )

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Properties, not resolved, of every resource of a type."""
        resources = self.template["Resources"].items()
        return {name: thing["Properties"] for name, thing in resources if thing["Type"] == kind}

    def permissions(self) -> list[Permission]:
        """Everything that any role's own policies allow."""
        return [
            permission
            for role, given in self.of_type("AWS::IAM::Role").items()
            for permission in permissions(role, self.resolver.resolve(given.get("Policies", [])))
        ]

    def functions(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Per handler, its role and the variables that the template sets."""
        found = {}
        for given in self.of_type("AWS::Lambda::Function").values():
            variables = self.resolver.resolve(given["Environment"]["Variables"])
            role, _ = given["Role"]["Fn::GetAtt"]
            found[str(given["Handler"])] = (role, {name: str(value) for name, value in variables.items()})
        return found

    def worker(self) -> dict[str, str]:
        """The variables that the task definition sets."""
        (task,) = self.of_type("AWS::ECS::TaskDefinition").values()
        assert task["TaskRoleArn"] == {"Fn::GetAtt": [WORKER, "Arn"]}
        (container,) = task["ContainerDefinitions"]
        return {each["Name"]: str(self.resolver.resolve(each["Value"])) for each in container["Environment"]}

    def arns(self) -> dict[str, str]:
        """ARNs by the names and URLs that calls use."""
        names = {name: self._attribute(name, "Arn") for name in self.created.names}
        found = {self.created.names[name]: arn for name, arn in names.items()}
        place = f"{self.endpoint.region}:{ACCOUNT}"
        return {**found, "sockets": f"arn:aws:execute-api:{place}:WebSocketApi/live"}

    def task_arn(self) -> str:
        """That of the one worker there is."""
        return (
            f"arn:aws:ecs:{self.endpoint.region}:{ACCOUNT}:task/{self._reference('Cluster')}/0123456789abcdef"
        )

    def _reference(self, name: str) -> str:
        if name == "SessionSecret":
            return self.secret_arn
        if name == "Cluster":
            return str(self.resolver.resolve(self.template["Resources"][name]["Properties"]["ClusterName"]))
        return self.created.names.get(name, name)

    def _attribute(self, name: str, attribute: str) -> str:
        kind = self.template["Resources"][name]["Type"]
        if attribute != "Arn" or name not in self.created.names:
            return f"{name}.{attribute}"
        called, place = self.created.names[name].rpartition("/")[2], f"{self.endpoint.region}:{ACCOUNT}"
        return {
            "AWS::S3::Bucket": f"arn:aws:s3:::{called}",
            "AWS::SQS::Queue": f"arn:aws:sqs:{place}:{called}",
            "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{place}:table/{called}",
            "AWS::Events::EventBus": f"arn:aws:events:{place}:event-bus/{called}",
        }[kind]


@dataclass(repr=False)
class Deployment:
    """A stack with everything running but the worker."""

    stack: Stack
    address: Address
    functions: FunctionProcesses
    #: where each role's calls and variables are written down
    records: dict[str, Path]
    folder: Path
    access_key: str
    session_secret: str
    #: the private half, PEM
    link_key: str

    @property
    def log(self) -> Path:
        """Of all processes together."""
        return self.folder / "log"


@contextlib.contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    """A deployment with everything on that a parameter can turn on."""
    with contextlib.ExitStack() as parts:
        address = bind("127.0.0.1", 0)
        endpoint = Endpoint(parts.enter_context(MotoServer()).endpoint_url)
        account = Account("maquette", endpoint)
        link_key = keys.link_key(account)
        parameters = {
            "SiteOrigin": address.url,
            "AccessKeySecretArn": keys.access_key(account),
            "LinkPublicKey": link_key.public_key,
            "LinkSecretArn": link_key.secret_arn,
            "ImageTag": "1",
        }
        session_secret_arn = account.keep("session-secret", "s" * 64)
        stack = Stack(endpoint, parameters, create(endpoint, parameters=parameters), session_secret_arn)
        given = stack.functions()
        records = {role: folder / f"{role}.jsonl" for role in (WORKER, *(role for role, _ in given.values()))}
        shared = SYSTEM | endpoint.environment()
        functions = FunctionProcesses(
            {
                handler: shared | variables | _here("MAQUETTE_SOCKET_ENDPOINT", variables, address.url)
                for handler, (_, variables) in given.items()
            },
            {handler: records[role] for handler, (role, _) in given.items()},
            folder / "log",
            VersionsOfPhotos(endpoint),
        )
        parts.callback(functions.stop)
        triggers = stack.created.triggers
        gateway = Gateway(address, triggers, functions, endpoint_url=endpoint.url, site_folder=folder)
        gateway.start()
        parts.callback(gateway.stop)
        for dispatcher in (
            *(
                UploadDispatcher(endpoint, trigger, functions)
                for trigger in triggers.uploads.values()
                if trigger.queue_url
            ),
            *(StreamDispatcher(endpoint, trigger, functions) for trigger in triggers.streams),
        ):
            dispatcher.start()
            parts.callback(dispatcher.join, 5.0)
            parts.callback(dispatcher.stop)
        yield Deployment(
            stack,
            address,
            functions,
            records,
            folder,
            access_key=account.read(parameters["AccessKeySecretArn"]),
            session_secret=account.read(session_secret_arn),
            link_key=account.read(link_key.secret_arn),
        )


@dataclass(frozen=True)
class Account:
    """The place of a deployment, as :class:`infra.deployment.target.Target` is, and its secrets."""

    name: str
    endpoint: Endpoint

    def client(self, service: str) -> Any:
        return self.endpoint.client(service)

    def keep(self, name: str, secret: str) -> str:
        """ARN of a new secret."""
        return str(self.client("secretsmanager").create_secret(Name=name, SecretString=secret)["ARN"])

    def read(self, arn: str) -> str:
        return str(self.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])


class VersionsOfPhotos:
    """Completes S3's events, which moto sends without the version that was written."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._s3 = endpoint.client("s3")

    def __call__(self, handler: str, event: Any) -> Any:
        for record in event.get("Records", []) if isinstance(event, dict) else []:
            if "s3" in record:
                thing, bucket = record["s3"]["object"], record["s3"]["bucket"]["name"]
                answer = self._s3.head_object(Bucket=bucket, Key=unquote_plus(thing["key"]))
                thing["versionId"] = answer["VersionId"]
        return event


@contextlib.contextmanager
def ecs_agent(record: Path, task_arn: str) -> Iterator[str]:
    """The agent's endpoint for task protection, which calls ECS with the task's role; yields ECS_AGENT_URI."""

    class Agent(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._answer(
                "UpdateTaskProtection", json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            )

        def do_GET(self) -> None:
            self._answer("GetTaskProtection", {"ProtectionEnabled": False})

        def _answer(self, operation: str, state: dict[str, Any]) -> None:
            assert self.path.endswith("/task-protection/v1/state")
            line = {"kind": "call", "service": "ecs", "operation": operation, "parameters": {"task": task_arn}}
            with record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            body = json.dumps({"protection": {**state, "TaskArn": task_arn}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Agent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/container"
        finally:
            server.shutdown()
            thread.join()


def _here(name: str, variables: Mapping[str, str], value: str) -> dict[str, str]:
    """The local address in the place of one that only AWS has."""
    return {name: value} if name in variables else {}
