"""Logs and metrics, as they arrive on standard output."""

from __future__ import annotations

import contextvars
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra import telemetry
from infra.telemetry import about, count, megabytes, note, seconds, without_secrets
from tests.telemetry import Metric, Written, json_log, read

ROOT = Path(__file__).parents[2]

log = logging.getLogger("infra.something")

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl-_"
LINK = (
    "https://bucket.s3.amazonaws.com/jobs/1/mesh.glb?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAEXAMPLE%2F20261123&X-Amz-Security-Token=FwoGZXIvYXdz%2B&X-Amz-Signature=0123abcd"
)
CLOUDFRONT = "https://d1.cloudfront.net/mesh.glb?Expires=1&Signature=AbC~-_&Policy=eyJTdGF0&Key-Pair-Id=K1"

START = (
    "import logging, os, sys, threading, warnings\n"
    "from infra import telemetry\n"
    "from infra.settings import Settings\n"
    "telemetry.start(Settings(dict(os.environ)))\n"
    "log = logging.getLogger('infra.something')\n"
)


@pytest.fixture
def written() -> Iterator[Callable[[], Written]]:
    with json_log(MAQUETTE_DEPLOYMENT="studio") as written:
        yield written


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, after the start of its log."""
    return subprocess.run(
        [sys.executable, "-c", START + code],
        env={"PYTHONPATH": ":".join(sys.path), "LC_ALL": "C", **environment},
        capture_output=True,
        text=True,
    )


def test_a_record_is_one_object_that_says_when_who_and_what(written: Callable[[], Written]) -> None:
    log.warning("job %s is %d %%\ndone", "7", 50)
    (line,) = written().logs
    del line["timestamp"]
    assert line == {
        "level": "WARNING",
        "service": "studio",
        "logger": "infra.something",
        "message": "job 7 is 50 %\ndone",
    }


@pytest.mark.parametrize("message", ['{"a": 1}', "17", "null", "größer \u2028 🙂", "%s"])
def test_a_message_stays_the_text_it_is(written: Callable[[], Written], message: str) -> None:
    log.info(message)
    assert written().messages == [message]


def test_a_traceback_is_inside_its_object(written: Callable[[], Written]) -> None:
    try:
        int("two\nlines")
    except ValueError:
        log.exception("it broke")
    (line,) = written().logs
    assert (line["level"], line["message"], line["exception_name"]) == ("ERROR", "it broke", "ValueError")
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: invalid literal for int() with base 10: 'two\\nlines'")


def test_fields_are_on_every_line_inside_and_on_none_after(written: Callable[[], Written]) -> None:
    with about(job_id="a", attempt=1):
        log.info("first")
        with about(stage="mesh", attempt=2):
            log.info("second")
        note(stage="export")
        log.info("third")
        with pytest.raises(ZeroDivisionError), about(job_id="b"):
            log.info("%d", 1 // 0)
        with about(job_id=None):
            log.info("fourth")
        log.info("fifth")
    log.info("sixth")
    fields = ("job_id", "attempt", "stage")
    assert [tuple(line.get(name) for name in fields) for line in written().logs] == [
        ("a", 1, None),
        ("a", 2, "mesh"),
        ("a", 1, "export"),
        (None, 1, "export"),
        ("a", 1, "export"),
        (None, None, None),
    ]


def test_threads_know_of_a_job_only_in_a_copy_of_its_context(written: Callable[[], Written]) -> None:
    def work() -> None:
        log.info("at work")
        note(job_id="another")

    with about(job_id="a"):
        for target in (work, lambda: contextvars.copy_context().run(work)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: context.run(work))
        thread.start()
        thread.join()
        log.info("still here")
    assert [line.get("job_id") for line in written().logs] == [None, None, "a", "a"]


def test_a_metric_is_a_document_of_the_embedded_metric_format(written: Callable[[], Written]) -> None:
    count("JobsQueued")
    count("FramesLost", 3)
    seconds("StageSeconds", 1.25, stage="mesh")
    megabytes("PeakMemory", 4500)
    assert written().metrics == [
        Metric("JobsQueued", "Count", 1, {"service": "studio"}),
        Metric("FramesLost", "Count", 3, {"service": "studio"}),
        Metric("StageSeconds", "Seconds", 1.25, {"service": "studio", "stage": "mesh"}),
        Metric("PeakMemory", "Megabytes", 4500, {"service": "studio"}),
    ]


def test_a_metric_tells_of_its_job_but_not_as_a_dimension(written: Callable[[], Written]) -> None:
    with about(job_id="a", attempt=1, stage="upload"):
        seconds("StageSeconds", 2.0, stage="mesh")
    found = written()
    assert found.metrics == [Metric("StageSeconds", "Seconds", 2.0, {"service": "studio", "stage": "mesh"})]
    assert '"job_id":"a","attempt":1' in found.text


def test_an_id_cannot_become_a_dimension(written: Callable[[], Written]) -> None:
    for name in ("job_id", "request_id", "attempt"):
        with pytest.raises(ValueError, match=name):
            count("JobsQueued", **{name: "1"})
    assert written().text == ""


def test_lines_of_many_threads_stay_whole(written: Callable[[], Written]) -> None:
    def work(number: int) -> None:
        with about(job_id=str(number)):
            for turn in range(100):
                log.info("%d %s", turn, "x" * 5000)
                count("JobsQueued")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = written()
    assert (len(found.logs), len(found.metrics)) == (800, 800)
    assert {line["job_id"] for line in found.logs} == {str(number) for number in range(8)}


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    ended = run(
        "os.close(1)\n"
        "telemetry.count('JobsQueued')\n"
        "log.info('x')\n"
        "print('still at work', file=sys.stderr, flush=True)\n"
        "os._exit(0)\n",
        MAQUETTE_LOG="json",
    )
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.endswith("still at work\n")


@pytest.mark.parametrize("secret", [TOKEN, LINK, CLOUDFRONT, f"https://api/jobs/1/events?token={TOKEN}"])
def test_no_line_holds_a_token_or_a_link_that_opens(written: Callable[[], Written], secret: str) -> None:
    with about(address=secret):
        try:
            int(secret)  # an error that quotes
        except ValueError:
            log.exception("failed on %s", secret)
            log.warning({"message": secret})
    text = written().text
    for part in (TOKEN, "eyJ", "0123abcd", "AKIA", "FwoGZ", "AbC~", TOKEN.rpartition(".")[2]):
        assert part not in text


def test_what_is_struck_out_leaves_the_rest_to_be_read() -> None:
    text = f"GET {LINK} with 'Bearer {TOKEN}', twice"
    assert without_secrets(text) == (
        "GET https://bucket.s3.amazonaws.com/jobs/1/mesh.glb?X-Amz-Algorithm=***&X-Amz-Credential=***"
        "&X-Amz-Security-Token=***&X-Amz-Signature=*** with 'Bearer token=***', twice"
    )
    harmless = "jobs/1/mesh.glb?version=2&size=3 is 12.5 % done; the signature=1 of a design token=x"
    assert without_secrets(harmless) == harmless


def test_a_process_writes_nothing_but_objects_however_it_ends() -> None:
    ended = run(
        "logging.getLogger('httpx').info('whole links')\n"
        "warnings.warn('old')\n"
        "for target in (sys.exit, lambda: 1 / 0):\n"
        "    thread = threading.Thread(target=target)\n"
        "    thread.start(); thread.join()\n"
        "telemetry.count('JobsQueued')\n"
        "raise SystemError('defect')\n",
        MAQUETTE_LOG="json",
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    found = read(ended.stdout)
    assert [line["level"] for line in found.logs] == ["WARNING", "CRITICAL", "CRITICAL"]
    assert "old" in found.messages[0]
    assert [line.get("exception_name") for line in found.logs] == [None, "ZeroDivisionError", "SystemError"]
    assert [metric.name for metric in found.metrics] == ["JobsQueued"]


def test_names_of_files_in_any_encoding_can_be_told() -> None:
    ended = run("log.info(os.fsdecode(b'caf\\xe9.png'))", MAQUETTE_LOG="json")  # not UTF-8
    assert read(ended.stdout).messages == ["caf\udce9.png"]


def test_the_handlers_that_lambda_brings_give_way() -> None:
    code = "logging.root.addHandler(logging.StreamHandler())\n" + START + "log.info('once')\n"
    ended = run(code, MAQUETTE_LOG="json")
    assert ended.stderr == ""
    assert read(ended.stdout).messages == ["once"]


def test_a_trace_of_x_ray_is_named() -> None:
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    ended = run("log.info('x')", MAQUETTE_LOG="json", _X_AMZN_TRACE_ID=trace)
    (line,) = read(ended.stdout).logs
    assert line["xray_trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"


def test_variables_of_powertools_change_nothing() -> None:
    ended = run(
        "telemetry.count('JobsQueued'); log.info('one line')",
        MAQUETTE_LOG="json",
        POWERTOOLS_DEV="true",
        POWERTOOLS_SERVICE_NAME="other",
        POWERTOOLS_METRICS_NAMESPACE="Other",
        POWERTOOLS_METRICS_DISABLED="true",
    )
    found = read(ended.stdout)
    assert found.metrics == [Metric("JobsQueued", "Count", 1, {"service": "maquette"})]
    assert [line["service"] for line in found.logs] == ["maquette"]


def test_a_terminal_gets_text_without_metrics() -> None:
    ended = run(
        "with telemetry.about(job_id='a', attempt=1):\n"
        "    log.info('claimed')\n"
        "    telemetry.count('JobsQueued')\n"
        "    try:\n"
        f"        raise ValueError('{TOKEN}')\n"
        "    except ValueError:\n"
        "        log.exception('it broke')\n"
        "logging.getLogger('httpx').info('whole links')\n",
    )
    assert ended.stdout == ""
    first, second, *trace = ended.stderr.splitlines()
    assert first.endswith(" INFO infra.something claimed (job_id=a attempt=1)")
    assert second.endswith(" ERROR infra.something it broke (job_id=a attempt=1)")
    assert (trace[0], trace[-1]) == ("  Traceback (most recent call last):", "  ValueError: token=***")


def test_text_leaves_the_handlers_that_are_there() -> None:
    code = (
        "logging.root.handlers = [logging.StreamHandler(sys.stdout)]\n"
        "telemetry.start(Settings({}))\n"
        "log.info('to whom it was')\n"
    )
    ended = run(code)
    assert (ended.stdout, ended.stderr) == ("to whom it was\n", "")


def test_before_its_start_and_as_text_a_metric_goes_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert telemetry._output is None
    count("JobsQueued")
    assert capsys.readouterr() == ("", "")


def test_the_table_in_the_documentation_lists_every_metric() -> None:
    sources = [
        path.read_text("utf-8")
        for room in ("functions", "gpu_container")
        for path in (ROOT / room).rglob("*.py")
    ]
    written = set(re.findall(r'telemetry\.(?:count|seconds|megabytes)\("(\w+)"', "\n".join(sources)))
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    _, _, table = text.partition("| metric |")
    rows = table.partition("\n\n")[0].splitlines()[2:]
    assert {name for row in rows for name in row.split("|")[1].strip().split(", ")} == written
