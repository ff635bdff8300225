"""Calls to AWS that fail, dawdle, or do what they were asked and lose the answer: a hook in botocore."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session


@dataclass(frozen=True)
class Rates:
    """Share of the calls that meet with each."""

    refused: float = 0.03
    lost: float = 0.03
    late: float = 0.05


#: seconds by which a late call is late, at most
LATEST = 0.3


class Trouble:
    """Meddles with every call of clients that :func:`boto3.client` makes from now on in this process."""

    def __init__(self, seed: str, rates: Rates | None = None) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._rates = rates or Rates()
        self._elsewhere = URLLib3Session()

    def install(self) -> None:
        """Sit between boto3's default session and the network."""
        boto3.setup_default_session()
        boto3.DEFAULT_SESSION._session.register("before-send", self._meddle)

    def _meddle(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        with self._lock:
            drawn, delay = self._random.random(), self._random.uniform(0, LATEST)
        rates = self._rates
        if drawn < rates.refused:
            return AWSResponse(request.url, 503, {}, _Body())
        # A message received by nobody comes back, but may be set aside too early. Then the sweeper sends
        # another, half an hour later, and no round is as long.
        if drawn < rates.refused + rates.lost and not event_name.endswith(".ReceiveMessage"):
            self._elsewhere.send(request)
            raise ConnectionClosedError(endpoint_url=request.url)
        if drawn < rates.refused + rates.lost + rates.late:
            time.sleep(delay)
        return None


class _Body:
    """Nothing, in the form of an answer's body."""

    def stream(self) -> Iterator[bytes]:
        yield b""
