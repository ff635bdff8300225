"""DynamoDB Streams' part: tells the template's function of every change of a table, in order.

Failures follow Lambda's rules for an event source mapping: a reported item failure is taken up again from that
record on, an exception halves the batch until the record that raises it is alone, and a record that fails too
often goes to the failure destination so that those behind it can pass.

Reference: AWS Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB".
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from infra.errors import BadConfiguration
from infra.local.background import Background
from infra.local.endpoint import Endpoint
from infra.local.invoke import Functions
from infra.local.triggers import StreamTrigger
from infra.local.uploads import keep_failure

log = logging.getLogger(__name__)

#: seconds between two looks while something happens, and otherwise
BUSY_SECONDS, IDLE_SECONDS = 0.05, 0.5
#: seconds without a change until nothing happens
QUIET_AFTER_SECONDS = 30.0
#: seconds: first and longest pause before a failed batch is tried again
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


class StreamDispatcher(Background):
    """Calls one function with the changes of one table."""

    def __init__(self, endpoint: Endpoint, trigger: StreamTrigger, functions: Functions) -> None:
        super().__init__("table stream")
        self._streams = endpoint.client("dynamodbstreams")
        self._sqs = endpoint.client("sqs")
        self._trigger = trigger
        self._functions = functions
        self._patterns = [json.loads(pattern) for pattern in trigger.patterns]
        self._iterators: dict[
            str, str | None
        ] = {}  # shard → where to read on, None when it has been read to its end
        self._last_change = time.monotonic()

    def step(self) -> None:
        """Read every shard once, then wait a little."""
        if not any(self._iterators.values()):
            self._find_shards()
        changed = [self._read(shard, iterator) for shard, iterator in self._iterators.items() if iterator]
        if any(changed) or self._functions.activity.is_set():
            self._functions.activity.clear()
            self._last_change = time.monotonic()
        if time.monotonic() - self._last_change < QUIET_AFTER_SECONDS:
            self.stopping.wait(BUSY_SECONDS)
        else:
            self._functions.activity.wait(IDLE_SECONDS)

    def _find_shards(self) -> None:
        stream = self._streams.describe_stream(StreamArn=self._trigger.stream_arn)["StreamDescription"]
        for shard in stream["Shards"]:
            if shard["ShardId"] not in self._iterators:
                self._iterators[shard["ShardId"]] = self._streams.get_shard_iterator(
                    StreamArn=self._trigger.stream_arn,
                    ShardId=shard["ShardId"],
                    ShardIteratorType="TRIM_HORIZON",
                )["ShardIterator"]

    def _read(self, shard: str, iterator: str) -> bool:
        answer = self._streams.get_records(ShardIterator=iterator, Limit=self._trigger.batch_size)
        records = [lambda_record(record, self._trigger.stream_arn) for record in answer["Records"]]
        self._deliver([record for record in records if self._wanted(record)])
        self._iterators[shard] = answer.get("NextShardIterator")
        return bool(records)

    def _wanted(self, record: dict[str, Any]) -> bool:
        return not self._patterns or any(matches(pattern, record) for pattern in self._patterns)

    def _deliver(self, records: list[dict[str, Any]]) -> None:
        size = len(records)  # of the next batch
        failures = 0  # of the first record, as far as it can be known
        while records and not self.stopping.is_set():
            failed_at, error = self._call(records[:size])
            done = len(records[:size]) if failed_at is None else failed_at
            if done:
                records, failures = records[done:], 0
                size = len(records)
            if failed_at is None:
                continue
            if error is not None and size > 1:  # any of them may have raised it: look closer
                size = size // 2
                continue
            failures += 1
            if failures > self._trigger.retries:
                self._keep(records[0], error, failures)
                records, failures = records[1:], 0
                size = len(records)
            else:
                self.stopping.wait(min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE))

    def _call(self, records: list[dict[str, Any]]) -> tuple[int | None, Exception | None]:
        """The position of the first record that failed, None when none did, and what was raised."""
        try:
            answer = self._functions.invoke(self._trigger.handler, {"Records": records})
        except Exception as error:
            if not self.stopping.is_set():
                log.exception("%s failed on %d changes", self._trigger.handler, len(records))
            return 0, error
        if not self._trigger.reports_item_failures:
            return None, None
        return first_failure(records, answer), None

    def _keep(self, record: dict[str, Any], error: Exception | None, calls: int) -> None:
        number = record["dynamodb"]["SequenceNumber"]
        failure = {
            "requestContext": {
                "functionArn": self._trigger.function,
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": calls,
            },
            "responseContext": {"functionError": str(error) if error else "item failure"},
            "DDBStreamBatchInfo": {
                "streamArn": self._trigger.stream_arn,
                "startSequenceNumber": number,
                "endSequenceNumber": number,
                "batchSize": 1,
            },
        }
        keep_failure(self._sqs, self._trigger.failure_queue_url, failure)


def first_failure(records: Sequence[dict[str, Any]], answer: Any) -> int | None:
    """Position of the first record that ``batchItemFailures`` names; 0 when it names something else."""
    failures = (answer or {}).get("batchItemFailures") or []
    if not failures:
        return None
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    failed = [failure.get("itemIdentifier") for failure in failures]
    if any(number not in numbers for number in failed):
        return 0  # as Lambda does: an unknown or empty identifier fails the whole batch
    return min(map(numbers.index, failed))


def lambda_record(record: dict[str, Any], stream_arn: str) -> dict[str, Any]:
    """A record of GetRecords as Lambda passes it on: plain JSON, times in seconds, bytes in base64."""
    change = json.loads(json.dumps(record["dynamodb"], default=_plain))
    return {**record, "dynamodb": change, "eventSourceARN": stream_arn}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} in a stream record")


def matches(pattern: Any, value: Any) -> bool:
    """Whether ``value`` satisfies an event filter: lists of literals, nested as deep as needed."""
    if isinstance(pattern, list):
        if any(isinstance(choice, dict) for choice in pattern):
            raise BadConfiguration(f"The local cloud knows no such event filter: {json.dumps(pattern)}.")
        return value in pattern
    return isinstance(value, dict) and all(matches(inner, value.get(name)) for name, inner in pattern.items())
