"""The judge of who may do what, judged: it must not let pass what AWS would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.privileges.iam import Permission, Request, forbidden, permissions, requests, unused

BUCKET = "arn:aws:s3:::photos"
ARNS = {"jobs": "arn:aws:dynamodb:here:1:table/jobs", "sockets": "arn:aws:execute-api:here:1:api/live"}


def policy(**statement: Any) -> list[Permission]:
    return list(
        permissions(
            "Role", [{"PolicyDocument": {"Statement": [{"Effect": "Allow", **statement}]}, "PolicyName": "P"}]
        )
    )


def test_what_nothing_allows_is_forbidden() -> None:
    granted = policy(Action="s3:GetObject", Resource=f"{BUCKET}/inbox/*")
    inside, outside = (
        Request("s3:GetObject", f"{BUCKET}/inbox/a/b.png"),
        Request("s3:GetObject", f"{BUCKET}/other"),
    )
    writing = Request("s3:PutObject", f"{BUCKET}/inbox/a/b.png")
    assert forbidden([inside, outside, writing], granted) == [outside, writing]


def test_a_resource_is_matched_whole() -> None:
    granted = policy(Action="dynamodb:Query", Resource=ARNS["jobs"])
    assert forbidden([Request("dynamodb:Query", ARNS["jobs"] + "/index/by_owner")], granted)
    assert forbidden([Request("dynamodb:Query", "x" + ARNS["jobs"])], granted)
    assert not forbidden([Request("dynamodb:Query", ARNS["jobs"])], granted)


def test_no_letter_of_a_resource_has_a_meaning_of_its_own_but_two() -> None:
    assert policy(Action="s3:GetObject", Resource="arn:a.[x]?")[0].covers(Request("s3:GetObject", "arn:a.[x]y"))
    assert not policy(Action="s3:GetObject", Resource="arn:a.[x]?")[0].covers(
        Request("s3:GetObject", "arn:abxy")
    )


def test_a_condition_must_be_met_and_its_key_be_there() -> None:
    granted = policy(Action="s3:ListBucket", Resource=BUCKET, Condition={"StringLike": {"s3:prefix": "jobs/*"}})
    assert not forbidden([Request("s3:ListBucket", BUCKET, {"s3:prefix": "jobs/1/"})], granted)
    assert forbidden([Request("s3:ListBucket", BUCKET, {"s3:prefix": ""})], granted)
    assert forbidden([Request("s3:ListBucket", BUCKET)], granted)


def test_every_action_on_every_resource_must_be_of_use() -> None:
    granted = policy(Action=["s3:GetObject", "s3:PutObject"], Resource=[f"{BUCKET}/a/*", f"{BUCKET}/b/*"])
    left = unused(granted, [Request("s3:GetObject", f"{BUCKET}/a/1"), Request("s3:PutObject", f"{BUCKET}/b/1")])
    assert [(each.action, each.resource) for each in left] == [
        ("s3:GetObject", f"{BUCKET}/b/*"),
        ("s3:PutObject", f"{BUCKET}/a/*"),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"},
        {"NotAction": "s3:GetObject", "Action": "s3:*", "Resource": "*"},
        {"Action": "s3:ListBucket", "Resource": "*", "Condition": {"StringEquals": {"s3:prefix": "jobs/"}}},
    ],
)
def test_a_statement_that_it_does_not_understand_is_not_passed_over(statement: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        policy(**statement)


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "needed"),
    [
        ("s3", "HeadObject", {"Key": "a"}, [("s3:GetObject", "/a")]),
        (
            "s3",
            "GetObject",
            {"Key": "a", "VersionId": "1"},
            [("s3:GetObject", "/a"), ("s3:GetObjectVersion", "/a")],
        ),
        ("s3", "UploadPart", {"Key": "a", "UploadId": "1"}, [("s3:PutObject", "/a")]),
        ("s3", "AbortMultipartUpload", {"Key": "a", "UploadId": "1"}, [("s3:AbortMultipartUpload", "/a")]),
        (
            "s3",
            "DeleteObjects",
            {"Delete": {"Objects": [{"Key": "a"}, {"Key": "b", "VersionId": "1"}]}},
            [("s3:DeleteObject", "/a"), ("s3:DeleteObject", "/b"), ("s3:DeleteObjectVersion", "/b")],
        ),
        ("s3", "TellMissing", {}, [("s3:ListBucket", "")]),
    ],
)
def test_a_call_to_a_bucket_needs(
    service: str, operation: str, parameters: dict[str, Any], needed: list[tuple[str, str]]
) -> None:
    found = requests(service, operation, {"Bucket": "photos", **parameters}, ARNS)
    assert [(each.action, each.resource) for each in found] == [
        (action, BUCKET + rest) for action, rest in needed
    ]


def test_an_index_is_a_resource_of_its_own() -> None:
    (found,) = requests("dynamodb", "Query", {"TableName": "jobs", "IndexName": "by_owner"}, ARNS)
    assert found == Request("dynamodb:Query", ARNS["jobs"] + "/index/by_owner")


def test_a_call_that_it_does_not_know_is_not_passed_over() -> None:
    for service, operation in (
        ("dynamodb", "BatchWriteItem"),
        ("s3", "PutBucketPolicy"),
        ("iam", "CreateUser"),
    ):
        with pytest.raises(NotImplementedError):
            requests(service, operation, {"Bucket": "photos", "TableName": "jobs"}, ARNS)
