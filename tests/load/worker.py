"""A worker whose pipeline is one stage of 50 ms: what is left is the protocol.

python -m tests.load.worker
"""

from __future__ import annotations

import time
from pathlib import Path

from gpu_container.worker import serve
from infra import telemetry
from infra.attempt import Progress
from infra.options import Options
from infra.settings import settings
from tests.cloud.stand_in import Result, quick

STAGE_SECONDS = 0.05


def brief(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """Four small files after 50 ms."""
    time.sleep(STAGE_SECONDS)
    return quick(photo, filename, options, folder, progress)


if __name__ == "__main__":
    telemetry.start(settings())
    serve(brief)
