"""Upload events, table changes and schedules: what reaches a handler, and what becomes of failures."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.errors import BadConfiguration
from infra.local.background import Background
from infra.local.clock import Clock
from infra.local.endpoint import Endpoint
from infra.local.invoke import Functions
from infra.local.moto import MotoServer
from infra.local.streams import StreamDispatcher, first_failure, matches
from infra.local.triggers import ScheduleTrigger, StreamTrigger, UploadTrigger
from infra.local.uploads import UploadDispatcher
from tests.cloud.machine import wait_for

HANDLER = f"{__name__}.handler"
calls: list[Any] = []
behaviour: list[Callable[[Any], Any]] = [lambda event: None]


def handler(event: Any, context: Any) -> Any:
    """What the dispatchers call; each test says what it does."""
    assert context.aws_request_id
    assert 0 < context.get_remaining_time_in_millis() <= 60_000
    calls.append(event)
    return behaviour[0](event)


@pytest.fixture
def does() -> Callable[[Callable[[Any], Any]], None]:
    calls.clear()

    def set_behaviour(wanted: Callable[[Any], Any]) -> None:
        behaviour[0] = wanted

    set_behaviour(lambda event: None)
    return set_behaviour


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with MotoServer() as aws:
        yield Endpoint(aws.endpoint_url)


@pytest.fixture
def functions() -> Iterator[Functions]:
    made = Functions()
    yield made
    made.stop()


@pytest.fixture
def starts() -> Iterator[Callable[[Background], None]]:
    started: list[Background] = []

    def start(background: Background) -> None:
        started.append(background)
        background.start()

    yield start
    for background in started:
        background.stop()
    for background in started:
        background.join(10)


def queue(endpoint: Endpoint) -> str:
    return str(endpoint.client("sqs").create_queue(QueueName=f"q{uuid.uuid4().hex}")["QueueUrl"])


def bodies(endpoint: Endpoint, url: str) -> list[Any]:
    """What lies in a queue; it is taken out."""
    sqs, found = endpoint.client("sqs"), []
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        found.append(json.loads(message["Body"]))
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def left(endpoint: Endpoint, url: str) -> int:
    """Messages in the queue, hidden ones too."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = endpoint.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(answer[name]) for name in names)


def test_an_upload_event_is_repeated_until_the_handler_has_it(
    endpoint: Endpoint, functions: Functions, does: Any, starts: Any
) -> None:
    def fails_at_first(event: Any) -> None:
        if len(calls) < 2:
            raise RuntimeError("not yet")

    does(fails_at_first)
    url, failures = queue(endpoint), queue(endpoint)
    sqs = endpoint.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Event": "s3:TestEvent"}))
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [1]}))
    starts(UploadDispatcher(endpoint, UploadTrigger("Upload", HANDLER, 2, failures, url), functions))
    # first the calls: of a message that is just being shown again, neither of the queue's two counts may tell
    wait_for(lambda: len(calls) >= 2, "a second call")
    wait_for(lambda: left(endpoint, url) == 0, "an empty queue")
    assert calls == [{"Records": [1]}] * 2  # and the test event was kept from it
    assert left(endpoint, failures) == 0


def test_an_upload_event_that_fails_for_good_is_kept_whole(
    endpoint: Endpoint, functions: Functions, does: Any, starts: Any
) -> None:
    def fails(event: Any) -> None:
        raise ValueError("never")

    does(fails)
    url, failures = queue(endpoint), queue(endpoint)
    endpoint.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"Records": ["lost?"]}))
    starts(UploadDispatcher(endpoint, UploadTrigger("Upload", HANDLER, 1, failures, url), functions))
    (kept,) = wait_for(lambda: bodies(endpoint, failures), "the failed event")
    assert kept["requestPayload"] == {"Records": ["lost?"]}
    assert kept["requestContext"]["approximateInvokeCount"] == 2
    assert kept["responsePayload"] == {"errorType": "ValueError", "errorMessage": "never"}
    assert len(calls) == 2
    wait_for(lambda: left(endpoint, url) == 0, "an empty queue")


@pytest.fixture
def table(endpoint: Endpoint) -> tuple[str, str]:
    """A table's name and the ARN of its stream."""
    name = f"t{uuid.uuid4().hex}"
    made = endpoint.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return name, made["TableDescription"]["LatestStreamArn"]


def put(endpoint: Endpoint, name: str, *numbers: int) -> None:
    for number in numbers:
        endpoint.client("dynamodb").put_item(TableName=name, Item={"id": {"N": str(number)}, "b": {"B": b"\0"}})


def numbers_of(event: Any) -> list[int]:
    return [int(record["dynamodb"]["Keys"]["id"]["N"]) for record in event["Records"]]


def stream(arn: str, failures: str | None, **changes: Any) -> StreamTrigger:
    given = {"batch_size": 10, "retries": 2, "reports_item_failures": True, "patterns": ()} | changes
    return StreamTrigger("Changed", HANDLER, arn, failure_queue_url=failures, **given)


def test_table_changes_arrive_in_order_and_in_lambdas_form(
    endpoint: Endpoint, functions: Functions, does: Any, starts: Any, table: tuple[str, str]
) -> None:
    name, arn = table
    put(endpoint, name, *range(25))
    starts(StreamDispatcher(endpoint, stream(arn, None), functions))
    wait_for(lambda: sum(len(event["Records"]) for event in calls) >= 25, "25 changes")
    put(endpoint, name, 25)
    wait_for(lambda: sum(len(event["Records"]) for event in calls) >= 26, "one more")
    assert [number for event in calls for number in numbers_of(event)] == list(range(26))
    assert max(len(event["Records"]) for event in calls) <= 10
    record = calls[0]["Records"][0]
    assert record["eventName"] == "INSERT"
    assert record["eventSourceARN"] == arn
    assert record["dynamodb"]["NewImage"] == {"id": {"N": "0"}, "b": {"B": "AA=="}}
    assert record["eventID"]
    assert record["dynamodb"]["SequenceNumber"]
    assert isinstance(record["dynamodb"]["ApproximateCreationDateTime"], int)


def test_a_reported_item_is_taken_up_again_and_those_before_it_are_not(
    endpoint: Endpoint, functions: Functions, does: Any, starts: Any, table: tuple[str, str]
) -> None:
    def fails_once_at_three(event: Any) -> Any:
        if len(calls) > 1:
            return {"batchItemFailures": []}
        failed = event["Records"][numbers_of(event).index(3)]["dynamodb"]["SequenceNumber"]
        return {"batchItemFailures": [{"itemIdentifier": failed}]}

    does(fails_once_at_three)
    name, arn = table
    put(endpoint, name, *range(6))
    starts(StreamDispatcher(endpoint, stream(arn, None), functions))
    wait_for(lambda: len(calls) >= 2, "a second call")
    assert [numbers_of(event) for event in calls] == [[0, 1, 2, 3, 4, 5], [3, 4, 5]]


def test_a_record_that_always_raises_is_set_aside_and_the_others_pass(
    endpoint: Endpoint, functions: Functions, does: Any, starts: Any, table: tuple[str, str]
) -> None:
    passed: list[int] = []

    def raises_at_five(event: Any) -> Any:
        if 5 in numbers_of(event):
            raise RuntimeError("five!")
        passed.extend(numbers_of(event))
        return {"batchItemFailures": []}

    does(raises_at_five)
    name, arn = table
    failures = queue(endpoint)
    put(endpoint, name, *range(10))
    starts(StreamDispatcher(endpoint, stream(arn, failures, retries=1), functions))
    (kept,) = wait_for(lambda: bodies(endpoint, failures), "the failed change")
    wait_for(lambda: len(passed) >= 9, "the others", 10)
    assert passed == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert sum(numbers_of(event) == [5] for event in calls) == 2
    assert kept["DDBStreamBatchInfo"]["batchSize"] == 1
    assert kept["DDBStreamBatchInfo"]["streamArn"] == arn
    assert kept["responseContext"]["functionError"] == "five!"


def test_changes_that_the_filter_leaves_out_are_not_delivered(
    endpoint: Endpoint, functions: Functions, does: Any, starts: Any, table: tuple[str, str]
) -> None:
    name, arn = table
    put(endpoint, name, 1)
    endpoint.client("dynamodb").delete_item(TableName=name, Key={"id": {"N": "1"}})
    put(endpoint, name, 2)
    pattern = '{"eventName": ["INSERT", "MODIFY"]}'
    starts(StreamDispatcher(endpoint, stream(arn, None, patterns=(pattern,)), functions))
    wait_for(lambda: 2 in [n for event in calls for n in numbers_of(event)], "the last change")
    assert {record["eventName"] for event in calls for record in event["Records"]} == {"INSERT"}


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        (None, None),
        ([], None),
        ([{"itemIdentifier": "b"}], 1),
        ([{"itemIdentifier": "c"}, {"itemIdentifier": "b"}], 1),
        ([{"itemIdentifier": "unknown"}], 0),
        ([{"itemIdentifier": ""}], 0),
        ([{}], 0),
    ],
)
def test_the_first_failure_decides_and_an_unknown_one_fails_the_batch(
    failures: Any, expected: int | None
) -> None:
    records = [{"dynamodb": {"SequenceNumber": number}} for number in "abc"]
    assert first_failure(records, {"batchItemFailures": failures}) == expected


def test_event_filters_match_nested_literals_and_refuse_what_they_do_not_know() -> None:
    record = {"eventName": "MODIFY", "dynamodb": {"NewImage": {"status": {"S": "failed"}}}}
    assert matches({"dynamodb": {"NewImage": {"status": {"S": ["failed", "succeeded"]}}}}, record)
    assert not matches({"dynamodb": {"NewImage": {"status": {"S": ["queued"]}}}}, record)
    assert not matches({"dynamodb": {"OldImage": {"status": {"S": ["failed"]}}}}, record)
    with pytest.raises(BadConfiguration, match="prefix"):
        matches({"eventName": [{"prefix": "MOD"}]}, record)


def test_the_clock_calls_again_and_again_also_after_a_failure(
    functions: Functions, does: Any, starts: Any
) -> None:
    def fails(event: Any) -> None:
        raise RuntimeError("bad minute")

    does(fails)
    starts(Clock(ScheduleTrigger("Sweep", HANDLER, 0.05, "arn:rule"), functions))
    wait_for(lambda: len(calls) >= 2, "two ticks")
    assert calls[0]["detail-type"] == "Scheduled Event"
    assert calls[0]["resources"] == ["arn:rule"]


def test_a_handler_gets_and_gives_json_alone(functions: Functions, does: Any) -> None:
    does(lambda event: {"when": object()})
    with pytest.raises(TypeError):
        functions.invoke(HANDLER, {})
    does(lambda event: ("a", "tuple"))
    assert functions.invoke(HANDLER, {}) == ["a", "tuple"]
