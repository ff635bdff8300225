"""EventBridge's part: calls the template's functions on their schedules."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime

from infra.local.background import Background
from infra.local.invoke import Functions
from infra.local.triggers import ScheduleTrigger

log = logging.getLogger(__name__)

#: seconds: no schedule is slower than this here, so that one who watches sees a lost worker's job taken up
#: again
SLOWEST_SECONDS = 10.0


class Clock(Background):
    """Calls one function again and again."""

    def __init__(self, trigger: ScheduleTrigger, functions: Functions) -> None:
        super().__init__("schedule")
        self._trigger = trigger
        self._functions = functions

    def step(self) -> None:
        """Wait for the next tick and call; a failed call is logged and not repeated before the next tick."""
        if self.stopping.wait(min(self._trigger.seconds, SLOWEST_SECONDS)):
            return
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "000000000000",
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": "us-east-1",
            "resources": [self._trigger.rule_arn],
            "detail": {},
        }
        self._functions.invoke(self._trigger.handler, event, routine=True)
