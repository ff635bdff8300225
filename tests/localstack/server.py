"""LocalStack as a process: S3 and SQS that enforce what moto only pretends to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

#: environment variable with the address of one that runs already, such as compose.yaml's
RUNNING = "LOCALSTACK_URL"
#: where ``make test-localstack`` puts it
PYTHON = Path(__file__).parents[2] / "build" / "localstack" / "bin" / "python"
START_SECONDS = 90.0
#: how it is to be, wherever it runs
ENVIRONMENT = {
    "SERVICES": "s3,sqs",
    "EAGER_SERVICE_LOADING": "1",
    "S3_SKIP_SIGNATURE_VALIDATION": "0",  # else every signature is good
    "DISABLE_EVENTS": "1",
}


@contextmanager
def localstack(folder: Path) -> Iterator[str]:
    """A running server with its files in ``folder``; its address."""
    port = _free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= ENVIRONMENT | {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        "LOCALSTACK_DATA_DIR": str(folder / "data"),
        "FILESYSTEM_ROOT": str(folder / "filesystem"),
    }
    log = folder / "localstack.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PYTHON, "-m", "localstack.runtime.main"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process, log)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            services = httpx.get(f"{url}/_localstack/health", timeout=5.0).json()["services"]
        except httpx.TransportError:
            services = {}
        if services.get("s3") == services.get("sqs") == "running":
            return
        time.sleep(0.2)
    raise AssertionError(f"LocalStack did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _free_port() -> int:
    # LocalStack cannot choose one itself; in the moment between, another process might take it.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
