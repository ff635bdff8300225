"""template.yaml as tests look at it: transformed by SAM, its intrinsic functions as they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

from infra.local.template import TEMPLATE, Resolver, load

Resources = dict[str, dict[str, Any]]

REGION = "eu-central-1"


def template() -> dict[str, Any]:
    """The whole template; the caller may change it."""
    return deepcopy(_template())


@cache
def _template() -> dict[str, Any]:
    return load(TEMPLATE, region=REGION)


def of_type(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    """Properties of every resource of a type; there is at least one."""
    found = {name: thing["Properties"] for name, thing in resources.items() if thing["Type"] == kind}
    assert found, f"the template has no {kind}"
    return found


def names_in(value: Any) -> Iterator[str]:
    """Logical ids, and other names, that a value refers to."""
    if isinstance(value, list):
        for item in value:
            yield from names_in(item)
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref":
                yield item
            elif key == "Fn::GetAtt":
                yield item[0] if isinstance(item, list) else item.split(".")[0]
            elif key == "Fn::Sub":
                text, own = (item, {}) if isinstance(item, str) else item
                found = re.findall(r"\$\{([^!}]+)\}", text)
                yield from (name.split(".")[0] for name in found if name not in own)
                yield from names_in(own)
            else:
                yield from names_in(item)


def order_of_creation(resources: Resources) -> list[str]:
    """Every resource behind those it waits for; raises CycleError where that cannot be."""
    graph = {
        name: {*waits_for(thing), *names_in(thing.get("Properties", {}))} & set(resources)
        for name, thing in resources.items()
    }
    return list(TopologicalSorter(graph).static_order())


def waits_for(resource: Mapping[str, Any]) -> list[str]:
    """Its ``DependsOn``."""
    given = resource.get("DependsOn", [])
    return [given] if isinstance(given, str) else list(given)


def statements(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every role's own policies, with the role."""
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, held(statement)


def held(statement: dict[str, Any]) -> dict[str, Any]:
    """A statement that stands under a condition, as if it held."""
    return dict(statement["Fn::If"][1]) if "Fn::If" in statement else statement


def actions(statement: dict[str, Any]) -> list[str]:
    """Its actions."""
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


def widgets() -> list[dict[str, Any]]:
    """Of the dashboard, with every name filled in."""
    whole, pseudo = template(), {"AWS::Region": REGION}
    resolver = Resolver(whole, pseudo=pseudo, parameters={}, reference=str, attribute="{}.{}".format)
    (dashboard,) = of_type(whole["Resources"], "AWS::CloudWatch::Dashboard").values()
    return list(json.loads(resolver.resolve(dashboard["DashboardBody"]))["widgets"])


class Choice:
    """The template as it comes out when it is deployed with ``parameters``."""

    def __init__(self, whole: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        resolver = Resolver(whole, pseudo={}, parameters=parameters, reference=str, attribute="{}.{}".format)
        self.holds = resolver.holds
        self.resources: Resources = {
            name: self.chosen(thing)
            for name, thing in whole["Resources"].items()
            if "Condition" not in thing or self.holds(thing["Condition"])
        }

    def chosen(self, value: Any) -> Any:
        """A value with the branch of every ``Fn::If`` that is taken, without what ``AWS::NoValue`` removes."""
        if isinstance(value, dict):
            if set(value) == {"Fn::If"}:
                condition, yes, no = value["Fn::If"]
                return self.chosen(yes if self.holds(condition) else no)
            return {key: self.chosen(item) for key, item in value.items() if not self._removed(item)}
        if isinstance(value, list):
            return [self.chosen(item) for item in value if not self._removed(item)]
        return value

    def _removed(self, value: Any) -> bool:
        if isinstance(value, dict) and set(value) == {"Fn::If"}:
            condition, yes, no = value["Fn::If"]
            return self._removed(yes if self.holds(condition) else no)
        return bool(value == {"Ref": "AWS::NoValue"})


@dataclass(frozen=True)
class Metric:
    """What one metric of CloudWatch is known by, but for the values of its dimensions."""

    name: str
    dimensions: frozenset[str]


def metrics_in(value: Any, namespace: str) -> Iterator[Metric]:
    """Every metric of a namespace that an alarm or a widget reads, whichever way it says so."""
    if isinstance(value, dict):
        if value.get("Namespace") == namespace:  # an alarm's
            yield Metric(value["MetricName"], frozenset(each["Name"] for each in value["Dimensions"]))
        for item in value.values():
            yield from metrics_in(item, namespace)
    elif isinstance(value, list):
        if (
            value and value[0] == namespace
        ):  # a widget's: namespace, name, dimension, its value, …, how to show it
            texts = [item for item in value if isinstance(item, str)]
            yield Metric(texts[1], frozenset(texts[2::2]))
        for item in value:
            yield from metrics_in(item, namespace)
    elif isinstance(value, str):  # a search: SEARCH('{namespace,dimension,…} MetricName="…" …', …)
        for group, name in re.findall(r'SEARCH\(\'\{(.+?)\} MetricName="(\w+)"', value):
            where, *dimensions = group.split(",")
            if where == namespace:
                yield Metric(name, frozenset(dimensions))
