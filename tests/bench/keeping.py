"""What keeping costs on one machine: a model's files and its record's writes, and the start with many models.

python -m tests.bench.keeping FOLDER     a folder of artifacts, such as one that `maquette run` has left
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from infra.local.endpoint import Endpoint
from infra.local.moto import MotoServer

MODELS, RUNS = 200, 5
#: writes to the record of a job that takes five seconds, about
WRITES = 16


def main(artifacts: Path) -> None:
    """Print medians of both ways, then the seconds of a start."""
    for kept in (False, True):
        folder = Path(tempfile.mkdtemp())
        try:
            with MotoServer(keep=folder if kept else None) as server:
                prepare(server)
                seconds = statistics.median(store(server, artifacts, run) for run in range(RUNS))
            print(f"{'kept' if kept else 'in memory'}: {seconds:.2f} s a model")
        finally:
            shutil.rmtree(folder)
    folder = Path(tempfile.mkdtemp())
    try:
        with MotoServer(keep=folder) as server:
            prepare(server)
            for number in range(MODELS):
                store(server, artifacts, number)
            print(f"memory with {MODELS} models: {resident(server.pid):.0f} MB")
        began = time.perf_counter()
        with MotoServer(keep=folder) as server:
            started = time.perf_counter()
            prepare(server)
            print(f"start: {started - began:.2f} s, {time.perf_counter() - started:.2f} s of reading")
            print(f"memory after it: {resident(server.pid):.0f} MB")
    finally:
        shutil.rmtree(folder)


def prepare(server: MotoServer) -> None:
    """A bucket and a table."""
    client(server, "s3").create_bucket(Bucket="models")
    client(server, "dynamodb").create_table(
        TableName="jobs",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


def store(server: MotoServer, artifacts: Path, number: int) -> float:
    """Seconds for one model's files and the writes of its record."""
    s3, dynamodb = client(server, "s3"), client(server, "dynamodb")
    began = time.perf_counter()
    for write in range(WRITES):
        item = {"id": {"S": str(number)}, "seq": {"N": str(write)}, "text": {"S": "x" * 1000}}
        dynamodb.put_item(TableName="jobs", Item=item)
    for path in sorted(artifacts.iterdir()):
        s3.put_object(Bucket="models", Key=f"jobs/{number}/1/{path.name}", Body=path.read_bytes())
    return time.perf_counter() - began


def client(server: MotoServer, service: str) -> Any:
    """A client of the server."""
    return Endpoint(server.endpoint_url).client(service)


def resident(pid: int) -> float:
    """Megabytes of memory that a process has now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
