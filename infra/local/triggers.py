"""Which function of the template is called by what: uploads, table streams, the clock, REST paths, sockets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.errors import BadConfiguration

#: calls after the first, where the template names no number (Lambda's own default for asynchronous calls)
DEFAULT_RETRIES = 2


@dataclass(frozen=True)
class UploadTrigger:
    """New objects, announced on ``queue_url``, go to ``handler``; lasting failures to ``failure_queue_url``."""

    function: str
    handler: str
    retries: int = DEFAULT_RETRIES
    failure_queue_url: str | None = None
    queue_url: str = ""


@dataclass(frozen=True)
class StreamTrigger:
    """Changes of a table go to ``handler`` in batches."""

    function: str
    handler: str
    stream_arn: str
    batch_size: int
    retries: int
    reports_item_failures: bool
    failure_queue_url: str | None
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScheduleTrigger:
    """Every ``seconds`` the clock calls ``handler``."""

    function: str
    handler: str
    seconds: float
    rule_arn: str


@dataclass(frozen=True)
class SocketAuthorizer:
    """``handler`` is asked about every new connection that has the ``query`` parameter; others are refused."""

    handler: str
    query: str


@dataclass(frozen=True)
class Triggers:
    """Everything that calls a function."""

    uploads: Mapping[str, UploadTrigger] = field(default_factory=dict)
    streams: tuple[StreamTrigger, ...] = ()
    schedules: tuple[ScheduleTrigger, ...] = ()
    #: (method, path with {parameters}) → handler
    routes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    #: path → headers of the answer to a browser's preflight request
    preflights: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: $connect, $disconnect, $default and the named actions → handler
    socket_routes: Mapping[str, str] = field(default_factory=dict)
    #: decides who may connect; None: anybody
    socket_authorizer: SocketAuthorizer | None = None

    def upload(self, function_arn: str) -> UploadTrigger:
        """The trigger of a function, by the ARN that the bucket's notification names."""
        return self.uploads[_function_name(function_arn)]


def read_triggers(
    properties: Callable[[str], Mapping[str, Mapping[str, Any]]], queue_url: Callable[[str], str | None]
) -> Triggers:
    """``properties(type)`` answers resolved properties per logical id, ``queue_url(arn)`` a queue's URL."""
    functions = properties("AWS::Lambda::Function")
    handlers = {name: str(given["Handler"]) for name, given in functions.items() if "Handler" in given}

    def failure_queue(given: Mapping[str, Any]) -> str | None:
        destination = given.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        return queue_url(destination) if destination else None

    uploads = {name: UploadTrigger(name, handler) for name, handler in handlers.items()}
    for given in properties("AWS::Lambda::EventInvokeConfig").values():
        name = _function_name(given["FunctionName"])
        retries = int(given.get("MaximumRetryAttempts", DEFAULT_RETRIES))
        uploads[name] = UploadTrigger(name, handlers[name], retries, failure_queue(given))

    streams = []
    for given in properties("AWS::Lambda::EventSourceMapping").values():
        name = _function_name(given["FunctionName"])
        if name not in handlers or ":dynamodb:" not in str(given["EventSourceArn"]):
            raise BadConfiguration(f"The local cloud cannot feed {name} from {given['EventSourceArn']}.")
        streams.append(
            StreamTrigger(
                function=name,
                handler=handlers[name],
                stream_arn=given["EventSourceArn"],
                batch_size=int(given.get("BatchSize", 100)),
                retries=int(given.get("MaximumRetryAttempts", DEFAULT_RETRIES)),
                reports_item_failures="ReportBatchItemFailures" in given.get("FunctionResponseTypes", []),
                failure_queue_url=failure_queue(given),
                patterns=tuple(f["Pattern"] for f in given.get("FilterCriteria", {}).get("Filters", [])),
            )
        )
    schedules = tuple(_schedules(properties, handlers))
    routes, preflights = _rest(properties, handlers)
    sockets, authorizer = _sockets(properties, handlers), _socket_authorizer(properties, handlers)
    return Triggers(uploads, tuple(streams), schedules, routes, preflights, sockets, authorizer)


def _schedules(
    properties: Callable[[str], Mapping[str, Mapping[str, Any]]], handlers: Mapping[str, str]
) -> list[ScheduleTrigger]:
    found = []
    rules = {**properties("AWS::Events::Rule"), **properties("AWS::Scheduler::Schedule")}
    for name, given in rules.items():
        if "ScheduleExpression" not in given or given.get("State") == "DISABLED":
            continue
        for target in given.get("Targets") or [given["Target"]]:
            function = _function_name(target["Arn"])
            if function in handlers:
                seconds, arn = _seconds(given["ScheduleExpression"]), f"arn:aws:events:local:rule/{name}"
                found.append(ScheduleTrigger(function, handlers[function], seconds, arn))
    return found


def _rest(
    properties: Callable[[str], Mapping[str, Mapping[str, Any]]], handlers: Mapping[str, str]
) -> tuple[dict[tuple[str, str], str], dict[str, dict[str, str]]]:
    routes: dict[tuple[str, str], str] = {}
    preflights: dict[str, dict[str, str]] = {}
    for api in properties("AWS::ApiGateway::RestApi").values():
        for path, methods in api.get("Body", {}).get("paths", {}).items():
            for method, given in methods.items():
                integration = given.get("x-amazon-apigateway-integration", {})
                function = _function_name(integration.get("uri", ""))
                if function in handlers:
                    routes[method.upper(), path] = handlers[function]
                elif integration.get("type") == "mock":  # answered by the gateway itself
                    headers = integration["responses"]["default"].get("responseParameters", {})
                    preflights[path] = {
                        name.rpartition(".")[2]: value.strip("'") for name, value in headers.items()
                    }
    return routes, preflights


def _sockets(
    properties: Callable[[str], Mapping[str, Mapping[str, Any]]], handlers: Mapping[str, str]
) -> dict[str, str]:
    integrations = properties("AWS::ApiGatewayV2::Integration")
    socket_routes: dict[str, str] = {}
    for route in properties("AWS::ApiGatewayV2::Route").values():
        integration = integrations[str(route["Target"]).rpartition("/")[2]]
        function = _function_name(integration["IntegrationUri"])
        if function not in handlers:
            raise BadConfiguration(
                f"The socket route {route['RouteKey']} of the template leads to no function."
            )
        socket_routes[route["RouteKey"]] = handlers[function]
    return socket_routes


def _socket_authorizer(
    properties: Callable[[str], Mapping[str, Mapping[str, Any]]], handlers: Mapping[str, str]
) -> SocketAuthorizer | None:
    authorizers = properties("AWS::ApiGatewayV2::Authorizer")
    for route in properties("AWS::ApiGatewayV2::Route").values():
        if route["RouteKey"] == "$connect" and route.get("AuthorizationType") == "CUSTOM":
            given = authorizers[route["AuthorizerId"]]
            (source,) = given["IdentitySource"]
            place, _, name = source.rpartition(".")
            if place != "route.request.querystring":
                raise BadConfiguration(f"The local gateway finds no identity in {source}.")
            return SocketAuthorizer(handlers[_function_name(given["AuthorizerUri"])], name)
    return None


def _function_name(reference: str) -> str:
    """The logical id in a function's ARN, in an integration's URI or alone."""
    found = re.search(r"function:([A-Za-z0-9]+)", reference)
    return found.group(1) if found else reference


def _seconds(expression: str) -> float:
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    if not found:
        raise BadConfiguration(f"The local clock understands rate(…), not {expression!r}.")
    return int(found.group(1)) * {"minute": 60.0, "hour": 3600.0, "day": 86400.0}[found.group(2)]
