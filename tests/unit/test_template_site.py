"""The distribution of template.yaml against the site as one machine serves it."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.site import security_headers
from infra.local.template import Resolver
from tests.template import REGION, template

ACCOUNT = "000000000000"
SOCKET = f"wss://*.execute-api.{REGION}.amazonaws.com"
REST = f"https://*.execute-api.{REGION}.amazonaws.com"
PHOTOS = f"https://maquette-upload-{ACCOUNT}-{REGION}.s3.{REGION}.amazonaws.com"
MODELS = f"https://maquette-artifact-{ACCOUNT}-{REGION}.s3.{REGION}.amazonaws.com"

Properties = dict[str, Any]


def resolved(logical_id: str, **parameters: str) -> Properties:
    """A resource's properties, as CloudFormation would see them with these parameters."""
    whole = template()
    resolver = Resolver(
        whole,
        pseudo={
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::Partition": "aws",
        },
        parameters=parameters,
        reference=str,
        attribute=lambda name, attribute: f"{name}.{attribute}",
    )
    return dict(resolver.resolve(whole["Resources"][logical_id]["Properties"]))


def directives(policy: str) -> dict[str, list[str]]:
    return {name: sources for name, *sources in (part.split() for part in policy.split(";"))}


def headers(logical_id: str, **parameters: str) -> dict[str, str]:
    """The headers that a response headers policy adds, by the names that a browser sees."""
    config = resolved(logical_id, **parameters)["ResponseHeadersPolicyConfig"]
    security = config["SecurityHeadersConfig"]
    assert all(entry["Override"] for entry in security.values())
    transport = security["StrictTransportSecurity"]
    assert transport["IncludeSubdomains"]
    return {
        "Content-Security-Policy": security["ContentSecurityPolicy"]["ContentSecurityPolicy"],
        "X-Content-Type-Options": "nosniff" if "ContentTypeOptions" in security else "",
        "X-Frame-Options": security["FrameOptions"]["FrameOption"],
        "Referrer-Policy": security["ReferrerPolicy"]["ReferrerPolicy"],
        "Strict-Transport-Security": f"max-age={transport['AccessControlMaxAgeSec']}",
        **{item["Header"]: item["Value"] for item in config.get("CustomHeadersConfig", {}).get("Items", [])},
    }


def test_the_distribution_sends_what_one_machine_sends() -> None:
    sent = headers("SiteHeaders")
    local = security_headers(socket_url="SOCKET", endpoint_url="ENDPOINT")
    assert int(sent.pop("Strict-Transport-Security").partition("=")[2]) >= 31536000
    assert sent.pop("X-Frame-Options") == "DENY"
    policy = directives(sent.pop("Content-Security-Policy"))
    wanted = directives(local.pop("Content-Security-Policy"))
    assert sent == local
    # One machine has one address for both buckets, and serves REST from the site's own.
    places = {"SOCKET": [REST, SOCKET], "ENDPOINT": [MODELS]}
    for name, sources in wanted.items():
        expected = [place for source in sources for place in places.get(source, [source])]
        if name == "connect-src":
            expected.append(PHOTOS)
        assert sorted(policy.pop(name)) == sorted(expected), name
    assert policy == {}


def test_no_page_of_the_site_can_run_anything_from_elsewhere() -> None:
    policy = directives(headers("SiteHeaders")["Content-Security-Policy"])
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["style-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]


KEY = {"LinkPublicKey": "-----BEGIN PUBLIC KEY-----", "LinkSecretArn": "arn:aws:secretsmanager:x"}


def test_without_a_key_for_links_the_distribution_does_not_know_the_models() -> None:
    config = resolved("SiteDistribution")["DistributionConfig"]
    assert [origin["Id"] for origin in config["Origins"]] == ["site"]
    assert config["CacheBehaviors"] == []
    statements = resolved("ArtifactBucketPolicy")["PolicyDocument"]["Statement"]
    assert [statement["Effect"] for statement in statements] == ["Deny"]


def test_models_are_given_out_only_for_signed_links() -> None:
    config = resolved("SiteDistribution", **KEY)["DistributionConfig"]
    (behaviour,) = config["CacheBehaviors"]
    assert behaviour["PathPattern"] == "/jobs/*"
    assert behaviour["TrustedKeyGroups"] == ["LinkKeyGroup"]
    origins = {origin["Id"]: origin["DomainName"] for origin in config["Origins"]}
    assert "https://" + origins[behaviour["TargetOriginId"]] == MODELS
    assert headers("ModelHeaders", **KEY)["Content-Security-Policy"] == "default-src 'none'; sandbox"
    _, statement = resolved("ArtifactBucketPolicy", **KEY)["PolicyDocument"]["Statement"]
    assert statement["Action"] == "s3:GetObject"
    assert statement["Resource"] == "ArtifactBucket.Arn/jobs/*"
    assert statement["Condition"]["StringEquals"]["AWS:SourceArn"].endswith("/SiteDistribution")


@pytest.mark.parametrize("parameters", [{}, {"SiteDomain": "maquette.example"}])
def test_links_lead_to_the_origin_of_the_page(parameters: dict[str, str]) -> None:
    variables = resolved("ApiFunction", **KEY, **parameters)["Environment"]["Variables"]
    assert "https://" + variables["MAQUETTE_LINK_DOMAIN"] == variables["MAQUETTE_SITE_ORIGIN"]


def test_every_origin_is_a_private_bucket_that_only_the_distribution_reads() -> None:
    config = resolved("SiteDistribution", **KEY)["DistributionConfig"]
    for origin in config["Origins"]:
        assert origin["OriginAccessControlId"] == "OriginAccess.Id"
        assert origin["S3OriginConfig"] == {"OriginAccessIdentity": ""}
    for behaviour in [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]:
        assert behaviour["ViewerProtocolPolicy"] in ("redirect-to-https", "https-only")
        assert set(behaviour["AllowedMethods"]) == {"GET", "HEAD"}
        assert behaviour["ResponseHeadersPolicyId"]


@pytest.mark.parametrize(
    ("parameters", "origin"),
    [
        ({}, "https://SiteDistribution.DomainName"),
        ({"SiteDomain": "maquette.example"}, "https://maquette.example"),
        ({"SiteOrigin": "http://127.0.0.1:8000", "SiteDomain": "maquette.example"}, "http://127.0.0.1:8000"),
    ],
)
def test_one_origin_is_let_in_everywhere(parameters: dict[str, str], origin: str) -> None:
    for bucket in ("UploadBucket", "ArtifactBucket"):
        (rule,) = resolved(bucket, **parameters)["CorsConfiguration"]["CorsRules"]
        assert rule["AllowedOrigins"] == [origin]
    variables = resolved("ApiFunction", **parameters)["Environment"]["Variables"]
    assert variables["MAQUETTE_SITE_ORIGIN"] == origin


def test_a_domain_of_ones_own_comes_with_its_certificate() -> None:
    arn = "arn:aws:acm:us-east-1:000000000000:certificate/abc"
    config = resolved("SiteDistribution", SiteDomain="m.example", SiteCertificateArn=arn)["DistributionConfig"]
    assert config["Aliases"] == ["m.example"]
    assert config["ViewerCertificate"]["AcmCertificateArn"] == arn
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert "Aliases" not in resolved("SiteDistribution")["DistributionConfig"]
