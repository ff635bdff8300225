"""Powertools' batch processor, for a stream: where one record fails, none after it is tried.

Its own goes on, as befits a queue, and would tell later changes of a job before an earlier one that comes back.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType


class InOrderProcessor(BatchProcessor):
    """Takes a batch of a DynamoDB stream up to the first record that fails.

    The answer names that record alone: Lambda delivers it and everything after it again.
    Reference: AWS Lambda Developer Guide, "Configuring partial batch response with DynamoDB and Lambda".
    """

    def __init__(self) -> None:
        # A batch in which everything failed is reported like any other, not raised.
        super().__init__(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)

    def process(self) -> list[tuple[Any, ...]]:
        """Call the handler for one record after the other."""
        outcomes: list[tuple[Any, ...]] = []
        for record in self.records:
            outcomes.append(self._process_record(record))
            if self.fail_messages:
                break
        return outcomes
