"""What a process has written for CloudWatch, read back as strictly as CloudWatch reads it."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra import telemetry
from infra.settings import Settings

#: API reference of CloudWatch, MetricDatum, those in use
UNITS = {"Count", "Seconds", "Megabytes"}


@dataclass(frozen=True)
class Metric:
    """One value, and the set of dimensions it is recorded under."""

    name: str
    unit: str
    value: float
    dimensions: dict[str, str]


@dataclass(frozen=True)
class Written:
    """All that was written, in order of its kind."""

    text: str
    logs: list[dict[str, Any]]
    metrics: list[Metric]

    @property
    def messages(self) -> list[str]:
        return [log["message"] for log in self.logs]


def read(output: str) -> Written:
    """Every line is one JSON object, a log record or metrics; anything else fails."""
    assert output == "" or output.endswith("\n")
    objects = [json.loads(line) for line in output.splitlines()]
    logs = [thing for thing in objects if "_aws" not in thing]
    for log in logs:
        _check_log(log)
    return Written(output, logs, [metric for thing in objects if "_aws" in thing for metric in metrics(thing)])


def _check_log(log: dict[str, Any]) -> None:
    assert list(log)[:5] == ["timestamp", "level", "service", "logger", "message"]
    assert all(isinstance(log[name], str) for name in list(log)[:5])
    # What Lambda wants of a line: RFC 3339, and a level that it knows.
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", log["timestamp"])
    assert log["level"] in logging.getLevelNamesMapping()


def metrics(document: dict[str, Any]) -> list[Metric]:
    """The metrics of a document in the embedded metric format, which is held against its specification.

    Reference: Amazon CloudWatch User Guide, "Specification: Embedded metric format".
    """
    about = document["_aws"]
    assert set(about) == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(about["Timestamp"], int)
    assert abs(datetime.now().timestamp() * 1000 - about["Timestamp"]) < 60_000, "milliseconds, of today"
    found = []
    for directive in about["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert directive["Namespace"] == "Maquette"
        assert 1 <= len(directive["Metrics"]) <= 100
        for names in directive["Dimensions"]:
            assert len(names) == len(set(names)) <= 30
            values = {name: document[name] for name in names}
            assert all(isinstance(value, str) and 0 < len(value) <= 1024 for value in values.values())
            for definition in directive["Metrics"]:
                assert set(definition) == {"Name", "Unit"}
                assert definition["Unit"] in UNITS
                given = document[definition["Name"]]
                every = given if isinstance(given, list) else [given]
                assert 1 <= len(every) <= 100
                assert all(type(value) in (int, float) for value in every)
                found += [Metric(definition["Name"], definition["Unit"], value, values) for value in every]
    return found


@contextmanager
def json_log(**environment: str) -> Iterator[Callable[[], Written]]:
    """A deployment's log in this process; what it yields gives the lines since it was last asked."""
    root, output = logging.getLogger(), io.StringIO()
    before = root.level, sys.excepthook, threading.excepthook
    others, root.handlers = root.handlers, []
    telemetry.start(Settings({"MAQUETTE_LOG": "json", **environment}))
    (own,) = root.handlers
    assert isinstance(own, logging.StreamHandler)
    own.setStream(output)
    root.handlers += others  # pytest's, which it means to take away itself

    def written() -> Written:
        text = output.getvalue()
        output.seek(0)
        output.truncate()
        return read(text)

    try:
        yield written
    finally:
        logging.captureWarnings(capture=False)
        root.removeHandler(own)
        root.level, sys.excepthook, threading.excepthook = before
        telemetry._output = None
