"""What breaks first: every limit on the way of a photo, and how many photos a day reach it.

Loads are those of the busiest hour, of jobs that do not wait long; a burst reaches limits sooner.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from infra.artifacts import expected_names
from infra.economy.arrivals import DAY
from infra.economy.policy import ScalingPolicy, Standing
from infra.economy.scenarios import FULL, SWING
from infra.economy.usage import Assumptions, function_seconds_per_job, writes_per_job
from infra.options import Options

#: units a second that one partition writes; and the partitions that a new on-demand table begins with
_PARTITION_WRITES = 1000.0
_PARTITIONS = 4.0


@dataclass(frozen=True)
class Limit:
    """Something of which there is only so much a second (or at once), and what each job takes of it."""

    what: str
    most: float
    per_job: float
    #: who sets it: a name of the template, or AWS by default
    by: str
    lift: str

    @property
    def photos_a_day(self) -> float:
        """How many reach it in the busiest hour."""
        return self.most / self.per_job * DAY / (1 + SWING)


def limits(assumed: Assumptions, policy: ScalingPolicy, standing: Standing) -> list[Limit]:
    """Every limit, the first to be reached first."""
    return sorted(_all(assumed, policy, standing), key=lambda limit: limit.photos_a_day)


def _all(assumed: Assumptions, policy: ScalingPolicy, standing: Standing) -> Iterator[Limit]:
    written = writes_per_job(assumed.seconds_per_job, assumed.reports_per_second, policy.lease_seconds)
    changes = sum(written.values())
    minutes = assumed.visit_minutes / assumed.jobs_per_visit + assumed.seconds_per_job / 60.0
    told = 2.0 / assumed.jobs_per_visit + minutes  # subscriptions and pings that come in
    news = changes - written["heartbeat"]
    yield Limit(
        "workers",
        policy.max_workers,
        assumed.seconds_per_job / FULL,
        "`MaxWorkers`",
        "raise it; and the account's quotas for G instances, 4 vCPU each, spot and on demand apart",
    )
    yield Limit(
        "REST requests",
        standing.rest_rate,
        assumed.rest_per_job,
        "`RestApi`, `ThrottlingRateLimit`",
        "raise it (the account has 10 000); let preflights be remembered longer",
    )
    yield Limit(
        "socket messages coming in",
        standing.socket_rate,
        told,
        "`SocketStage`, `ThrottlingRateLimit`",
        "raise it (the account has 10 000); ping less often than once a minute",
    )
    yield Limit(
        "seconds of telling sockets of changes",
        _PARTITIONS * standing.stream_batches,
        changes * assumed.stream_seconds,
        "`ParallelizationFactor`, parts of the stream",
        "raise it to 10; write progress less often (`REPORT_SECONDS`)",
    )
    yield Limit(
        "index `by_owner`, all photos from the drop folder (one owner)",
        _PARTITION_WRITES,
        changes,
        "DynamoDB, a partition",
        "several owners for it, or an index that holds only the list's attributes",
    )
    yield Limit(
        "index `by_sweep`, one key per status",
        _PARTITION_WRITES,
        max(2.0, 2.0 + 2.0 * written["heartbeat"]),
        "DynamoDB, a partition",
        "a number of a few digits behind the status, and as many queries by the sweeper",
    )
    yield Limit(
        "writes of the jobs table",
        _PARTITIONS * _PARTITION_WRITES,
        changes,
        "DynamoDB, a new table",
        "it grows by itself, twofold in half an hour; warm it up before a newsletter",
    )
    yield Limit(
        "functions at once",
        1000.0,
        function_seconds_per_job(assumed, policy, standing),
        "Lambda, the account",
        "ask for more; a new account may have only 10",
    )
    yield Limit(
        "requests of the account, both APIs",
        10_000.0,
        assumed.rest_per_job + 2.0 * told + news,
        "API Gateway, the account",
        "ask for more",
    )
    yield Limit(
        "new sockets",
        500.0,
        1.0 / assumed.jobs_per_visit,
        "API Gateway, the account",
        "ask for more; pages come back with a jitter of their own",
    )
    yield Limit(
        "files put under `jobs/`",
        3500.0,
        float(len(expected_names(Options().views))),
        "S3, a prefix",
        "it parts prefixes by itself; keys begin with a random id, so it can",
    )
    yield Limit("events", 10_000.0, 1.0, "EventBridge, us-east-1", "ask for more; fewer in other regions")
    yield Limit(
        "messages in flight",
        120_000.0,
        assumed.seconds_per_job,
        "SQS, a queue",
        "a second queue; far more workers than the template allows come first",
    )
