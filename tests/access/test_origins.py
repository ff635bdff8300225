"""One origin may read what is answered, and it is the site's: to the letter, on every route, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.local.site import security_headers
from tests.access.test_matrix import TABLE
from tests.cloud.conftest import Rest
from tests.template import REGION, template
from tests.unit.test_template_site import resolved

SITE = "https://models.example"
#: whose pages are not the site's, however much they look like it
STRANGERS = [
    "null", "https://models.example.evil.example", "https://evil-models.example", "https://evilmodels.example",
    "https://models.example:444", "http://models.example", "https://models.example.", "https://MODELS.EXAMPLE.evil",
    "https://sub.models.example", "https://models.example@evil.example", "https://models.examples", "*", "",
    "https://models.example, https://evil.example", "https://models.example\r\nX-Evil: 1", "file://",
]  # fmt: skip

Use = Callable[..., None]


def allowing(headers: dict[str, str]) -> dict[str, str]:
    """What of the headers gives another origin leave."""
    return {name: value for name, value in headers.items() if name.lower().startswith("access-control-")}


def test_every_answer_names_the_one_origin_and_never_the_one_that_asked(
    rest: Rest, ann: str, use_environment: Use
) -> None:
    use_environment(MAQUETTE_SITE_ORIGIN=SITE)
    for method, path in TABLE:
        for token in (ann, None):
            for origin in [SITE, *STRANGERS]:
                _, _, headers = rest(
                    method, path, token=token, headers={"Origin": origin}, job_id="x", name="y"
                )
                assert allowing(headers) == {"Access-Control-Allow-Origin": SITE}, (method, path, origin)
                assert headers["Vary"] == "Origin"
                assert headers["Cache-Control"] == "no-store"
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert not any("\r" in value or "\n" in value or "evil" in value for value in headers.values())


def test_where_no_site_is_named_no_page_of_another_origin_reads_anything(rest: Rest, ann: str) -> None:
    for method, path in TABLE:
        for origin in [SITE, *STRANGERS]:
            _, _, headers = rest(method, path, token=ann, headers={"Origin": origin}, job_id="x", name="y")
            assert allowing(headers) == {}


def test_a_preflight_names_the_one_origin_and_lets_no_cookie_through() -> None:
    whole = template()
    (gateway,) = (thing for thing in whole["Resources"].values() if thing["Type"] == "AWS::ApiGateway::RestApi")
    for path, methods in gateway["Properties"]["Body"]["paths"].items():
        preflight = methods["options"]
        (integration,) = preflight["x-amazon-apigateway-integration"]["responses"].values()
        given = {name.rpartition(".")[2]: value for name, value in integration["responseParameters"].items()}
        assert "Access-Control-Allow-Credentials" not in given, path
        assert "SiteOrigin" in str(given["Access-Control-Allow-Origin"]), path
        assert "*" not in str(given["Access-Control-Allow-Origin"]), path
        allowed = {method.upper() for method in methods}
        assert allowed <= set(given["Access-Control-Allow-Methods"].strip("'").split(",")), path


@pytest.mark.parametrize("bucket", ["UploadBucket", "ArtifactBucket"])
def test_a_bucket_lets_the_one_origin_in_without_wildcards(bucket: str) -> None:
    for origin in (SITE, "http://localhost:5173"):
        rules: list[dict[str, Any]] = resolved(bucket, SiteOrigin=origin)["CorsConfiguration"]["CorsRules"]
        assert [rule["AllowedOrigins"] for rule in rules] == [[origin]]
        assert {method for rule in rules for method in rule["AllowedMethods"]} <= {"POST", "GET", "HEAD"}


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example", "https://models.example/", "models.example", "null"]
)
def test_the_template_takes_no_origin_that_is_more_than_one(origin: str) -> None:
    import re

    pattern = template()["Parameters"]["SiteOrigin"]["AllowedPattern"]
    assert re.fullmatch(pattern, origin) is None
    assert re.fullmatch(pattern, SITE)


def test_the_site_is_held_by_headers_on_every_answer() -> None:
    given = security_headers(socket_url="ws://127.0.0.1:1/socket", endpoint_url="http://127.0.0.1:2")
    policy = dict(part.split(" ", 1) for part in given["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert (
        policy["script-src"] == policy["style-src"] == policy["font-src"] == policy["form-action"] == "'self'"
    )
    assert "unsafe" not in given["Content-Security-Policy"]
    assert "*" not in given["Content-Security-Policy"]
    assert (given["Referrer-Policy"], given["X-Content-Type-Options"]) == ("no-referrer", "nosniff")
    for policy_of in ("SiteHeaders", "ModelHeaders"):
        security = resolved(policy_of, LinkPublicKey="x", LinkSecretArn="arn:x")["ResponseHeadersPolicyConfig"][
            "SecurityHeadersConfig"
        ]
        assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31_536_000
        assert security["FrameOptions"]["FrameOption"] == "DENY"
    assert REGION in resolved("SiteHeaders")["ResponseHeadersPolicyConfig"]["Name"]
