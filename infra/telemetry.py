"""Logs and metrics: lines that CloudWatch reads as they are.

With ``MAQUETTE_LOG=json`` (every function and worker of a deployment) standard output gets one JSON object per
line: a log record with its traceback inside, or a metric in the embedded metric format, which CloudWatch Logs
turns into a metric by itself. Otherwise records are text on standard error, for a person at a terminal, and
metrics are not written: nobody there would add them up.

Powertools for AWS Lambda gives both their form. What it keeps between calls is left out: its logger has one set
of fields, its metrics one buffer per process, which the threads of a worker would share, and which is lost with
a process that is killed. Here fields belong to a context, and every metric is written at once.

References: Amazon CloudWatch User Guide, "Specification: Embedded metric format". AWS Lambda Developer Guide,
"Log-level filtering" (a line is to have a level and a timestamp of RFC 3339).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TextIO

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics

from infra.names import visible
from infra.settings import Settings

log = logging.getLogger(__name__)

NAMESPACE = "Maquette"
#: Whose INFO is heard; others speak from WARNING on, since some of them tell whole links.
_OURS = ("functions", "infra", "gpu_container", "__main__")
#: Every combination of their values is a metric, and is paid for: a job's id must never be one.
_DIMENSIONS = {"stage", "code"}
_ORDER = ["timestamp", "level", "service", "logger", "message"]
#: Tokens of sessions and shares, and what makes a link more than an address.
_SECRET = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=[?&])(X-Amz-[a-z-]+|Signature|Policy|token)=[^&\s\"'\\<>]+",
    re.IGNORECASE,
)

_fields: ContextVar[Mapping[str, Any] | None] = ContextVar("fields", default=None)
_output: _Output | None = None


def start(settings: Settings) -> None:
    """Give this process's log its form; once, before the first record.

    As JSON, it takes the place of whatever handlers there are (Lambda brings one). As text, it leaves them.
    """
    global _output
    if settings.log_form == "json":
        _output = _Output(settings.deployment)
        logging.basicConfig(level=logging.WARNING, handlers=[_output], force=True)
        logging.captureWarnings(capture=True)
        sys.excepthook = _tell_of_the_end
        threading.excepthook = _tell_of_a_thread
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(Text())
        logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for package in _OURS:
        logging.getLogger(package).setLevel(logging.INFO)


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Put fields on every line inside: ``job_id``, ``attempt``, ``stage`` …; None takes one off.

    They belong to the context (:mod:`contextvars`): a thread sees them only when it runs in a copy of it.
    """
    before = _fields.get()
    note(**fields)
    try:
        yield
    finally:
        _fields.set(before)


def note(**fields: Any) -> None:
    """Put fields on every further line of the innermost :func:`about`: what was found out under way."""
    _fields.set({name: value for name, value in (_about() | fields).items() if value is not None})


def count(name: str, value: float = 1, **dimensions: str) -> None:
    """Write a metric in Count. Its dimensions are ``service`` and, where given, ``stage`` or ``code``."""
    _write(name, "Count", value, dimensions)


def seconds(name: str, value: float, **dimensions: str) -> None:
    """Write a metric in Seconds."""
    _write(name, "Seconds", value, dimensions)


def megabytes(name: str, value: float, **dimensions: str) -> None:
    """Write a metric in Megabytes (10⁶ bytes)."""
    _write(name, "Megabytes", value, dimensions)


def without_secrets(text: str) -> str:
    """The text with tokens, and what signs a link, struck out: for whatever an error may quote."""
    return _SECRET.sub(lambda found: f"{found[1] or 'token'}=***", text)


def _about() -> dict[str, Any]:
    return dict(_fields.get() or {})


def _write(name: str, unit: str, value: float, dimensions: Mapping[str, str]) -> None:
    if not dimensions.keys() <= _DIMENSIONS:
        raise ValueError(f"A metric has no dimension but {_DIMENSIONS}: not {', '.join(dimensions)}.")
    if _output is None:
        return
    metric = EphemeralMetrics(namespace=NAMESPACE, service=_output.service)
    metric.add_metric(name=name, unit=unit, value=value)
    for dimension, of in dimensions.items():
        metric.add_dimension(name=dimension, value=of)
    # Beside the metric, not as dimensions of it: what the line is about, to be searched for.
    for field, of in _about().items():
        if field not in dimensions:
            metric.add_metadata(key=field, value=of)
    # The way of a log record, so that a line that cannot be written is the log's trouble and not the job's.
    _output.handle(logging.makeLogRecord({"metric": metric.serialize_metric_set()}))


class _Output(logging.StreamHandler[TextIO]):
    """Standard output; every record and every metric is one whole line, whichever threads write."""

    def __init__(self, service: str) -> None:
        super().__init__(sys.stdout)
        self.service = service
        self.setFormatter(_Json(service))


class _Json(LambdaPowertoolsFormatter):
    """``timestamp, level, service, logger, message``, the fields of the context, and ``exception``."""

    def __init__(self, service: str) -> None:
        super().__init__(
            log_record_order=_ORDER,
            service=service,
            location=None,
            utc=True,
            use_rfc3339=True,
            serialize_stacktrace=False,  # once is enough, as the text that Python makes of it
        )

    def format(self, record: logging.LogRecord) -> str:
        metric = getattr(record, "metric", None)
        if metric is not None:
            return self.serialize(metric)
        record.__dict__.update(_about(), logger=record.name)
        return super().format(record)

    def _extract_log_message(self, log_record: logging.LogRecord) -> str:
        return log_record.getMessage()  # a text, also where it happens to be JSON, which Powertools would read

    def serialize(self, log: Any) -> str:
        # ASCII, whatever encoding the container's locale has chosen; one line, whatever the text holds.
        return without_secrets(json.dumps(log, default=str, separators=(",", ":")))


class Text(logging.Formatter):
    """A line for people, with the traceback below it; tokens and signatures struck out."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        fields = " ".join(f"{name}={value}" for name, value in _about().items())
        # One line, whatever it quotes: nobody's file name may look like a line of ours.
        return visible(super().formatMessage(record) + (f" ({fields})" if fields else ""))

    def format(self, record: logging.LogRecord) -> str:
        # A traceback has many lines, and quotes what it likes: none of them begins as a record does.
        return visible(without_secrets(super().format(record)), keep="\n\t").replace("\n", "\n  ")


def _tell_of_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("the process ends with an error", exc_info=(kind, error, trace))


def _tell_of_a_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is not SystemExit:  # which is how a thread may end
        log.critical("a thread ended with an error", exc_info=ended.exc_value)
