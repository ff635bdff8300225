"""What happens to a deployment in its life, everything once: its roles are for the calls that this takes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from websockets.sync.client import ClientConnection, connect

from infra import tokens
from infra.dynamodb import from_dynamodb
from infra.job import OPERATOR
from infra.storage import artifact_prefix
from tests.cloud.machine import PATIENCE, wait_for
from tests.privileges.deployment import SYSTEM, WORKER, Deployment, ecs_agent
from tests.privileges.processes import start_module

PHOTO = b"no stand-in looks at it"


@dataclass(repr=False)
class Story:
    """Tells it to one deployment."""

    deployment: Deployment

    def __post_init__(self) -> None:
        endpoint = self.deployment.stack.endpoint
        self._s3, self._dynamodb = endpoint.client("s3"), endpoint.client("dynamodb")
        self._names = self.deployment.stack.created.names
        #: what no log may hold
        given = self.deployment
        self.secrets = [given.access_key, given.session_secret, *given.link_key.splitlines()[1:-1]]

    def tell(self) -> None:
        """All of it, up to the last job's removal."""
        token = self._start_a_session()
        mine, form = self._announce(token, "vase.png")
        with self._follow(token, mine) as of_mine, self._follow(token, None) as of_all:
            self._forget_a_connection(f"job#{mine}")
            self._sweep(token)
            _send(form)
            with self._worker() as worker:
                _hear(of_mine, "succeeded")
                _hear(of_all, "succeeded")
                self._look_after_the_worker()
                self._look(token, mine)
                self._fail(token)
                dropped = self._drop("dropped.png", "succeeded")
                self._drop("misunderstood.png", "failed", resolution="much")
                self._cancel(token)
                self._stop(token, worker)
        operator, _ = tokens.issue(
            OPERATOR, self.deployment.session_secret
        )  # as whoever may read the secret can
        for job_id, owner in ((mine, token), (dropped, operator)):
            assert self._ask("DELETE", f"/jobs/{job_id}", owner).status_code == 204

    def _start_a_session(self) -> str:
        refused = self._ask("POST", "/sessions", None, {"access_key": "wrong"})
        assert refused.json()["error"]["code"] == "access_key_required"
        answer = self._ask("POST", "/sessions", None, {"access_key": self.deployment.access_key})
        assert answer.status_code == 201, answer.text
        self.secrets.append(answer.json()["token"])
        return self.secrets[-1]

    def _announce(self, token: str, filename: str) -> tuple[str, dict[str, Any]]:
        answer = self._ask("POST", "/jobs", token, {"filename": filename})
        assert answer.status_code == 201, answer.text
        return answer.json()["job"]["job_id"], answer.json()["upload"]

    def _upload(self, token: str, filename: str, status: str) -> str:
        """A new job, once it has the status."""
        job_id, form = self._announce(token, filename)
        _send(form)
        self._wait(job_id, status)
        return job_id

    def _drop(self, name: str, status: str, **options: str) -> str:
        """The job of a photo in the drop folder, once it has the status."""
        key = f"inbox/{name}"
        self._s3.put_object(Bucket=self._names["UploadBucket"], Key=key, Body=PHOTO, Metadata=options)

        def look() -> str | None:
            items = self._dynamodb.scan(TableName=self._names["JobsTable"])["Items"]
            jobs = [job for job in map(from_dynamodb, items) if job["source"]["key"] == key]
            return next((job["job_id"] for job in jobs if job["status"] == status), None)

        return wait_for(look, f"{status}: {key}", 30)

    def _look(self, token: str, job_id: str) -> None:
        """Whatever may be asked about a model, by its owner and by others."""
        share = self._ask("POST", f"/jobs/{job_id}/shares", token).json()["token"]
        self.secrets.append(share)
        for who in (token, share):
            for path in ("", "/events", "/artifacts", "/artifacts/mesh.glb"):
                answer = self._ask("GET", f"/jobs/{job_id}{path}", who)
                assert answer.status_code in (200, 302), answer.text
        assert len(self._ask("GET", "/jobs", token).json()["jobs"]) > 1
        with self._follow(share, job_id):
            pass

    def _sweep(self, token: str) -> None:
        """An upload that never came, a message that was lost, and a photo that is taken away."""
        late, _ = self._announce(token, "late.png")
        lost = self._upload(token, "lost.png", "queued")
        assert self._ask("GET", f"/jobs/{lost}", token).json()["job"]["queue_position"] == 1
        gone = self._upload(token, "gone.png", "queued")
        for job_id in (late, lost):
            self._change(job_id, "sweep_at", "1")
        (schedule,) = self.deployment.stack.created.triggers.schedules
        self.deployment.functions.invoke(schedule.handler, {})
        self._wait(late, "failed")
        source = self._job(gone)["source"]
        self._s3.delete_object(Bucket=source["bucket"], Key=source["key"], VersionId=source["version"])

    def _fail(self, token: str) -> None:
        """By the photo's fault, and by the moment's, which is given another try."""
        self._upload(token, "damaged.png", "failed")
        unlucky, form = self._announce(token, "unlucky.png")
        _send(form)
        wait_for(lambda: self._job(unlucky).get("notice"), "another try", 30)

    def _cancel(self, token: str) -> None:
        """While a worker is at it and has published something."""
        job_id = self._upload(token, "slow.png", "running")
        bucket, key = self._names["ArtifactBucket"], artifact_prefix(job_id, 1) + "mesh.glb"
        self._s3.put_object(Bucket=bucket, Key=key, Body=b"glTF")
        assert self._ask("DELETE", f"/jobs/{job_id}", token).status_code == 200

        def removed() -> bool:
            return "Contents" not in self._s3.list_objects_v2(Bucket=bucket, Prefix=f"jobs/{job_id}/")

        wait_for(removed, "removal of what was published", 30)

    def _stop(self, token: str, worker: subprocess.Popen[bytes]) -> None:
        """The worker, which hands its job back."""
        job_id = self._upload(token, "slow.png", "running")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        self._wait(job_id, "queued")

    def _forget_a_connection(self, topic: str) -> None:
        """One that was lost without a word: the first frame to it finds out."""
        item = {"connection_id": {"S": "lost="}, "topic": {"S": topic}}
        self._dynamodb.put_item(TableName=self._names["ConnectionsTable"], Item=item)

    @contextlib.contextmanager
    def _follow(self, token: str, job_id: str | None) -> Iterator[ClientConnection]:
        address = f"{self.deployment.address.socket_url}?token={quote(token)}"
        # No limit to the frames that wait here: a client that reads none of them could not close either.
        with connect(address, max_queue=None) as socket:
            for frame in ({"action": "ping"}, {"action": "subscribe"} | ({"job_id": job_id} if job_id else {})):
                socket.send(json.dumps(frame))
                assert json.loads(socket.recv(30))["type"] in ("pong", "job", "subscribed")
            yield socket

    def _look_after_the_worker(self) -> None:
        """As its container's health check does."""
        assert self._start("gpu_container.health", {}).wait(30) == 0, self.deployment.log.read_text()

    @contextlib.contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[bytes]]:
        record, task = self.deployment.records[WORKER], self.deployment.stack.task_arn()
        with ecs_agent(record, task) as agent:
            process = self._start("gpu_container.worker", {"ECS_AGENT_URI": agent})
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def _start(self, module: str, more: dict[str, str]) -> subprocess.Popen[bytes]:
        given, stack = self.deployment, self.deployment.stack
        alive = {"MAQUETTE_HEALTH_FILE": str(given.folder / "alive")}
        environment = {**SYSTEM, **stack.endpoint.environment(), **stack.worker(), **alive, **more}
        return start_module(module, environment, given.records[WORKER], given.log)

    def _job(self, job_id: str) -> dict[str, Any]:
        key = {"job_id": {"S": job_id}}
        return from_dynamodb(self._dynamodb.get_item(TableName=self._names["JobsTable"], Key=key)["Item"])

    def _wait(self, job_id: str, status: str) -> None:
        def look() -> bool:
            return bool(self._job(job_id)["status"] == status)

        try:
            wait_for(look, status, 30)
        except AssertionError:
            raise AssertionError(
                f"not {status}: {self._job(job_id)}\n{self.deployment.log.read_text()}"
            ) from None

    def _change(self, job_id: str, name: str, number: str) -> None:
        self._dynamodb.update_item(
            TableName=self._names["JobsTable"],
            Key={"job_id": {"S": job_id}},
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": {"N": number}},
        )

    def _ask(self, method: str, path: str, token: str | None, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.request(method, self.deployment.address.url + path, headers=headers, json=body)


def _send(form: dict[str, Any]) -> None:
    """The photo, as a browser does."""
    httpx.post(form["url"], data=form["fields"], files={"file": PHOTO}).raise_for_status()


def _hear(socket: ClientConnection, status: str) -> None:
    while json.loads(socket.recv(PATIENCE)).get("job", {}).get("status") != status:
        pass
