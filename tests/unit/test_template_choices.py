"""template.yaml under every choice that its parameters give: whatever is left refers to nothing that is not."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest

from tests.template import Choice, names_in, order_of_creation, template, waits_for

#: per parameter that a condition looks at, another value than its default
CHOICES = {
    "SiteOrigin": "https://elsewhere.example",
    "SiteDomain": "maquette.example",
    "AccessKeySecretArn": "arn:aws:secretsmanager:eu-central-1:000000000000:secret:key",
    "LinkPublicKey": "-----BEGIN PUBLIC KEY-----",
    "ImageTag": "1",
    "VpcId": "vpc-0",
    "Network": "public",
    "AlarmEmail": "me@example.com",
    "MonthlyBudget": 100,
}


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return template()


@pytest.fixture(scope="module")
def outcomes(whole: dict[str, Any]) -> list[Choice]:
    """With nothing changed, any one parameter, any two of them, and all."""
    changed = [names for count in (0, 1, 2, len(CHOICES)) for names in combinations(CHOICES, count)]
    return [Choice(whole, {name: CHOICES[name] for name in names}) for names in changed]


def test_every_parameter_that_a_condition_looks_at_is_tried(whole: dict[str, Any]) -> None:
    assert set(names_in(whole["Conditions"])) == set(CHOICES)
    assert all(whole["Parameters"][name]["Default"] != other for name, other in CHOICES.items())


def test_every_condition_holds_sometimes_and_sometimes_not(
    whole: dict[str, Any], outcomes: list[Choice]
) -> None:
    for name in whole["Conditions"]:
        assert {outcome.holds(name) for outcome in outcomes} == {True, False}, name


def test_no_resource_refers_to_one_that_its_parameters_leave_out(
    whole: dict[str, Any], outcomes: list[Choice]
) -> None:
    known = {*whole["Parameters"], *whole["Resources"]}
    for outcome in outcomes:
        given = {*whole["Parameters"], *outcome.resources}
        for name, resource in outcome.resources.items():
            wanted = {*names_in(resource.get("Properties", {})), *waits_for(resource)}
            unknown = {other for other in wanted if not other.startswith("AWS::")} - known
            assert not unknown, name
            assert wanted & known <= given, name


def test_no_output_names_what_its_parameters_leave_out(whole: dict[str, Any], outcomes: list[Choice]) -> None:
    for outcome in outcomes:
        given = {*whole["Parameters"], *outcome.resources}
        for name, output in whole["Outputs"].items():
            if "Condition" not in output or outcome.holds(output["Condition"]):
                wanted = set(names_in(outcome.chosen(output["Value"])))
                assert {other for other in wanted if not other.startswith("AWS::")} <= given, name


def test_every_choice_can_be_created_in_some_order(outcomes: list[Choice]) -> None:
    for outcome in outcomes:
        assert set(order_of_creation(outcome.resources)) == set(outcome.resources)


def test_every_parameter_says_what_it_is_for_and_has_a_default_that_it_admits(whole: dict[str, Any]) -> None:
    for name, given in whole["Parameters"].items():
        assert given["Description"].endswith("."), name
        default = given["Default"]
        assert re.fullmatch(given.get("AllowedPattern", ".*"), str(default)), name
        assert default in given.get("AllowedValues", [default]), name
        if given["Type"] == "Number":
            assert given.get("MinValue", default) <= default <= given.get("MaxValue", default), name


def test_every_parameter_is_shown_in_one_group_and_used(whole: dict[str, Any]) -> None:
    groups = whole["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    used = set(names_in({part: whole[part] for part in ("Rules", "Conditions", "Resources", "Outputs")}))
    assert sorted(shown) == sorted(whole["Parameters"])
    assert set(whole["Parameters"]) <= used


def test_every_output_says_what_it_is(whole: dict[str, Any]) -> None:
    assert whole["Outputs"]
    assert all(output["Description"].endswith(".") for output in whole["Outputs"].values())


def test_whatever_a_linter_is_not_asked_about_has_its_reason(whole: dict[str, Any]) -> None:
    skipped = [
        (name, skip)
        for name, resource in whole["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skipped
    for name, skip in skipped:
        assert set(skip) == {"id", "comment"}, name
        assert len(skip["comment"].split()) >= 5, name
        assert skip["comment"].endswith("."), name
