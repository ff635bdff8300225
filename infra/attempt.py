"""One attempt at one job, in a thread of its own: photo → pipeline → artifacts in the bucket.

It writes nothing to the table but progress; the verdict is its holder's (:mod:`gpu_container.worker`). What the
pipeline does is none of this module's business.
"""

from __future__ import annotations

import contextvars
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from infra import storage, telemetry
from infra.errors import InternalError, JobCanceled, StaleAttempt
from infra.job import Job
from infra.jobs import JobTable
from infra.options import Options
from infra.stages import overall_progress

log = logging.getLogger(__name__)

#: Progress within one stage is written this often at most, seconds; a new stage always is.
REPORT_SECONDS = 0.25
_UPLOADS_AT_ONCE = 8


class PipelineResult(Protocol):
    """What the worker needs of :class:`gpu_container.pipeline.Result`."""

    @property
    def files(self) -> list[Path]:
        """Every artifact."""

    @property
    def manifest(self) -> Path:
        """One of them, published last."""

    @property
    def timings(self) -> dict[str, float]:
        """Seconds per stage."""

    @property
    def engine(self) -> str:
        """The engine that was taken."""


Progress: TypeAlias = Callable[[str, float], None]
#: photo, file name, options, folder for the results, progress callback
Pipeline: TypeAlias = Callable[[bytes, str, Options, Path, Progress], PipelineResult]


class Abandoned(BaseException):
    """Thrown into an attempt that was given up; no ``except Exception`` on its way may hold it."""


@dataclass(frozen=True)
class Published:
    """What a finished attempt has put in place, ready for the one write that makes the job succeeded."""

    manifest_key: str
    engine: str
    timings: dict[str, float]


class Attempt(threading.Thread):
    """The attempt ``job`` was claimed for. Start it, wait for :attr:`finished`, ask for :meth:`outcome`."""

    def __init__(self, job: Job, pipeline: Pipeline, table: JobTable, artifact_bucket: str) -> None:
        super().__init__(name=f"attempt-{job.job_id}", daemon=True)
        self.job = job
        self.finished = threading.Event()
        self._published: Published | None = None
        self._error: BaseException | None = None
        self._abandoned = threading.Event()
        self._folder = Path(tempfile.mkdtemp(prefix="maquette-"))
        self._pipeline = pipeline
        self._table = table
        self._bucket = artifact_bucket
        self._context = contextvars.copy_context()  # what is logged in the thread tells of the same job
        self._telling = ExitStack()
        self.stage: str | None = None
        self._progress = job.progress
        self._reported_at = 0.0

    def run(self) -> None:
        """The thread's body."""
        try:
            self._published = self._context.run(self._work, self._folder)
        except BaseException as error:  # noqa: BLE001  outcome() raises it again
            self._error = error
        finally:
            self._tidy()
            self.finished.set()

    def outcome(self) -> Published:
        """What a finished attempt has published; raises whatever ended it instead."""
        if self._error is not None:
            raise self._error
        if self._published is None:
            raise InternalError("The attempt has not finished.")
        return self._published

    def abandon(self, patience: float) -> bool:
        """Give it up: its next report throws. False when it has not ended ``patience`` seconds later."""
        self._abandoned.set()
        if self.finished.wait(patience):
            self._error = None  # its traceback holds all that a broken stage had in hand
            return True
        self._tidy()  # the process is about to end without asking it
        return False

    def _tidy(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _work(self, folder: Path) -> Published:
        with self._telling:
            self._report("decode", 0.0)
            photo = storage.read_photo(self.job.source)
            options = Options.parse(self.job.options)
            result = self._pipeline(photo, self.job.source.filename, options, folder, self._report)
            started = time.perf_counter()
            manifest_key = self._publish(result)
            timings = {**result.timings, "upload": round(time.perf_counter() - started, 3)}
            return Published(manifest_key, result.engine, timings)

    def _publish(self, result: PipelineResult) -> str:
        """Every file under this attempt's own prefix; the manifest last, so a folder with one is whole."""
        prefix = storage.artifact_prefix(self.job.job_id, self.job.attempt)
        files = [path for path in result.files if path != result.manifest]
        with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
            uploads = [
                pool.submit(storage.write_artifact, self._bucket, prefix + path.name, path) for path in files
            ]
            for done, upload in enumerate(uploads):
                upload.result()
                self._report("upload", done / len(files))
        storage.write_artifact(self._bucket, prefix + result.manifest.name, result.manifest)
        return prefix + result.manifest.name

    def _report(self, stage: str, fraction: float) -> None:
        if self._abandoned.is_set():
            raise Abandoned
        now = time.monotonic()
        if stage == self.stage and now - self._reported_at < REPORT_SECONDS:
            return
        if stage != self.stage:
            self._telling.close()
            self._telling.enter_context(telemetry.about(stage=stage))
        self.stage, self._reported_at = stage, now
        # An attempt that follows another starts below where that one stood, but progress never falls.
        self._progress = max(self._progress, overall_progress(stage, fraction))
        try:
            self._table.report(self.job, stage, self._progress)
        except (StaleAttempt, JobCanceled):
            raise
        except Exception:
            # News, not truth: an attempt is not broken off because one of these did not get through.
            log.exception("progress was not written")
