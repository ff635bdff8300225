"""docs/openapi.yaml against the code: the same paths, the same bounds, the same codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import schemathesis
import yaml

from functions import api
from functions.app import app
from infra import errors, storage
from infra.job import Status
from infra.local.template import TEMPLATE, load
from infra.options import OPTION_NAMES, Background, EngineName, Options, Parts, TextureSource
from infra.stages import STAGES

DESCRIPTION = Path(__file__).parents[2] / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return dict(yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8")))


def schema(described: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(described["components"]["schemas"][name])


def test_it_is_a_valid_description() -> None:
    schemathesis.openapi.from_path(DESCRIPTION).validate()


def test_description_template_and_app_name_the_same_paths_and_methods(described: dict[str, Any]) -> None:
    in_app = {(method, path) for path, methods in app.routes.items() for method in methods}
    in_description = {
        (method.upper(), path)
        for path, item in described["paths"].items()
        for method in item
        if method != "parameters"
    }
    (gateway,) = (
        thing["Properties"]
        for thing in load(TEMPLATE, region="eu-central-1")["Resources"].values()
        if thing["Type"] == "AWS::ApiGateway::RestApi"
    )
    in_template = {
        (method.upper(), path)
        for path, methods in gateway["Body"]["paths"].items()
        for method in methods
        if method != "options"
    }
    assert in_app == in_description == in_template


def test_every_operation_is_told_in_words(described: dict[str, Any]) -> None:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            assert operation["summary"], (method, path)
            assert operation["operationId"], (method, path)
            assert {"401"} <= set(operation["responses"]), (method, path)


def test_options_have_the_bounds_and_defaults_of_the_code(described: dict[str, Any]) -> None:
    asked = schema(described, "AskedOptions")["properties"]
    assert tuple(asked) == OPTION_NAMES == tuple(schema(described, "Options")["properties"])
    defaults = Options().as_dict()
    for name, (low, high) in Options.BOUNDS.items():
        bounded = asked[name].get("items", asked[name])  # of a list, each entry
        assert (bounded["minimum"], bounded["maximum"]) == (low, high), name
        assert asked[name]["default"] == defaults[name], name
    assert schema(described, "Engine")["enum"] == [*get_args(EngineName), None]
    assert schema(described, "Background")["enum"] == [*get_args(Background), None]
    assert schema(described, "Parts")["enum"] == [*get_args(Parts), None]
    assert schema(described, "TextureSource")["enum"] == [*get_args(TextureSource), None]
    assert asked["lods"]["maxItems"] == Options.MOST_LODS


def test_codes_states_and_stages_are_those_of_the_code(described: dict[str, Any]) -> None:
    def codes(kind: type[errors.MaquetteError]) -> Iterator[str]:
        yield kind.code
        for child in kind.__subclasses__():
            yield from codes(child)

    of_the_framework = {"method_not_allowed", "unsupported_media_type", "too_many_requests"}
    known = {code for kind in errors.MaquetteError.__subclasses__() for code in codes(kind)
             if kind.__module__ == errors.__name__}  # fmt: skip
    assert set(schema(described, "Reason")["properties"]["code"]["enum"]) == known | of_the_framework
    assert schema(described, "Status")["enum"] == list(get_args(Status))
    assert schema(described, "Stage")["enum"] == list(STAGES)


def test_limits_are_those_of_the_code(described: dict[str, Any]) -> None:
    share = described["paths"]["/jobs/{job_id}/shares"]["post"]["requestBody"]["content"]["application/json"]
    seconds = share["schema"]["properties"]["expires_in"]
    assert (seconds["minimum"], seconds["maximum"]) == api.SHARE_SECONDS
    assert seconds["default"] == api.DEFAULT_SHARE_SECONDS
    listing = described["paths"]["/jobs/{job_id}/artifacts"]["get"]["responses"]["200"]["content"]
    expires_in = listing["application/json"]["schema"]["properties"]["expires_in"]
    assert expires_in["const"] == storage.DOWNLOAD_LINK_SECONDS
    announcement = described["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    types = announcement["properties"]["content_type"]["enum"]
    assert sorted(types) == sorted(set(storage.IMAGE_TYPES.values()))
    assert f"{storage.MAX_PHOTO_BYTES // 2**20} MiB" in described["paths"]["/jobs"]["post"]["description"]


def test_the_guide_names_every_route_every_option_and_every_code_that_rest_answers() -> None:
    guide = (DESCRIPTION.parent / "api.md").read_text(encoding="utf-8")
    for path, methods in app.routes.items():
        for method in methods:
            assert f"| `{method} {path}` |" in guide
    for name, (low, high) in Options.BOUNDS.items():
        assert f"| `{name}` | {low:g} to {high:g}" in guide
    for kind in (errors.BadInput, errors.InvalidOption, errors.Unauthorized, errors.AccessKeyRequired,
                 errors.NotFound, errors.InternalError, errors.BadConfiguration):  # fmt: skip
        assert f"| {kind.http_status} | `{kind.code}` |" in guide
