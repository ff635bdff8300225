"""What must hold when everything has come to rest; each check answers the sentences that tell what does not."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from infra.dynamodb import from_dynamodb
from infra.job import TERMINAL, Job


def history(streams: Any, stream_arn: str) -> dict[str, list[Job]]:
    """Every state that each job was ever in, in order: the table's stream from its beginning."""
    states: dict[str, list[Job]] = defaultdict(list)
    for shard in streams.describe_stream(StreamArn=stream_arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = streams.get_records(ShardIterator=iterator, Limit=1000)
            for record in page["Records"]:
                if "NewImage" in record["dynamodb"]:
                    job = Job.from_item(from_dynamodb(record["dynamodb"]["NewImage"]))
                    states[job.job_id].append(job)
            iterator = page.get("NextShardIterator") if page["Records"] else None
    return dict(states)


def of_a_history(states: Sequence[Job]) -> Iterator[str]:
    """An ended job stays as it is; one write follows the other; nothing goes backwards; one attempt wins."""
    job_id = states[0].job_id
    for before, after in itertools.pairwise(states):
        step = f"{job_id}, write {after.seq}"
        if before.status in TERMINAL:
            yield f"{step}: {before.status} became {after.status}"
        if after.seq != before.seq + 1:
            yield f"{step}: follows write {before.seq}"
        if after.attempt < before.attempt:
            yield f"{step}: attempt {before.attempt} became {after.attempt}"
        if after.attempt > after.attempt_limit:
            yield f"{step}: attempt {after.attempt} of {after.attempt_limit}"
        if after.progress < before.progress:
            yield f"{step}: progress fell from {before.progress} to {after.progress}"
        if after.attempt > before.attempt and before.status == "running" and after.status != "running":
            yield f"{step}: attempt {after.attempt} began while it became {after.status}"
    if states[-1].status not in TERMINAL:
        yield f"{job_id}: ended as {states[-1].status}"


def story(states: Sequence[Job]) -> str:
    """Who had the job when, in seconds since it was made, for whoever looks into what did not hold."""
    changes = [states[0]]
    for state in states:
        last = changes[-1]
        if (state.status, state.attempt, state.stage) != (last.status, last.attempt, last.stage):
            changes.append(state)
    return ", ".join(
        f"{state.updated_at - states[0].created_at:.1f} s {state.status} {state.attempt} {state.stage or ''} "
        f"({state.worker or 'nobody'})"
        for state in changes
    )


def of_a_model(s3: Any, bucket: str, job: Job) -> Iterator[str]:
    """The manifest is the winner's, and every file that it lists is there, byte for byte."""
    prefix = f"jobs/{job.job_id}/{job.attempt}/"
    if job.manifest_key != f"{prefix}manifest.json":
        yield f"{job.job_id}: attempt {job.attempt} won, and the manifest is {job.manifest_key}"
        return
    files = json.loads(_read(s3, bucket, job.manifest_key))["files"]
    for file in files:
        if hashlib.sha256(_read(s3, bucket, prefix + file["name"])).hexdigest() != file["sha256"]:
            yield f"{job.job_id}: {file['name']} is not the one of the manifest"
    if not files:
        yield f"{job.job_id}: the manifest lists nothing"


def process_of(job: Job) -> int | None:
    """The process that has the job; workers' names tell."""
    return int(job.worker.rsplit("-", 2)[1]) if job.worker else None


def of_an_outcome(kind: str, states: Sequence[Job], set_aside: set[str], struck: set[int]) -> Iterator[str]:
    """Each kind of photo has its end. A good one fails only after as many attempts as it may have.

    ``struck``: processes that a fault befell. A photo that wants all memory may be given up as one that kills,
    but only where each process that had it was struck before memory ran out.
    """
    job = states[-1]
    told = f"{job.job_id} ({kind}): {job.status}, attempt {job.attempt}, {job.error}: {story(states)}"
    code = (job.error or {}).get("code")
    match kind:
        case "good":
            if job.status != "succeeded" and job.attempt < job.attempt_limit:
                yield told
        case "hungry":
            had_it = {process_of(state) for state in states} - {None}
            given_up = code == "worker_lost" and had_it <= struck
            if job.status != "failed" or not (code == "out_of_memory" or given_up):
                yield told
        case "poison":
            if (job.status, code) != ("failed", "worker_lost"):
                yield told
            if job.job_id not in set_aside:
                yield f"{told}; no message of it was set aside"


def of_the_good(jobs: Iterable[Job]) -> Iterator[str]:
    """Trouble costs time, not models: one of ten at most is given up for having met with it again and again."""
    statuses = [job.status for job in jobs]
    failed = statuses.count("failed")
    if failed > max(1, len(statuses) // 10):
        yield f"{failed} of {len(statuses)} good photos became no model"


def of_a_witness(job: Job, seen: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Whoever followed the job saw it go forward, to its end: pushed, or asked for after a silence."""
    if any(after["seq"] <= before["seq"] for before, after in itertools.pairwise(seen)):
        yield f"{job.job_id}: its follower was led back"
    if not seen or seen[-1]["status"] != job.status or seen[-1]["seq"] != job.seq:
        last = (seen[-1]["status"], seen[-1]["seq"]) if seen else None
        yield f"{job.job_id}: ended as {job.status} with write {job.seq}; its follower last saw {last}"


def messages(sqs: Any, url: str) -> set[str]:
    """Jobs that the messages of a queue speak of."""
    found: set[str] = set()
    while received := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found |= {json.loads(message["Body"])["job_id"] for message in received}
    return found


def _read(s3: Any, bucket: str, key: str) -> bytes:
    try:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return b"{}" if key.endswith(".json") else b""
