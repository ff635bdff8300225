"""The bill of quantities: what a month of jobs asks of every service, in the units that are paid for.

How often a job calls what follows from the code; a test runs a job through the cloud and counts. How large
things are and how long functions run are assumptions, all in one place, and printed with every result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from infra.artifacts import expected_names
from infra.economy.outcome import Day
from infra.economy.policy import ScalingPolicy, Standing
from infra.job import RETENTION_SECONDS
from infra.options import Options
from infra.stages import STAGES

MONTH_DAYS = 365.0 / 12.0
MONTH_HOURS = 24.0 * MONTH_DAYS
_RETENTION_MONTHS = RETENTION_SECONDS / 86_400.0 / MONTH_DAYS

#: write units per write of a job's record: the table (a record stays under 1 KB), the index by owner (all of
#: it), and the sweeper's index (its key; a changed key is taken away and put anew)
WRITES = {"create": 3, "arrive": 4, "claim": 4, "report": 2, "heartbeat": 4, "end": 3}
#: an idle worker asks the queue so often: gpu_container.worker.RECEIVE_SECONDS
RECEIVE_SECONDS = 3.0


@dataclass(frozen=True)
class Assumptions:
    """What no file says and nobody has measured in the cloud. MB and GB are decimal, as bills count them."""

    seconds_per_job: float = 10.0
    #: news of a stage under way, per second of work; measured with the embedded engine (4 at most)
    reports_per_second: float = 2.2
    photo_mb: float = 2.0
    #: all files of a model; measured with the embedded engine
    results_mb: float = 13.0
    #: how often a model is looked at, and what a look loads (the small GLB and the poster)
    looks_per_job: float = 2.0
    look_mb: float = 0.7
    jobs_per_visit: float = 1.0
    #: that a page stays open beyond the wait for its model
    visit_minutes: float = 5.0
    site_mb: float = 0.3
    site_requests: float = 12.0
    #: of one page's visit, preflights included, beside those for the place in the queue
    rest_per_job: float = 10.0
    #: between two looks at the place in the queue, while a job waits
    queue_look_seconds: float = 4.0
    rest_seconds: float = 0.08
    upload_seconds: float = 0.2
    socket_seconds: float = 0.05
    stream_seconds: float = 0.03
    #: times a second that Lambda looks into a stream, for each of the batches that it may work on at once
    stream_looks: float = 4.0
    sweep_seconds: float = 0.3
    #: the platform's own lines among it
    log_kb_per_call: float = 1.0
    log_kb_per_job: float = 6.0
    own_metrics: float = 25.0
    #: what Container Insights keeps of one cluster with one service
    insight_metrics: float = 30.0
    image_gb: float = 6.0
    images: float = 5.0
    #: of requests beyond one a second, the share that is traced
    trace_share: float = 0.05


@dataclass(frozen=True)
class Choice:
    """What a deployer decides and the fleet's simulation found."""

    jobs_per_day: float
    instance: str = "g6.xlarge"
    links: Literal["s3", "cloudfront"] = "s3"


@dataclass(frozen=True)
class Quantity:
    """So many units of one price a month, for one purpose of one service."""

    service: str
    purpose: str
    price: str
    units: float


def writes_per_job(seconds: float, reports_per_second: float, lease_seconds: float) -> dict[str, float]:
    """How often the record of a job that takes so long is written, by the kinds of :data:`WRITES`."""
    return {
        "create": 1.0,
        "arrive": 1.0,
        "claim": 1.0,
        "report": len(STAGES) + reports_per_second * seconds,
        "heartbeat": math.floor(seconds / (lease_seconds / 2)),
        "end": 1.0,
    }


def function_seconds_per_job(assumed: Assumptions, policy: ScalingPolicy, standing: Standing) -> float:
    """Seconds of functions that one job takes, of many that do not wait long."""
    jobs = 1e6
    calls = _calls(jobs, 0.0, assumed, policy, standing)
    calls["sweeps"] = 0.0
    return _seconds(calls, jobs, assumed, policy, standing) / jobs


def month(
    choice: Choice, assumed: Assumptions, policy: ScalingPolicy, standing: Standing, day: Day
) -> Iterator[Quantity]:
    """Everything that a month is billed for; ``day`` is a simulated one, whose waits count where
    jobs ended at all."""
    jobs = choice.jobs_per_day * MONTH_DAYS
    wait = 0.0 if math.isnan(day.mean_wait) else day.mean_wait
    yield from _machines(choice, standing, day)
    yield from _record(jobs, assumed, policy)
    yield from _pages(jobs, wait, choice, assumed)
    yield from _files(jobs, choice, assumed)
    yield from _functions(jobs, wait, assumed, policy, standing)
    yield from _messages(jobs, assumed, policy, day)
    yield from _watching(jobs, wait, assumed, policy, standing)


def _machines(choice: Choice, standing: Standing, day: Day) -> Iterator[Quantity]:
    kind = choice.instance.replace(".", "_")
    hours = day.instance_hours * MONTH_DAYS
    yield Quantity("EC2", "GPU machines, spot", f"{kind}_spot", day.spot_hours * MONTH_DAYS)
    yield Quantity("EC2", "GPU machines, on demand", kind, day.on_demand_hours * MONTH_DAYS)
    yield Quantity("EC2", "their disks", "gp3_storage", standing.volume_gib * 1.0737 * hours / MONTH_HOURS)
    if standing.public_addresses:
        yield Quantity("EC2", "their addresses", "public_ipv4", hours)
    yield Quantity("VPC", "interface endpoints", "interface_endpoint", standing.endpoint_zones * MONTH_HOURS)


def _record(jobs: float, assumed: Assumptions, policy: ScalingPolicy) -> Iterator[Quantity]:
    written = writes_per_job(assumed.seconds_per_job, assumed.reports_per_second, policy.lease_seconds)
    units = sum(WRITES[kind] * count for kind, count in written.items())
    yield Quantity("DynamoDB", "writes of jobs", "table_write", jobs * units)
    # A connection: opened, subscribed (its topic enters the index), closed (and leaves it).
    visits = jobs / assumed.jobs_per_visit
    yield Quantity("DynamoDB", "writes of connections", "table_write", visits * 5)
    # Whose sockets follow the job, and whose its owner: two queries of half a unit per piece of news.
    news = sum(written.values()) - written["heartbeat"]
    sweeps = 60 * MONTH_HOURS
    yield Quantity("DynamoDB", "reads", "table_read", jobs * (news + assumed.rest_per_job) + sweeps * 1.5)
    kept = jobs * 2 * 0.75e-6 * _RETENTION_MONTHS  # the record, and again in the index by owner
    yield Quantity("DynamoDB", "storage", "table_storage", kept)
    yield Quantity("DynamoDB", "point-in-time recovery", "table_recovery", kept / 2)


def _pages(jobs: float, wait: float, choice: Choice, assumed: Assumptions) -> Iterator[Quantity]:
    visits = jobs / assumed.jobs_per_visit
    minutes = visits * assumed.visit_minutes + jobs * (wait + assumed.seconds_per_job) / 60.0
    yield Quantity("API Gateway", "REST", "rest_request", _rest_calls(jobs, wait, assumed))
    # Both ways count: subscription and answer, ping and pong a minute, and a frame per piece of news.
    news = len(STAGES) + assumed.reports_per_second * assumed.seconds_per_job + 4
    yield Quantity("API Gateway", "socket messages", "socket_message", visits * 2 + minutes * 2 + jobs * news)
    yield Quantity("API Gateway", "socket minutes", "socket_minute", minutes)
    looks = jobs * assumed.looks_per_job * assumed.look_mb / 1e3
    site = visits * assumed.site_mb / 1e3
    from_cdn = site + (looks if choice.links == "cloudfront" else 0.0)
    yield Quantity("CloudFront", "transfer", "cdn_out", from_cdn)
    over_cdn = jobs * assumed.looks_per_job * 2 if choice.links == "cloudfront" else 0.0
    yield Quantity("CloudFront", "requests", "cdn_request", visits * assumed.site_requests + over_cdn)
    if choice.links == "s3":
        yield Quantity("S3", "transfer of models", "transfer_out", looks)


def _files(jobs: float, choice: Choice, assumed: Assumptions) -> Iterator[Quantity]:
    files = len(expected_names(Options().views))
    yield Quantity("S3", "photos and files put", "bucket_put", jobs * (files + 1))
    # The worker reads the photo, REST the manifest; a look loads two files.
    yield Quantity("S3", "files got", "bucket_get", jobs * (2 + 2 * assumed.looks_per_job))
    kept = jobs * (assumed.photo_mb + assumed.results_mb) / 1e3 * _RETENTION_MONTHS
    yield Quantity("S3", "storage", "bucket_storage", kept)
    yield Quantity("ECR", "images", "image_storage", assumed.image_gb * assumed.images)


def _functions(
    jobs: float, wait: float, assumed: Assumptions, policy: ScalingPolicy, standing: Standing
) -> Iterator[Quantity]:
    calls = _calls(jobs, wait, assumed, policy, standing)
    yield Quantity("Lambda", "calls", "lambda_request", sum(calls.values()))
    used = _seconds(calls, jobs, assumed, policy, standing)
    yield Quantity("Lambda", "time", "lambda_arm_second", used * standing.function_gb)


def _messages(jobs: float, assumed: Assumptions, policy: ScalingPolicy, day: Day) -> Iterator[Quantity]:
    hidden_again = math.floor(assumed.seconds_per_job / (policy.lease_seconds / 2))
    idle_hours = max(0.0, day.instance_hours - day.busy_hours) * MONTH_DAYS
    empty = idle_hours * 3600.0 / RECEIVE_SECONDS
    yield Quantity("SQS", "messages and empty looks", "queue_request", jobs * (3 + hidden_again) + empty)
    yield Quantity("EventBridge", "events", "bus_event", jobs)
    yield Quantity("EventBridge", "archive", "bus_archive", jobs * 1e-6)


def _watching(
    jobs: float, wait: float, assumed: Assumptions, policy: ScalingPolicy, standing: Standing
) -> Iterator[Quantity]:
    calls = sum(_calls(jobs, wait, assumed, policy, standing).values())
    gigabytes = (calls * assumed.log_kb_per_call + jobs * assumed.log_kb_per_job) / 1e6
    yield Quantity("CloudWatch", "logs", "log_ingested", gigabytes)
    yield Quantity("CloudWatch", "logs kept", "log_stored", gigabytes * 0.15)  # compressed
    insights = assumed.insight_metrics if standing.container_insights else 0.0
    yield Quantity("CloudWatch", "metrics", "metric", assumed.own_metrics + insights)
    yield Quantity("CloudWatch", "alarms", "alarm_metric", standing.alarm_metrics)
    yield Quantity("CloudWatch", "dashboard", "dashboard", standing.dashboards)
    each_second = MONTH_HOURS * 3600.0
    traced = min(calls, each_second) + assumed.trace_share * max(0.0, calls - each_second)
    yield Quantity("X-Ray", "traces", "trace", traced)
    yield Quantity("Secrets Manager", "secrets", "secret", standing.secrets)
    yield Quantity("Secrets Manager", "calls", "secret_call", calls / 100)  # each process asks once


def _calls(
    jobs: float, wait: float, assumed: Assumptions, policy: ScalingPolicy, standing: Standing
) -> dict[str, float]:
    """Calls of functions a month."""
    visits = jobs / assumed.jobs_per_visit
    minutes = visits * assumed.visit_minutes + jobs * (wait + assumed.seconds_per_job) / 60.0
    return {
        "REST": _rest_calls(jobs, wait, assumed) * 0.7,  # preflights are the gateway's own
        "uploads": jobs,
        "sockets": visits * 4 + minutes,  # authorised, connected, subscribed, gone; a ping a minute
        "changes of jobs": jobs * _changes(assumed, policy) / _batch(jobs, assumed, policy, standing),
        "sweeps": 60 * MONTH_HOURS,
    }


def _seconds(
    calls: dict[str, float], jobs: float, assumed: Assumptions, policy: ScalingPolicy, standing: Standing
) -> float:
    """Seconds that so many calls take."""
    each = {
        "REST": assumed.rest_seconds,
        "uploads": assumed.upload_seconds,
        "sockets": assumed.socket_seconds,
        "changes of jobs": assumed.stream_seconds * _batch(jobs, assumed, policy, standing),
        "sweeps": assumed.sweep_seconds,
    }
    return sum(count * each[name] for name, count in calls.items())


def _rest_calls(jobs: float, wait: float, assumed: Assumptions) -> float:
    return jobs * (assumed.rest_per_job + wait / assumed.queue_look_seconds)


def _changes(assumed: Assumptions, policy: ScalingPolicy) -> float:
    """Records of the table's stream per job."""
    written = writes_per_job(assumed.seconds_per_job, assumed.reports_per_second, policy.lease_seconds)
    return sum(written.values())


def _batch(jobs: float, assumed: Assumptions, policy: ScalingPolicy, standing: Standing) -> float:
    """Records that one call of the stream's function gets."""
    per_second = jobs * _changes(assumed, policy) / (MONTH_HOURS * 3600.0)
    found = per_second / (assumed.stream_looks * standing.stream_batches)
    return min(max(1.0, found), standing.stream_batch)
