"""Just enough of IAM to say whether a role may do what was recorded of it.

A role of the template has inline policies of Allow statements, a few with one condition on a string; anything
else is refused here instead of being misread. Everything not allowed is forbidden, as in IAM.

Reference: AWS IAM User Guide, "Policy evaluation logic"; Service Authorization Reference; for S3, "Required
permissions for Amazon S3 API operations".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: operations whose permission has their own name, on a resource that a parameter names
_BY_PARAMETER = {
    "dynamodb": ("TableName", {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"}),
    "secretsmanager": ("SecretId", {"GetSecretValue"}),
    "sqs": (
        "QueueUrl",
        {"SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"},
    ),
}
#: what a multipart upload is made of, besides its being broken off
_UPLOADS = {"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}


@dataclass(frozen=True)
class Permission:
    """One action on one pattern of resources, of one statement."""

    role: str
    statement: str
    action: str
    resource: str
    #: the condition keys that must match a pattern each
    condition: tuple[tuple[str, str], ...] = ()

    def covers(self, asked: Request) -> bool:
        """Whether this alone allows it."""
        return (
            _matches(self.action.lower(), asked.action.lower())
            and _matches(self.resource, asked.resource)
            and all(_matches(pattern, asked.context.get(key)) for key, pattern in self.condition)
        )


@dataclass(frozen=True)
class Request:
    """One permission that a call needs; ``context`` holds the condition keys that AWS would fill in."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict, hash=False)


def permissions(role: str, policies: Iterable[Mapping[str, Any]]) -> Iterator[Permission]:
    """Every permission in the resolved policies of a role."""
    for policy in policies:
        for number, statement in enumerate(policy["PolicyDocument"]["Statement"]):
            unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
            if unknown or statement["Effect"] != "Allow":
                raise NotImplementedError(f"Here nobody understands {statement} of {role}.")
            name = str(statement.get("Sid", f"{policy['PolicyName']}, {number}"))
            condition = tuple(_condition(statement.get("Condition", {})))
            for action in _list(statement["Action"]):
                for resource in _list(statement["Resource"]):
                    yield Permission(role, name, action, resource, condition)


def forbidden(asked: Iterable[Request], granted: Iterable[Permission]) -> list[Request]:
    """Those that nothing allows."""
    granted = list(granted)
    return [request for request in asked if not any(permission.covers(request) for permission in granted)]


def unused(granted: Iterable[Permission], asked: Iterable[Request]) -> list[Permission]:
    """Those that nobody has made use of."""
    asked = list(asked)
    return [permission for permission in granted if not any(permission.covers(request) for request in asked)]


def requests(
    service: str, operation: str, parameters: Mapping[str, Any], arns: Mapping[str, str]
) -> list[Request]:
    """What a recorded call must be allowed; ``arns`` finds an ARN by the name or URL that calls use."""
    match service, operation:
        case "s3", _:
            return list(_s3(operation, parameters))
        case "dynamodb", "Query" if "IndexName" in parameters:
            index = f"{arns[parameters['TableName']]}/index/{parameters['IndexName']}"
            return [Request("dynamodb:Query", index)]
        case "events", "PutEvents":
            return [Request("events:PutEvents", arns[entry["EventBusName"]]) for entry in parameters["Entries"]]
        case "apigatewaymanagementapi", "PostToConnection":
            path = f"{arns['sockets']}/POST/@connections/{parameters['ConnectionId']}"
            return [Request("execute-api:ManageConnections", path)]
        case "ecs", "UpdateTaskProtection" | "GetTaskProtection":
            return [Request(f"ecs:{operation}", parameters["task"])]
    name, operations = _BY_PARAMETER.get(service, ("", set()))
    if operation not in operations:
        raise NotImplementedError(f"Which permissions does {service}.{operation} need? Say so in {__name__}.")
    return [Request(f"{service}:{operation}", arns.get(parameters[name], parameters[name]))]


def _s3(operation: str, parameters: Mapping[str, Any]) -> Iterator[Request]:
    bucket = f"arn:aws:s3:::{parameters['Bucket']}"
    thing = f"{bucket}/{parameters.get('Key', '')}"
    match operation:
        case "GetObject" | "HeadObject":
            yield Request("s3:GetObject", thing)
            if "VersionId" in parameters:
                yield Request("s3:GetObjectVersion", thing)
        case "DeleteObject":
            yield Request("s3:DeleteObject", thing)
            if "VersionId" in parameters:
                yield Request("s3:DeleteObjectVersion", thing)
        case "DeleteObjects":
            for entry in parameters["Delete"]["Objects"]:
                yield from _s3("DeleteObject", {"Bucket": parameters["Bucket"], **entry})
        case "ListObjectsV2":
            yield Request("s3:ListBucket", bucket, {"s3:prefix": parameters.get("Prefix", "")})
        case "TellMissing":  # 404 and not 403
            yield Request("s3:ListBucket", bucket)
        case "AbortMultipartUpload":
            yield Request("s3:AbortMultipartUpload", thing)
        case _ if operation in _UPLOADS:
            yield Request("s3:PutObject", thing)
        case _:
            raise NotImplementedError(f"Which permissions does s3.{operation} need? Say so in {__name__}.")


def _condition(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for operator, keys in given.items():
        for key, pattern in keys.items():
            if operator != "StringLike" or not isinstance(pattern, str):
                raise NotImplementedError(f"Here nobody understands the condition {given}.")
            yield key, pattern


def _matches(pattern: str, value: str | None) -> bool:
    """``*`` stands for any text and ``?`` for one character; a key that is not there matches nothing."""
    parts = ({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return value is not None and re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
