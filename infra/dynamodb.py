"""DynamoDB in plain Python values, and conditional writes that say what stood in their way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from infra.clients import client


class ConditionFailed(Exception):
    """A write's condition did not hold; ``item`` is what stood there, plain, or None for nothing."""

    def __init__(self, item: dict[str, Any] | None) -> None:
        super().__init__("The condition of a write did not hold.")
        self.item = item


def update(
    table: str,
    key: Mapping[str, Any],
    *,
    condition: str,
    values: Mapping[str, Any],
    sets: Mapping[str, Any],
    adds: tuple[str, ...] = (),
    removes: tuple[str, ...] = (),
) -> dict[str, Any]:
    """One conditional write; returns the whole item after it.

    Args:
        condition: DynamoDB's expression, with every attribute as ``#name`` and every value as ``:name``.
        values: the values of ``condition``, without the colon.
        sets: attributes and their new values.
        adds: counters to raise by one.
        removes: attributes to take away.

    Raises:
        ConditionFailed: nothing was written.
    """
    expression = "SET " + ", ".join(f"#{name} = :set_{name}" for name in sets)
    bindings = {f":{name}": value for name, value in values.items()}
    bindings |= {f":set_{name}": value for name, value in sets.items()}
    if adds:
        expression += " ADD " + ", ".join(f"#{name} :one" for name in adds)
        bindings[":one"] = 1
    if removes:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in removes)
    dynamodb = client("dynamodb")
    try:
        answer = dynamodb.update_item(
            TableName=table,
            Key=to_dynamodb(key),
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeNames={
                f"#{name}": name for name in re.findall(r"#(\w+)", expression + condition)
            },
            ExpressionAttributeValues=to_dynamodb(bindings),
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as error:
        item = error.response.get("Item")
        raise ConditionFailed(from_dynamodb(item) if item else None) from None
    return from_dynamodb(answer["Attributes"])


def to_dynamodb(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as DynamoDB attributes; None is left out, floats keep six decimals."""
    from boto3.dynamodb.types import TypeSerializer

    serializer = TypeSerializer()
    return {name: serializer.serialize(_exact(value)) for name, value in values.items() if value is not None}


def from_dynamodb(item: Mapping[str, Any]) -> dict[str, Any]:
    """DynamoDB attributes as plain values."""
    from boto3.dynamodb.types import TypeDeserializer

    deserializer = TypeDeserializer()
    return {name: _plain(deserializer.deserialize(value)) for name, value in item.items()}


def _exact(value: Any) -> Any:
    """Floats as decimals, since DynamoDB knows no floats."""
    if isinstance(value, float):
        return Decimal(repr(round(value, 6)))
    if isinstance(value, Mapping):
        return {name: _exact(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_exact(inner) for inner in value]
    return value


def _plain(value: Any) -> Any:
    """Decimals as int where whole, else as float."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
