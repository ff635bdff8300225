"""A presigned POST lets in one photo, of one type, under one key, for five minutes, and refuses all else.

S3's own judgement is told twice: by an emulator where it judges (tests/localstack: key, type, size, end), and
here by S3's documented rules for the rest: fields that were added, and policies that somebody wrote himself.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra import storage
from infra.settings import settings
from tests.access.post_policy import Bucket
from tests.cloud.conftest import Cloud, Rest

Fields = dict[str, str]


@pytest.fixture
def bucket(cloud: Cloud) -> Bucket:
    given = cloud.environment
    return Bucket(
        settings().upload_bucket,
        given["AWS_REGION"],
        given["AWS_ACCESS_KEY_ID"],
        given["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture
def fields(rest: Rest, ann: str) -> Fields:
    """The form for a photo of ann's, by way of REST."""
    _, body, _ = rest("POST", "/jobs", token=ann, body={"filename": "robot.png"})
    return dict(body["upload"]["fields"])


def policy_of(fields: Fields) -> dict[str, Any]:
    return dict(json.loads(base64.b64decode(fields["policy"])))


def test_the_announced_photo_gets_in(bucket: Bucket, fields: Fields) -> None:
    assert [bucket.refusal(fields, size) for size in (1, 5, storage.MAX_PHOTO_BYTES)] == [None] * 3


def test_every_condition_is_exact_and_there_is_one_for_every_field(bucket: Bucket, fields: Fields) -> None:
    conditions = policy_of(fields)["conditions"]
    exact = {
        name: value
        for condition in conditions
        if isinstance(condition, dict)
        for name, value in condition.items()
    }
    (ranged,) = [condition for condition in conditions if not isinstance(condition, dict)]
    assert ranged == ["content-length-range", 1, storage.MAX_PHOTO_BYTES]
    assert exact == {
        "bucket": bucket.name,
        **{name: value for name, value in fields.items() if name not in ("policy", "x-amz-signature")},
    }
    assert len(exact) == len(conditions) - 1
    assert set(exact) == {"bucket", "key", "Content-Type", "x-amz-algorithm", "x-amz-credential", "x-amz-date"}


def test_a_form_ends_after_five_minutes(bucket: Bucket, fields: Fields) -> None:
    now = datetime.now(UTC)
    ends = datetime.fromisoformat(policy_of(fields)["expiration"])
    assert timedelta(0) < ends - now <= timedelta(minutes=5)
    assert bucket.refusal(fields, 5, now=ends - timedelta(seconds=1)) is None
    assert bucket.refusal(fields, 5, now=ends + timedelta(seconds=1)) == "expired"


def test_every_field_that_is_added_changed_or_left_out_is_refused(bucket: Bucket, fields: Fields) -> None:
    key, elsewhere = fields["key"], "https://evil.example"
    added = {
        "acl": "public-read", "tagging": "x", "redirect": elsewhere, "success_action_redirect": elsewhere,
        "success_action_status": "200", "Expires": "0", "Cache-Control": "public", "Content-Encoding": "gzip",
        "Content-Disposition": "inline", "x-amz-meta-owner": "mallory", "x-amz-meta-engine": "inflate",
        "x-amz-website-redirect-location": elsewhere, "x-amz-security-token": "x",
        "x-amz-storage-class": "GLACIER", "x-amz-server-side-encryption": "aws:kms",
    }  # fmt: skip
    changed = {
        "key": [f"{key} ", key.upper(), f"./{key}", f"{key}/../other.png", f"{key}\0", "inbox/robot.png", "",
                "jobs/x/1/mesh.glb", key.rpartition("/")[0] + "/${filename}"],
        "Content-Type": ["text/html", "image/svg+xml", "IMAGE/PNG", "image/png; x=y", ""],
        "x-amz-date": ["20200101T000000Z"],
        "x-amz-algorithm": ["none"],
        "x-amz-credential": [fields["x-amz-credential"].replace("us-east-1", "eu-west-1")],
        "x-amz-signature": ["0" * 64, ""],
    }  # fmt: skip
    others = [{name: value} for name, value in added.items()]
    others += [{name: value} for name, values in changed.items() for value in values]
    for more in others:
        assert bucket.refusal(fields | more, 5), more
    for left_out in fields:
        assert bucket.refusal({name: value for name, value in fields.items() if name != left_out}, 5), left_out
    for size in (0, storage.MAX_PHOTO_BYTES + 1):
        assert bucket.refusal(fields, size) == "condition on content-length-range"


def test_a_policy_that_somebody_wrote_himself_is_refused(bucket: Bucket, fields: Fields) -> None:
    policy = policy_of(fields)
    loose = [condition for condition in policy["conditions"] if "content-length-range" not in condition]
    for other in (
        {"expiration": "2099-01-01T00:00:00Z", "conditions": []},
        policy | {"expiration": "2099-01-01T00:00:00Z"},
        policy | {"conditions": loose},
        policy | {"conditions": [*loose, ["starts-with", "$key", ""]]},
    ):
        written = base64.b64encode(json.dumps(other, separators=(",", ":")).encode()).decode()
        assert bucket.refusal(fields | {"policy": written}, 5) == "signature"


def test_a_form_opens_no_other_bucket_and_serves_no_other_job(
    cloud: Cloud, bucket: Bucket, fields: Fields, rest: Rest, ann: str
) -> None:
    elsewhere = Bucket(settings().artifact_bucket, bucket.region, bucket.access_key, bucket.secret_key)
    assert elsewhere.refusal(fields, 5) == "condition on bucket"
    _, body, _ = rest("POST", "/jobs", token=ann, body={"filename": "robot.png"})
    another = body["upload"]["fields"]
    assert another["key"] != fields["key"]
    assert bucket.refusal(fields | {"key": another["key"]}, 5) == "condition on key"
    assert bucket.refusal(fields | {name: another[name] for name in ("key", "policy")}, 5) == "signature"
