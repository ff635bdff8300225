"""A bucket as the template describes it, through the S3 API.

CloudFormation and S3 spell the same things differently; the renamings are here. A property that is neither
created nor listed as meaningless on one machine is an error: nothing in the template is dropped in silence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.errors import BadConfiguration

#: handled by :func:`create` or by whoever wires the notifications
_CREATED = {
    "BucketName",
    "CorsConfiguration",
    "LifecycleConfiguration",
    "NotificationConfiguration",
    "VersioningConfiguration",
}
#: who may do what, how it is encrypted and what it is billed to mean nothing on one machine
_MEANINGLESS = {
    "AccessControl",
    "BucketEncryption",
    "LoggingConfiguration",
    "MetricsConfigurations",
    "OwnershipControls",
    "PublicAccessBlockConfiguration",
    "Tags",
}


@dataclass(frozen=True)
class Notification:
    """Objects of ``bucket`` under ``prefix`` (and with ``suffix``) are announced as ``events``."""

    events: tuple[str, ...]
    function_arn: str
    rules: tuple[tuple[str, str], ...]


def create(s3: Any, name: str, properties: Mapping[str, Any]) -> None:
    """The bucket with its versioning, CORS and lifecycle; no harm when it exists already."""
    unknown = sorted(set(properties) - _CREATED - _MEANINGLESS)
    if unknown:
        raise BadConfiguration(f"The local cloud cannot give the bucket {name} its {unknown[0]}.")
    try:
        s3.create_bucket(Bucket=name, **_location(s3.meta.region_name))
    except (s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.head_bucket(Bucket=name)  # raises when it is somebody else's
    if "VersioningConfiguration" in properties:
        status = properties["VersioningConfiguration"]["Status"]
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": status})
    if "CorsConfiguration" in properties:
        rules = [_renamed(rule, _CORS_NAMES) for rule in properties["CorsConfiguration"]["CorsRules"]]
        s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": rules})
    if "LifecycleConfiguration" in properties:
        rules = [_lifecycle_rule(rule) for rule in properties["LifecycleConfiguration"]["Rules"]]
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})


def notifications(properties: Mapping[str, Any]) -> list[Notification]:
    """The functions that the template has told of new objects."""
    found = []
    for entry in properties.get("NotificationConfiguration", {}).get("LambdaConfigurations", []):
        rules = entry.get("Filter", {}).get("S3Key", {}).get("Rules", [])
        found.append(
            Notification(
                events=(entry["Event"],),
                function_arn=entry["Function"],
                rules=tuple((rule["Name"].lower(), rule["Value"]) for rule in rules),
            )
        )
    return found


def notify_queues(s3: Any, bucket: str, wanted: Sequence[tuple[Notification, str]]) -> None:
    """Announce new objects to queues, given as ``(notification, queue ARN)``."""
    configurations = [
        {
            "QueueArn": queue_arn,
            "Events": list(notification.events),
            "Filter": {"Key": {"FilterRules": [{"Name": n, "Value": v} for n, v in notification.rules]}},
        }
        for notification, queue_arn in wanted
    ]
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": configurations}
    )


def queue_policy(queue_arn: str, bucket: str) -> str:
    """The policy that lets S3 send to the queue."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


_CORS_NAMES = {
    "Id": "ID",
    "AllowedHeaders": "AllowedHeaders",
    "AllowedMethods": "AllowedMethods",
    "AllowedOrigins": "AllowedOrigins",
    "ExposedHeaders": "ExposeHeaders",
    "MaxAge": "MaxAgeSeconds",
}
_LIFECYCLE_NAMES = {
    "Id": "ID",
    "Status": "Status",
    "Prefix": "Prefix",
    "ExpirationInDays": "Expiration",
    "AbortIncompleteMultipartUpload": "AbortIncompleteMultipartUpload",
    "NoncurrentVersionExpiration": "NoncurrentVersionExpiration",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}


def _renamed(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise BadConfiguration(f"The local cloud knows no bucket rule property {unknown[0]}.")
    return {names[name]: value for name, value in given.items()}


def _lifecycle_rule(given: Mapping[str, Any]) -> dict[str, Any]:
    rule = _renamed(given, _LIFECYCLE_NAMES)
    rule["Filter"] = {"Prefix": rule.pop("Prefix", "")}
    expiration: dict[str, Any] = {}
    if "Expiration" in rule:
        expiration["Days"] = int(rule["Expiration"])
    if "ExpiredObjectDeleteMarker" in rule:
        expiration["ExpiredObjectDeleteMarker"] = bool(rule.pop("ExpiredObjectDeleteMarker"))
    if expiration:
        rule["Expiration"] = expiration
    return rule


def _location(region: str) -> dict[str, Any]:
    # us-east-1 is the one region that S3 refuses to be told.
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
