"""S3's part: tells the template's function of every new object, again when it fails; keeps lasting failures.

S3 sends its notifications to a queue of ours. A message stays there until the function has handled it, so that
no event is lost to a failing handler.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from infra.local.background import Background
from infra.local.endpoint import Endpoint
from infra.local.invoke import Functions
from infra.local.triggers import UploadTrigger

log = logging.getLogger(__name__)

#: seconds that one receive waits for a message
POLL_SECONDS = 2
#: seconds that a message stays hidden while the function works on it
VISIBILITY_SECONDS = 120
#: seconds before the first repetition; each later one waits twice as long (Lambda: one minute, then two)
RETRY_SECONDS = 1


class UploadDispatcher(Background):
    """Calls one function with the notifications of its queue."""

    def __init__(self, endpoint: Endpoint, trigger: UploadTrigger, functions: Functions) -> None:
        super().__init__("S3 notifications")
        self._sqs = endpoint.client("sqs")
        self._trigger = trigger
        self._functions = functions

    def step(self) -> None:
        """Handle up to ten messages."""
        answer = self._sqs.receive_message(
            QueueUrl=self._trigger.queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=POLL_SECONDS,
            VisibilityTimeout=VISIBILITY_SECONDS,
            AttributeNames=["ApproximateReceiveCount"],
        )
        for message in answer.get("Messages", []):
            self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        event = json.loads(message["Body"])
        # S3 greets a new queue with a test event; functions are never sent one.
        if event.get("Event") != "s3:TestEvent":
            try:
                self._functions.invoke(self._trigger.handler, event)
            except Exception as error:
                if self.stopping.is_set():
                    return  # not its fault: the message stays where it is
                calls = int(message["Attributes"]["ApproximateReceiveCount"])
                log.exception("%s failed on an S3 event (call %d)", self._trigger.handler, calls)
                if calls <= self._trigger.retries:
                    self._hide(message, RETRY_SECONDS * 2 ** (calls - 1))
                    return
                self._keep(event, error, calls)
        self._sqs.delete_message(QueueUrl=self._trigger.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def _hide(self, message: dict[str, Any], seconds: int) -> None:
        self._sqs.change_message_visibility(
            QueueUrl=self._trigger.queue_url,
            ReceiptHandle=message["ReceiptHandle"],
            VisibilityTimeout=seconds,
        )

    def _keep(self, event: Any, error: Exception, calls: int) -> None:
        record = {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(),
            "requestContext": {
                "functionArn": self._trigger.function,
                "condition": "RetriesExhausted",
                "approximateInvokeCount": calls,
            },
            "requestPayload": event,
            "responsePayload": {"errorType": type(error).__name__, "errorMessage": str(error)},
        }
        keep_failure(self._sqs, self._trigger.failure_queue_url, record)


def keep_failure(sqs: Any, queue_url: str | None, record: dict[str, Any]) -> None:
    """Send what failed for good to its failure destination; without one, the log is all that is left of it."""
    if queue_url is None:
        log.error("given up, and the template names no failure destination: %s", json.dumps(record))
        return
    sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps(record))
    log.error("given up; kept in %s", queue_url.rpartition("/")[2])
