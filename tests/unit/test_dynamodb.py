"""Plain values on their way through DynamoDB's attributes."""

from __future__ import annotations

from infra.dynamodb import from_dynamodb, to_dynamodb
from infra.options import Options


def test_options_come_back_as_they_went() -> None:
    options = Options(lods=(5000, 1000), foreground_ratio=0.9, ambient_occlusion=True)

    item = from_dynamodb(to_dynamodb({"options": options.as_dict()}))

    assert Options.parse(item["options"]) == options


def test_numbers_within_lists_are_plain_again() -> None:
    values = {"list": [1, 2.5, [3]], "map": {"a": [0.125]}}

    back = from_dynamodb(to_dynamodb(values))

    assert back == values
    assert type(back["list"][0]) is int
    assert type(back["list"][1]) is float
