"""Creates what template.yaml lists, through boto3, at any AWS endpoint.

CloudFormation would do, were it not that moto's silently drops bucket notifications, CORS, lifecycle rules and
TTL. A resource is created when it is first referred to, so the order follows from the template's own
references.

    with MotoServer() as aws:
        resources = create(Endpoint(aws.endpoint_url))
        os.environ.update(resources.environment(socket_endpoint="http://127.0.0.1:8000", session_secret="…"))
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from infra.errors import BadConfiguration
from infra.local import buckets
from infra.local.endpoint import Endpoint
from infra.local.template import TEMPLATE, Resolver, load
from infra.local.triggers import Triggers, read_triggers

#: environment variable of the settings → logical id in the template
VARIABLES = {
    "MAQUETTE_UPLOAD_BUCKET": "UploadBucket",
    "MAQUETTE_ARTIFACT_BUCKET": "ArtifactBucket",
    "MAQUETTE_JOBS_TABLE": "JobsTable",
    "MAQUETTE_CONNECTIONS_TABLE": "ConnectionsTable",
    "MAQUETTE_JOB_QUEUE_URL": "JobQueue",
    "MAQUETTE_EVENT_BUS": "EventBus",
}
NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})
#: properties of a table that are created; the others concern billing, backups and encryption
_TABLE_PROPERTIES = (
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "BillingMode",
    "ProvisionedThroughput",
)
#: properties of a queue that are attributes of the same name; the others concern encryption and billing
_QUEUE_ATTRIBUTES = (
    "DelaySeconds",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "VisibilityTimeout",
    "FifoQueue",
    "ContentBasedDeduplication",
    "RedrivePolicy",
)


@dataclass(frozen=True)
class Resources:
    """What exists now. ``names`` holds, per logical id, what ``Ref`` means: a bucket's name, a queue's URL."""

    endpoint: Endpoint
    names: Mapping[str, str]
    triggers: Triggers

    def environment(self, *, socket_endpoint: str, session_secret: str) -> dict[str, str]:
        """The variables that functions and workers read.

        ``socket_endpoint`` is where ``/@connections/{id}`` is served, without a trailing slash.
        """
        missing = sorted(set(VARIABLES.values()) - set(self.names))
        if missing:
            raise BadConfiguration(f"The template lists no {missing[0]}.")
        return {
            **self.endpoint.environment(),
            **{variable: self.names[logical_id] for variable, logical_id in VARIABLES.items()},
            "MAQUETTE_SOCKET_ENDPOINT": socket_endpoint,
            "MAQUETTE_SESSION_SECRET": session_secret,
            "MAQUETTE_OPEN_SESSIONS": "operator",
        }


def create(
    endpoint: Endpoint,
    template: Path = TEMPLATE,
    *,
    parameters: Mapping[str, str] = NO_PARAMETERS,
    stack_name: str = "maquette",
    kinds: Collection[str] | None = None,
    account: str | None = None,
) -> Resources:
    """Create every bucket, queue, table and bus of the template that does not exist yet.

    ``parameters`` replace the defaults of the template's own. For an endpoint that does not serve everything,
    ``kinds`` (CloudFormation types) says what to create, and ``account`` what there is no STS to ask for.
    """
    stack = _Stack(endpoint, load(template, region=endpoint.region), parameters, stack_name, kinds, account)
    for logical_id in stack.kept:
        stack.reference(logical_id)
    triggers = read_triggers(stack.properties, stack.arn_to_queue_url)
    return Resources(endpoint, dict(stack.names), stack.notify(triggers))


class _Stack:
    """The resources of one template, created as they are referred to."""

    def __init__(
        self,
        endpoint: Endpoint,
        template: Mapping[str, Any],
        parameters: Mapping[str, str],
        stack_name: str,
        kinds: Collection[str] | None,
        account: str | None,
    ) -> None:
        self._clients = {name: endpoint.client(name) for name in ("s3", "sqs", "dynamodb", "events")}
        self._stack_name = stack_name
        self._region = endpoint.region
        self._account = account or endpoint.client("sts").get_caller_identity()["Account"]
        self._creators = {
            kind: create for kind, create in self._CREATORS.items() if kinds is None or kind in kinds
        }
        self._resolver = Resolver(
            template,
            pseudo=self._pseudo(),
            parameters=parameters,
            reference=self.reference,
            attribute=self.attribute,
        )
        self._resources = {
            logical_id: resource
            for logical_id, resource in template["Resources"].items()
            if "Condition" not in resource or self._resolver.holds(resource["Condition"])
        }
        self._arns: dict[tuple[str, str], str] = {}
        self.names: dict[str, str] = {}

    @property
    def kept(self) -> list[str]:
        """Logical ids of the resources that are really created; compute, roles and gateways stay on paper."""
        return [name for name, resource in self._resources.items() if resource["Type"] in self._creators]

    def properties(self, kind: str) -> dict[str, dict[str, Any]]:
        """Resolved properties, per logical id, of all resources of a CloudFormation type."""
        return {
            logical_id: self._resolver.resolve(resource.get("Properties", {}))
            for logical_id, resource in self._resources.items()
            if resource["Type"] == kind
        }

    def reference(self, logical_id: str) -> str:
        """What ``Ref`` answers; creates the resource at the first call."""
        resource = self._resources.get(logical_id)
        if resource is None:
            raise BadConfiguration(f"The template refers to {logical_id}, which it does not define.")
        creator = self._creators.get(resource["Type"])
        if creator is None:
            return logical_id
        if logical_id not in self.names:
            properties = dict(self._resolver.resolve(_without_notifications(resource.get("Properties", {}))))
            creator(self, logical_id, properties)
        return self.names[logical_id]

    def attribute(self, logical_id: str, name: str) -> str:
        """What ``Fn::GetAtt`` answers."""
        self.reference(logical_id)
        if (logical_id, name) in self._arns:
            return self._arns[logical_id, name]
        kind = self._resources[logical_id]["Type"]
        if kind == "AWS::Lambda::Function" and name == "Arn":
            return f"arn:aws:lambda:{self._region}:{self._account}:function:{logical_id}"
        service = kind.split("::")[1].lower()  # of what stays on paper, its kind can still be told
        return f"arn:aws:{service}:{self._region}:{self._account}:{logical_id}/{name}"

    def arn_to_queue_url(self, arn: str) -> str | None:
        """The URL of a queue of this template, None when the ARN is no queue's."""
        for (logical_id, _), known in self._arns.items():
            if known == arn and self._resources[logical_id]["Type"] == "AWS::SQS::Queue":
                return self.names[logical_id]
        return None

    def notify(self, triggers: Triggers) -> Triggers:
        """Send each bucket's notifications to a queue per function; answers the triggers with those queues."""
        s3, sqs = self._clients["s3"], self._clients["sqs"]
        uploads = {}
        for logical_id, properties in self.properties("AWS::S3::Bucket").items():
            bucket, wanted = self.names[logical_id], []
            for notification in buckets.notifications(properties):
                trigger = triggers.upload(notification.function_arn)
                name = f"{self._stack_name}-{trigger.function}-notifications"
                url = sqs.create_queue(QueueName=name)["QueueUrl"]
                arn = self._queue_arn(url)
                policy = buckets.queue_policy(arn, bucket)
                sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
                uploads[trigger.function] = dataclasses.replace(trigger, queue_url=url)
                wanted.append((notification, arn))
            if wanted:
                buckets.notify_queues(s3, bucket, wanted)
        return dataclasses.replace(triggers, uploads=uploads)

    def _create_bucket(self, logical_id: str, properties: dict[str, Any]) -> None:
        name = str(properties.get("BucketName", self._default_name(logical_id)))
        buckets.create(self._clients["s3"], name, properties)
        self.names[logical_id] = name
        self._arns[logical_id, "Arn"] = f"arn:aws:s3:::{name}"

    def _create_queue(self, logical_id: str, properties: dict[str, Any]) -> None:
        sqs = self._clients["sqs"]
        name = str(properties.get("QueueName", self._default_name(logical_id)))
        given = {key: properties[key] for key in _QUEUE_ATTRIBUTES if key in properties}
        attributes = {
            key: json.dumps(value) if isinstance(value, dict) else str(value) for key, value in given.items()
        }
        try:
            url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        except sqs.exceptions.QueueNameExists:  # with other attributes: those of the template win
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        self.names[logical_id] = url
        self._arns[logical_id, "Arn"] = self._queue_arn(url)
        self._arns[logical_id, "QueueName"] = name

    def _create_table(self, logical_id: str, properties: dict[str, Any]) -> None:
        dynamodb = self._clients["dynamodb"]
        name = str(properties.get("TableName", self._default_name(logical_id)))
        wanted = {key: properties[key] for key in _TABLE_PROPERTIES if key in properties}
        stream = properties.get("StreamSpecification")
        if stream:
            wanted["StreamSpecification"] = {"StreamEnabled": True, **stream}
        try:
            dynamodb.create_table(TableName=name, **wanted)
        except dynamodb.exceptions.ResourceInUseException:
            dynamodb.describe_table(TableName=name)  # it exists: a second start on the same endpoint
        dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        table = dynamodb.describe_table(TableName=name)["Table"]
        lifetime = properties.get("TimeToLiveSpecification")
        current = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if lifetime and current.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=lifetime)
        self.names[logical_id] = name
        self._arns[logical_id, "Arn"] = table["TableArn"]
        if stream:
            self._arns[logical_id, "StreamArn"] = table["LatestStreamArn"]

    def _create_bus(self, logical_id: str, properties: dict[str, Any]) -> None:
        events = self._clients["events"]
        name = str(properties["Name"])
        try:
            arn = events.create_event_bus(Name=name)["EventBusArn"]
        except events.exceptions.ResourceAlreadyExistsException:
            arn = events.describe_event_bus(Name=name)["Arn"]
        self.names[logical_id] = name
        self._arns[logical_id, "Arn"] = arn
        self._arns[logical_id, "Name"] = name

    _CREATORS: ClassVar[Mapping[str, Callable[[_Stack, str, dict[str, Any]], None]]] = {
        "AWS::S3::Bucket": _create_bucket,
        "AWS::SQS::Queue": _create_queue,
        "AWS::DynamoDB::Table": _create_table,
        "AWS::Events::EventBus": _create_bus,
    }

    def _queue_arn(self, url: str) -> str:
        answer = self._clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def _default_name(self, logical_id: str) -> str:
        return f"{self._stack_name}-{logical_id.lower()}"

    def _pseudo(self) -> dict[str, str]:
        return {
            "AWS::AccountId": self._account,
            "AWS::Partition": "aws",
            "AWS::Region": self._region,
            "AWS::StackName": self._stack_name,
            "AWS::StackId": f"arn:aws:cloudformation:{self._region}:{self._account}:stack/{self._stack_name}",
            "AWS::URLSuffix": "amazonaws.com",
        }


def _without_notifications(properties: Mapping[str, Any]) -> dict[str, Any]:
    # They name functions, whose variables may name the bucket in turn.
    return {name: value for name, value in properties.items() if name != "NotificationConfiguration"}
