"""A client of the service: REST with httpx, snapshots over the WebSocket. Knows nothing of where it runs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from infra.errors import DownloadCorrupt, InternalError, MaquetteError, NotRunning
from infra.job import TERMINAL

#: seconds of silence after which a fresh snapshot is asked for; also keeps the connection from being idle
SILENCE_SECONDS = 20.0
#: seconds: first and longest pause before connecting again, and how long without a connection is too long
FIRST_PAUSE, LONGEST_PAUSE, LOST_SECONDS = 0.2, 5.0, 60.0


class Service:
    """The service at ``url``; every call may raise what the service answers, as the error it names."""

    def __init__(self, url: str, socket_url: str, access_key: str | None = None) -> None:
        self._socket_url = socket_url
        self._invitation = {"access_key": access_key} if access_key else {}
        self._http = httpx.AsyncClient(base_url=url, timeout=60.0)
        self._token = ""

    async def __aenter__(self) -> Service:
        self._token = (await self._call("POST", "/sessions", json=self._invitation))["token"]
        self._http.headers["Authorization"] = f"Bearer {self._token}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def create_job(self, photo: Path, options: Mapping[str, Any]) -> str:
        """Announce a photo and upload it; its job id."""
        answer = await self._call("POST", "/jobs", json={"filename": photo.name, "options": dict(options)})
        form = answer["upload"]
        async with httpx.AsyncClient(timeout=120.0) as anyone:  # the form is all the permission there is
            files = {"file": (photo.name, photo.read_bytes())}
            response = await anyone.post(form["url"], data=form["fields"], files=files)
        if response.is_error:
            raise InternalError(
                f"The storage refused {photo.name}: {response.status_code} {response.text[:200]}"
            )
        return str(answer["job"]["job_id"])

    async def snapshots(self, job_id: str) -> AsyncIterator[dict[str, Any]]:
        """The job's public record whenever it changes, ``seq`` rising, until it has ended.

        Connects again when the connection is lost; raises :class:`infra.errors.NotRunning` when that is in
        vain.
        """
        seen, pause, last_heard = 0, FIRST_PAUSE, time.monotonic()
        while True:
            try:
                async with aclosing(
                    self._listen(job_id)
                ) as heard:  # closes the socket when we have heard enough
                    async for job in heard:
                        pause, last_heard = FIRST_PAUSE, time.monotonic()
                        if job["seq"] > seen:
                            seen = job["seq"]
                            yield job
                        if job["status"] in TERMINAL:
                            return
            except InvalidStatus as refusal:
                if refusal.response.status_code < 500:
                    raise InternalError(f"The socket refused this session ({refusal}).") from refusal
            except (OSError, ConnectionClosed, InvalidHandshake):
                if time.monotonic() - last_heard > LOST_SECONDS:
                    raise NotRunning("The connection was lost and does not come back.") from None
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _listen(self, job_id: str) -> AsyncGenerator[dict[str, Any], None]:
        subscription = json.dumps({"action": "subscribe", "job_id": job_id})
        async with connect(f"{self._socket_url}?token={quote(self._token)}") as socket:
            while True:
                await socket.send(subscription)
                try:
                    while True:
                        frame = json.loads(await asyncio.wait_for(socket.recv(), SILENCE_SECONDS))
                        if frame.get("type") == "error":
                            raise error_named(frame["error"])
                        if frame.get("type") == "job":
                            yield frame["job"]
                except TimeoutError:
                    continue

    async def download(self, job_id: str, folder: Path) -> list[Path]:
        """Every file of a succeeded job, sorted, in ``folder``; each held against the manifest's SHA-256."""
        artifacts = (await self._call("GET", f"/jobs/{job_id}/artifacts"))["artifacts"]
        folder.mkdir(parents=True, exist_ok=True)
        names = [PurePath(artifact["name"]).name for artifact in artifacts]
        gate = asyncio.Semaphore(4)

        async def fetch(name: str, url: str) -> str:
            async with gate, httpx.AsyncClient(timeout=120.0) as anyone, anyone.stream("GET", url) as response:
                if response.is_error:
                    raise InternalError(f"The storage refused {name}: {response.status_code}.")
                return await _save(response, folder / name)

        links = [artifact["url"] for artifact in artifacts]
        hashes = dict(zip(names, await asyncio.gather(*map(fetch, names, links)), strict=True))
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for entry in manifest["files"]:
            if hashes.get(entry["name"]) != entry["sha256"]:
                raise DownloadCorrupt(f"{entry['name']} of job {job_id} did not arrive as it was made.")
        return [folder / name for name in sorted(names)]

    async def _call(self, method: str, path: str, **parts: Any) -> dict[str, Any]:
        try:
            response = await self._http.request(method, path, **parts)
        except httpx.TransportError as error:
            raise NotRunning(f"Nothing answers at {self._http.base_url} ({error}).") from error
        answer = response.json() if "json" in response.headers.get("content-type", "") else {}
        if response.is_error:
            raise error_named(answer.get("error") or {"message": f"{method} {path}: {response.status_code}"})
        return dict(answer)


async def _save(response: httpx.Response, path: Path) -> str:
    """Write the body; its SHA-256."""
    digest, part = hashlib.sha256(), path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        async for chunk in response.aiter_bytes():
            digest.update(chunk)
            file.write(chunk)
    part.replace(path)
    return digest.hexdigest()


def error_named(given: dict[str, str]) -> MaquetteError:
    """The error of our tree with the given code; an unknown code becomes an internal error."""
    pending: list[type[MaquetteError]] = [MaquetteError]
    while pending:
        kind = pending.pop()
        if kind.code == given.get("code"):
            return kind(given.get("message", ""))
        pending.extend(kind.__subclasses__())
    return InternalError(given.get("message", "The service gave no reason."))
