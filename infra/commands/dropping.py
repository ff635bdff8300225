"""The drop folder, from the side of who drops: put a photo there and find the job that came of it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import listing, storage
from infra.clients import client
from infra.errors import InternalError
from infra.job import OPERATOR
from infra.jobs import JobTable
from infra.local.endpoint import adopt
from infra.settings import Settings

#: seconds until a dropped photo must have become a job, and between two looks
APPEAR_SECONDS, LOOK_SECONDS = 60.0, 0.1
#: of the newest jobs, how many are looked through
LOOK_BACK = 100


class DropFolder:
    """The drop folder of the cloud whose ``environment`` is given; this process becomes its operator."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        adopt(environment)  # the clients of infra look there
        self._settings = Settings(environment)

    async def drop(self, photo: Path, options: Mapping[str, Any]) -> str:
        """Put the photo into the folder; the id of the job that came of it."""
        # A folder of its own: the key is how its job will be known.
        key = f"{storage.INBOX}{uuid.uuid4().hex}/{storage.safe_filename(photo.name)}"
        await asyncio.to_thread(self._put, key, photo, options)
        deadline = time.monotonic() + APPEAR_SECONDS
        while time.monotonic() < deadline:
            job_id = await asyncio.to_thread(self._job_of, key)
            if job_id is not None:
                return job_id
            await asyncio.sleep(LOOK_SECONDS)
        raise InternalError(
            f"{photo.name} lies in the drop folder, but no job came of it in {APPEAR_SECONDS:.0f} s. "
            "The log cloud.log says why."
        )

    def _put(self, key: str, photo: Path, options: Mapping[str, Any]) -> None:
        client("s3").put_object(
            Bucket=self._settings.upload_bucket,
            Key=key,
            Body=photo.read_bytes(),
            Metadata={name: str(value) for name, value in options.items()},
        )

    def _job_of(self, key: str) -> str | None:
        page = listing.owned(JobTable(self._settings.jobs_table), OPERATOR, limit=LOOK_BACK)
        return next((job.job_id for job in page.jobs if job.source.key == key), None)
