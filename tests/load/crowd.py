"""Many visitors at once: each job is announced, followed by its sockets, and only then gets its photo."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
from websockets.asyncio.client import ClientConnection, connect

from infra.job import TERMINAL

#: photos on their way at a time, and sockets being opened
AT_ONCE = 16
#: seconds without any news after which those who still wait have been forgotten
PATIENCE = 60.0


@dataclass
class Crowd:
    """What the visitors saw."""

    #: seconds from the photo's departure until its job was told to be queued, by job
    queued: dict[str, float] = field(default_factory=dict)
    #: seconds from a write to the table to its frame
    frames: list[float] = field(default_factory=list)
    #: last state seen by each socket
    ends: dict[tuple[str, int], str] = field(default_factory=dict)
    #: photos and followers
    jobs: list[str] = field(default_factory=list)
    _left: dict[str, float] = field(default_factory=dict)
    _heard: float = 0.0

    async def visit(self, url: str, socket_url: str, jobs: int, sockets_each: int) -> None:
        """All of it; returns when every socket has seen its job's end, or nobody hears anything any more."""
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with httpx.AsyncClient(base_url=url, timeout=120.0, limits=limits) as client:
            session = (await client.post("/sessions")).raise_for_status().json()["token"]
            client.headers["Authorization"] = f"Bearer {session}"
            forms = await asyncio.gather(*(self._announce(client, number) for number in range(jobs)))
            address = f"{socket_url}?token={quote(session)}"
            gate = asyncio.Semaphore(AT_ONCE)
            sockets = await asyncio.gather(
                *(self._open(gate, address, job) for job in self.jobs for _ in range(sockets_each))
            )
            self._heard = time.monotonic()
            followers = [
                asyncio.create_task(
                    self._follow(socket, self.jobs[index // sockets_each], index % sockets_each)
                )
                for index, socket in enumerate(sockets)
            ]
            async with httpx.AsyncClient(timeout=120.0, limits=limits) as anyone:
                await asyncio.gather(*(self._send(anyone, job, form) for job, form in forms))
            while not all(task.done() for task in followers) and time.monotonic() - self._heard < PATIENCE:
                await asyncio.sleep(0.1)
            for task in followers:
                task.cancel()
            await asyncio.gather(*followers, return_exceptions=True)
            await asyncio.gather(*(socket.close() for socket in sockets))

    async def _announce(self, client: httpx.AsyncClient, number: int) -> tuple[str, dict[str, Any]]:
        answer = (await client.post("/jobs", json={"filename": f"{number}.png"})).raise_for_status().json()
        job_id = str(answer["job"]["job_id"])
        self.jobs.append(job_id)
        return job_id, answer["upload"]

    async def _open(self, gate: asyncio.Semaphore, address: str, job_id: str) -> ClientConnection:
        async with gate:
            socket = await connect(address, open_timeout=60)
            await socket.send(json.dumps({"action": "subscribe", "job_id": job_id}))
            json.loads(await socket.recv())  # how the job stands now
            return socket

    async def _send(self, anyone: httpx.AsyncClient, job_id: str, form: dict[str, Any]) -> None:
        self._left[job_id] = time.time()
        answer = await anyone.post(form["url"], data=form["fields"], files={"file": ("a.png", b"photo")})
        answer.raise_for_status()

    async def _follow(self, socket: ClientConnection, job_id: str, number: int) -> None:
        async for text in socket:
            now, frame = time.time(), json.loads(text)
            self._heard = time.monotonic()
            if frame.get("type") != "job":
                continue
            job = frame["job"]
            self.frames.append(now - datetime.fromisoformat(job["updated_at"]).timestamp())
            if job["status"] == "queued" and job_id not in self.queued:
                written = datetime.fromisoformat(job["updated_at"]).timestamp()
                self.queued[job_id] = written - self._left[job_id]
            self.ends[job_id, number] = job["status"]
            if job["status"] in TERMINAL:
                return
