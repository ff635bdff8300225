"""Server-sent events: what a client hears that comes back with what it heard last."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from infra import tokens
from infra.job import Job, Source
from tests.cloud.conftest import SECRET, Cloud, Rest, publish

Use = Callable[..., None]


def ask(rest: Rest, token: str, job_id: str, last: str | None = None) -> tuple[int, str, dict[str, str]]:
    headers = {} if last is None else {"Last-Event-ID": last}
    status, body, headers = rest("GET", "/jobs/{job_id}/events", token=token, headers=headers, job_id=job_id)
    return status, body, headers


def parse(text: str) -> list[dict[str, str]]:
    """Events of a stream, fields by name; ``retry`` alone is one without data (WHATWG HTML, section 9.2.6)."""
    assert text.endswith("\n\n"), "a browser drops an event that no empty line ends"
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [
        {name: value.strip() for name, _, value in (line.partition(":") for line in block)} for block in blocks
    ]


def test_the_first_answer_tells_the_record_and_when_to_come_back(rest: Rest, ann: str, done: Job) -> None:
    status, body, headers = ask(rest, ann, done.job_id)
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")
    assert headers["Cache-Control"] == "no-store"
    retry, event = parse(body)
    assert retry == {"retry": "1000"}
    assert (event["id"], event["event"]) == (str(done.seq), "job")
    assert json.loads(event["data"]) == done.as_public()


def test_who_has_seen_it_all_hears_nothing_and_comes_back(cloud: Cloud, rest: Rest) -> None:
    job = cloud.queued(owner="ann")
    token, _ = tokens.issue("ann", SECRET)
    status, body, _ = ask(rest, token, job.job_id, last=str(job.seq))
    assert (status, parse(body)) == (200, [{"retry": "1000"}])


def test_who_has_seen_the_end_is_told_to_stop(rest: Rest, ann: str, done: Job) -> None:
    status, body, headers = ask(rest, ann, done.job_id, last=str(done.seq))
    assert (status, body) == (204, "")
    assert "Content-Type" not in headers


@pytest.mark.parametrize("last", ["", "x", "-1", "1.5", "٣", "9" * 5000, "\udcff"])
def test_an_id_that_none_of_ours_can_be_counts_as_nothing_seen(
    rest: Rest, ann: str, done: Job, last: str
) -> None:
    assert len(parse(ask(rest, ann, done.job_id, last=last)[1])) == 2


def test_an_event_source_sees_a_life_in_order_to_its_end_and_stops(cloud: Cloud, rest: Rest) -> None:
    job = cloud.queued(owner="ann")
    token, _ = tokens.issue("ann", SECRET)
    claimed = cloud.table.claim(job.job_id, "worker", lease_seconds=60, deadline_seconds=900).job
    moves: list[Callable[[], Any]] = [
        lambda: cloud.table.report(claimed, "mesh", 0.5),
        lambda: None,
        lambda: [cloud.table.report(claimed, "texture", p) for p in (0.6, 0.7)],
        lambda: publish(cloud, claimed),
        lambda: None,
    ]
    last, heard, answers = None, [], []
    for move in moves:
        move()
        status, body, _ = ask(rest, token, job.job_id, last=last)
        answers.append(status)
        for event in parse(body)[1:] if status == 200 else []:
            last = event["id"]
            heard.append(json.loads(event["data"]))
    assert answers == [200, 200, 200, 200, 204]
    assert [(told["status"], told["progress"]) for told in heard] == [
        ("running", 0.5),
        ("running", 0.7),
        ("succeeded", 1.0),
    ]


def test_the_token_may_come_in_the_address_and_be_a_share_links(
    cloud: Cloud, rest: Rest, ann: str, done: Job, use_environment: Use
) -> None:
    use_environment(MAQUETTE_SITE_ORIGIN="https://maquette.example")
    epoch = cloud.table.share(done.job_id).share_epoch
    guest = tokens.issue_share(done.job_id, SECRET, ends=int(time.time()) + 60, epoch=epoch)
    for token in (ann, guest):
        status, body, headers = rest("GET", "/jobs/{job_id}/events", query={"token": token}, job_id=done.job_id)
        assert (status, len(parse(body))) == (200, 2)
        assert headers["Access-Control-Allow-Origin"] == "https://maquette.example"
    status, body, _ = rest("GET", "/jobs/{job_id}/events", query={"token": "x"}, job_id=done.job_id)
    assert (status, body["error"]["code"]) == (401, "unauthorized")


def test_a_name_with_line_breaks_cannot_make_up_events(cloud: Cloud, rest: Rest) -> None:
    source = Source(cloud.settings.upload_bucket, "inbox/a\ndata: {}\n\nid: 99")
    job = cloud.table.create("job", "ann", source, {}, arrived=True)
    token, _ = tokens.issue("ann", SECRET)
    _, event = parse(ask(rest, token, job.job_id)[1])
    assert json.loads(event["data"]) == job.as_public()
    assert event["id"] == "1"
