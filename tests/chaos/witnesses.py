"""Clients that follow jobs over sockets, as `maquette submit` does, through every loss of the connection."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from infra.commands.service import Service
from infra.errors import MaquetteError


class Witnesses(threading.Thread):
    """One socket for each job; what each of them saw, in the order it came."""

    def __init__(self, url: str, socket_url: str) -> None:
        super().__init__(name="witnesses", daemon=True)
        self._service = Service(url, socket_url)
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[str, asyncio.Future[None]] = {}
        self.seen: dict[str, list[dict[str, Any]]] = {}
        self.broken: dict[str, str] = {}

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._service.__aenter__())
        self._loop.run_forever()
        self._loop.run_until_complete(self._service.__aexit__())
        self._loop.close()

    def follow(self, job_id: str) -> None:
        """Follow a job; once is enough."""
        if job_id not in self.seen:
            self.seen[job_id] = []
            self._tasks[job_id] = asyncio.run_coroutine_threadsafe(self._follow(job_id), self._loop)  # type: ignore[assignment]

    def wait(self, seconds: float) -> set[str]:
        """Jobs whose followers have not come to an end in so many seconds."""
        deadline = threading.Event()
        waited = 0.0
        while waited < seconds and not all(task.done() for task in self._tasks.values()):
            deadline.wait(0.1)
            waited += 0.1
        return {job_id for job_id, task in self._tasks.items() if not task.done()}

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join(5.0)

    async def _follow(self, job_id: str) -> None:
        try:
            async for record in self._service.snapshots(job_id):
                self.seen[job_id].append(record)
        except MaquetteError as error:
            self.broken[job_id] = f"{error.code}: {error.message}"
