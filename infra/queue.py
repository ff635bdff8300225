"""The job queue. A message says "look at this job" and nothing else: the table is the truth."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from infra.clients import client
from infra.errors import BadInput


@dataclass(frozen=True)
class Message:
    """One received message; ``receipt`` is the right to hide or delete it, until it is received again."""

    body: str
    receipt: str

    @property
    def job_id(self) -> str:
        """Whom it is about. Raises :class:`BadInput` for a body that is not ours."""
        try:
            job_id = json.loads(self.body)["job_id"]
        except (ValueError, TypeError, KeyError):
            job_id = None
        if not isinstance(job_id, str) or not job_id:
            raise BadInput(f"A message on the job queue is not understood: {self.body[:200]!r}")
        return job_id


class JobQueue:
    """Typed access to one queue."""

    def __init__(self, url: str) -> None:
        self.url = url

    def send(self, job_id: str) -> None:
        """Wake a worker for this job; once too often does no harm."""
        self._client.send_message(QueueUrl=self.url, MessageBody=json.dumps({"job_id": job_id}))

    def receive(self, *, wait_seconds: int, hidden_seconds: float) -> Message | None:
        """One message, waiting for it; nobody else sees it for ``hidden_seconds``."""
        answer = self._client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=math.ceil(hidden_seconds),
        )
        for message in answer.get("Messages", []):
            return Message(message["Body"], message["ReceiptHandle"])
        return None

    def depth(self) -> int:
        """About how many messages there are, waiting or received and not deleted yet."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def hide(self, message: Message, seconds: float) -> None:
        """Nobody else sees the message for so long from now; 0 shows it at once."""
        self._client.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=max(0, math.ceil(seconds))
        )

    def delete(self, message: Message) -> None:
        """The message has done its work."""
        self._client.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)

    @property
    def _client(self) -> Any:
        return client("sqs")
