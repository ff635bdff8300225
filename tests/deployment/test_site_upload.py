"""The site in its bucket: headers, order, and what somebody with the old page open gets."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.deployment import site
from infra.deployment.site import Changes
from infra.errors import BuildFailed
from infra.local.site import SITE
from tests.deployment.conftest import build_site
from tests.deployment.tools import make_distribution

BUCKET = "the-site"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture
def bucket(account: None) -> Any:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return s3


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], dict[str, bytes]]:
    def build(version: str) -> dict[str, bytes]:
        build_site(tmp_path / "built", version)
        config = site.configuration(rest=f"https://{version}.example", socket="wss://example")
        return {**site.read(tmp_path / "built"), site.CONFIG: config}

    return build


def upload(files: dict[str, bytes], *, days: float = 0, s3: Any = None) -> Changes:
    cloudfront = boto3.client("cloudfront")
    distribution = make_distribution("site")
    return site.upload(
        files,
        s3=s3 or boto3.client("s3"),
        bucket=BUCKET,
        cloudfront=cloudfront,
        distribution=distribution,
        now=NOW + timedelta(days=days),
    )


def names(s3: Any) -> set[str]:
    return {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def test_every_object_carries_the_headers_that_browsers_go_by(
    bucket: Any, files: Callable[[str], dict[str, bytes]]
) -> None:
    upload(files("one"))
    found = {}
    for name in names(bucket):
        head = bucket.head_object(Bucket=BUCKET, Key=name)
        assert "ContentEncoding" not in head, "CloudFront compresses on the way out"
        found[name] = (head["ContentType"], head["CacheControl"])
    script, style = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
    assert found == {
        "assets/index-one.js": (script, IMMUTABLE),
        "assets/turn-one.js": (script, IMMUTABLE),
        "assets/index-one.css": (style, IMMUTABLE),
        "assets/robot-one.jpg": ("image/jpeg", IMMUTABLE),
        "assets/marcellus-latin.woff2": ("font/woff2", IMMUTABLE),
        "favicon.svg": ("image/svg+xml", "no-cache"),
        "theme.js": (script, "no-cache"),
        "config.json": ("application/json", "no-cache"),
        "index.html": ("text/html; charset=utf-8", "no-cache"),
    }


def test_assets_go_first_then_what_changes_under_its_name_and_the_page_last(
    bucket: Any, files: Callable[[str], dict[str, bytes]]
) -> None:
    sent = upload(files("one")).sent
    assert sorted(sent) == sorted(names(bucket))
    assert all(name.startswith("assets/") for name in sent[:5])
    assert sent[5:] == ["config.json", "favicon.svg", "theme.js", "index.html"]


def test_a_second_upload_sends_marks_removes_and_invalidates_nothing(
    bucket: Any, files: Callable[[str], dict[str, bytes]]
) -> None:
    upload(files("one"))
    assert not upload(files("one"), days=100)


def test_only_what_differs_is_sent_again(bucket: Any, files: Callable[[str], dict[str, bytes]]) -> None:
    built = files("one")
    upload(built)
    assert upload({**built, "config.json": b"{}"}).sent == ["config.json"]
    assert upload({**built, "config.json": b"{}"}).sent == []


def test_an_object_with_another_header_is_sent_again(
    bucket: Any, files: Callable[[str], dict[str, bytes]]
) -> None:
    built = files("one")
    upload(built)
    bucket.put_object(
        Bucket=BUCKET,
        Key="theme.js",
        Body=built["theme.js"],
        ContentType="text/javascript; charset=utf-8",
        ChecksumAlgorithm="SHA256",
    )
    assert upload(built).sent == ["theme.js"]
    assert bucket.head_object(Bucket=BUCKET, Key="theme.js")["CacheControl"] == "no-cache"


def test_whoever_has_the_old_page_open_finds_its_parts_for_thirty_days(
    bucket: Any, files: Callable[[str], dict[str, bytes]]
) -> None:
    upload(files("one"))
    old = {name for name in names(bucket) if "-one." in name}
    changes = upload(files("two"), days=100)
    assert set(changes.marked) == old
    assert not changes.removed, "they were uploaded long ago, but belonged to the site until now"
    assert not upload(files("two"), days=130)
    assert old <= names(bucket)
    assert set(upload(files("two"), days=130.1).removed) == old
    assert names(bucket) == set(files("two"))


def test_a_part_that_comes_back_is_not_removed_for_having_been_gone(
    bucket: Any, files: Callable[[str], dict[str, bytes]]
) -> None:
    upload(files("one"))
    upload(files("two"), days=1)
    upload(files("one"), days=2)
    changes = upload(files("two"), days=40)
    assert "assets/index-one.js" in changes.marked
    assert not [name for name in changes.removed if "-one." in name]


def test_interrupted_at_any_call_the_page_is_whole_and_the_next_upload_completes_it(
    bucket: Any, files: Callable[[str], dict[str, bytes]]
) -> None:
    """After every single call of an upgrade, whatever index.html is served finds all that it asks for."""
    one, two = files("one"), files("two")
    calls = 0
    while True:
        for version in bucket.list_object_versions(Bucket=BUCKET).get("Versions", []):
            bucket.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])
        upload(one)
        calls += 1
        left = calls

        def interrupt(**_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

        interrupted = boto3.client("s3")
        for change in ("PutObject", "PutObjectTagging", "DeleteObjectTagging", "DeleteObject"):
            interrupted.meta.events.register(f"before-call.s3.{change}", interrupt)
        try:
            upload(two, s3=interrupted)
        except KeyboardInterrupt:
            page = bucket.get_object(Bucket=BUCKET, Key="index.html")["Body"].read().decode()
            assert site.references(page) <= names(bucket)
        else:
            break
        changes = upload(two)
        assert changes, "what was left to do"
        assert names(bucket) == set(one) | set(two)
        if calls <= 8:
            assert "/index.html" in changes.invalidated, "CloudFront had not been told for certain"
        assert not upload(two)
    # 4 new assets, the mark taken off, config.json, index.html, the mark put on, 4 marks
    assert calls - 1 == 12


def test_a_page_that_asks_for_what_is_not_there_is_not_uploaded(tmp_path: Path) -> None:
    build_site(tmp_path, "one")
    (tmp_path / "assets" / "index-one.css").unlink()
    with pytest.raises(BuildFailed, match=r"asks for assets/index-one\.css"):
        site.read(tmp_path)
    (tmp_path / "index.html").unlink()
    with pytest.raises(BuildFailed, match="make web"):
        site.read(tmp_path)


@pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="the site has not been built")
def test_in_the_real_site_every_reference_leads_to_an_uploaded_object(bucket: Any) -> None:
    built = site.read(SITE)
    upload({**built, site.CONFIG: site.configuration(rest="https://rest", socket="wss://socket")})
    there = names(bucket)
    page = bucket.get_object(Bucket=BUCKET, Key="index.html")["Body"].read().decode()
    wanted = site.references(page)
    assert len(wanted) >= 4
    for name in there:
        head = bucket.head_object(Bucket=BUCKET, Key=name)
        assert head["ContentType"] != "application/octet-stream", name
        if name.endswith((".js", ".css")):
            text = bucket.get_object(Bucket=BUCKET, Key=name)["Body"].read().decode()
            # From the beginning of a word alone: looked for from every letter, it takes a quarter of a minute.
            pattern = r"(?<![\w.-])[\w.-]+-[\w-]{8}\.(?:js|css|woff2?|jpg|png|svg)"
            wanted |= {f"assets/{found}" for found in re.findall(pattern, text)}
    assert wanted <= there
    assert len(wanted) >= 8, "the parts that are loaded later were looked for"
