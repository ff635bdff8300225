"""A whole story on the local cloud, in real processes; then every line that any of them wrote is searched for
whatever opens something: tokens, keys, signatures, links."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.access.test_tokens import FORGED
from tests.cloud.machine import PATIENCE, QUICK, Machine, machine, photo_of_a_vase, wait_for

ACCESS_KEY = "a key for friends of the house"
#: what opens something, whoever wrote it
OPENS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}\."
    r"|X-Amz-(?:Signature|Credential|Security-Token)=(?!\*\*\*)"
    r"|(?:Signature|Policy|token)=[\w~-]{20,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|PRIVATE KEY"
    r"|[Bb]earer\s+[\w.-]{8,}"
)


@dataclass
class Told:
    """What the story has left in the logs, by file, and what must not be in them."""

    logs: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def keep(self, name: str, secret: str) -> str:
        self.secrets[name] = secret
        return secret


def tell(cloud: Machine, folder: Path, told: Told) -> None:
    url, environment = cloud.running.url, cloud.running.environment
    told.keep("the key that signs sessions", environment["MAQUETTE_SESSION_SECRET"])
    told.keep("the access key", ACCESS_KEY)
    with httpx.Client(base_url=url, timeout=60.0) as http:

        def ask(method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return http.request(method, path, headers=headers, **more)

        def upload(name: str, body: bytes) -> str:
            answer = ask("POST", "/jobs", session, json={"filename": name, "options": QUICK}).json()
            form = answer["upload"]
            for part in ("policy", "x-amz-signature"):
                told.keep(f"the {part} of the form for {name}", form["fields"][part])
            httpx.post(form["url"], data=form["fields"], files={"file": (name, body)}).raise_for_status()
            return str(answer["job"]["job_id"])

        # sessions, wanted and not
        for body in ({"access_key": ACCESS_KEY + "?"}, {"access_key": ACCESS_KEY, "key": ACCESS_KEY}, {}):
            assert ask("POST", "/sessions", json=body).status_code in (400, 401)
        ask("POST", "/sessions", content='{"access_key": "' + ACCESS_KEY)
        answer = ask("POST", "/sessions", json={"access_key": ACCESS_KEY})
        session = told.keep("the session", answer.json()["token"])

        # a photo, watched until it is a model, and what is no photo
        job_id = upload("vase.png", photo_of_a_vase(folder / "vase.png").read_bytes())
        damaged = upload("damaged.png", b"\x89PNG\r\n\x1a\n" + b"?" * 200)
        with connect(f"{cloud.running.socket_url}?token={quote(session)}") as socket:
            for frame in (
                {"action": "subscribe", "job_id": session},
                {"action": "subscribe", "job_id": job_id},
            ):
                socket.send(json.dumps(frame | {"token": session}))
            wait_for(
                lambda: json.loads(socket.recv(PATIENCE)).get("job", {}).get("status") == "succeeded", "a model"
            )
        wait_for(
            lambda: ask("GET", f"/jobs/{damaged}", session).json()["job"]["status"] == "failed", "a failure"
        )

        # its files, by the owner and a guest
        guest = told.keep("the share", ask("POST", f"/jobs/{job_id}/shares", session).json()["token"])
        for who in (session, guest):
            assert ask("GET", f"/jobs/{job_id}/events", params={"token": who}).status_code == 200
            files = ask("GET", f"/jobs/{job_id}/artifacts", who).json()["artifacts"]
            links = [file["url"] for file in files] + [
                ask("GET", f"/jobs/{job_id}/artifacts/mesh.glb", who).json()["url"]
            ]
            links.append(ask("GET", f"/jobs/{job_id}", who).json()["job"]["poster_url"])
            for number, link in enumerate(links):
                (signature,) = parse_qs(urlsplit(link).query)["X-Amz-Signature"]
                told.keep(f"signature {number} for {who[-4:]}", signature)
                assert httpx.get(link).status_code == 200
            httpx.get(links[0].replace("mesh", "missing") + "&more=1")
        with connect(f"{cloud.running.socket_url}?token={quote(guest)}") as socket:
            socket.send(json.dumps({"action": "subscribe", "job_id": damaged}))
            assert json.loads(socket.recv(PATIENCE))["type"] == "error"
        assert ask("DELETE", f"/jobs/{job_id}/shares", session).status_code == 204
        assert ask("GET", f"/jobs/{job_id}", guest).status_code == 404

        # tokens that do not hold, and good ones where they do not belong
        for kind in ("another key", "past its end", "alg none", "of another issuer", "for nobody"):
            bad = told.keep(kind, FORGED[kind])
            assert ask("GET", "/jobs", bad).status_code == 401
            assert ask("GET", f"/jobs/{job_id}/events", params={"token": bad}).status_code == 401
            with pytest.raises(InvalidStatus), connect(f"{cloud.running.socket_url}?token={quote(bad)}"):
                pass
        for path in (
            f"/jobs/{session}",
            f"/jobs/{job_id}/artifacts/{session}",
            f"/{session}",
            f"/?token={session}",
        ):
            ask("GET", path, session)
        ask("POST", "/jobs", session, json={"filename": f"{session}.png", session: session})
        ask("GET", "/jobs", session, params={"cursor": session, "token": session})

        # a defect: the trace quotes what was asked for
        bucket = environment["MAQUETTE_ARTIFACT_BUCKET"]
        key = cloud.job(f"uploads/{job_id}/vase.png").manifest_key
        cloud.client("s3").delete_object(Bucket=bucket, Key=key)
        assert ask("GET", f"/jobs/{job_id}/artifacts", session).status_code == 500
        assert ask("DELETE", f"/jobs/{job_id}", session).status_code == 204


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder, found = tmp_path_factory.mktemp("told"), Told()
    data = folder / "data"
    given = {"MAQUETTE_LOG": "json", "MAQUETTE_DEPLOYMENT": "mine", "MAQUETTE_ACCESS_KEY": ACCESS_KEY}
    with machine(data, **given) as cloud:
        tell(cloud, folder, found)
        modes = {path: path.stat().st_mode for path in data.rglob("*") if path.is_file()}
        holders = [
            path for path in modes if found.secrets["the key that signs sessions"].encode() in path.read_bytes()
        ]
        assert holders
        assert [path for path in holders if modes[path] & (stat.S_IRWXG | stat.S_IRWXO)] == []
    found.logs = {path.name: path.read_text(errors="replace") for path in (data / "logs").iterdir()}
    found.logs["standard output"] = cloud.output.read_text(errors="replace")
    return found


def test_every_process_has_told_its_part(told: Told) -> None:
    assert {"cloud.log", "moto.log", "worker-1.log"} <= set(told.logs)
    cloud, worker = told.logs["cloud.log"], told.logs["worker-1.log"]
    for status in (200, 201, 204, 302, 400, 401, 404, 500):
        assert f": {status}" in cloud
    assert "a connection was refused: its token does not hold" in cloud
    assert "NoSuchKey" in cloud
    lines = [json.loads(line) for line in worker.splitlines()]
    assert {line["service"] for line in lines} == {"mine"}, "JSON is the workers' form, where it is asked for"
    assert [line for line in cloud.splitlines() if line.startswith("{")] == [], "and the cloud's own stays text"
    said = [str(line.get("message")).partition(":")[0] for line in lines]
    assert said.count("claimed") == 2
    assert {"succeeded", "corrupt_image"} <= set(said)
    assert '"GET /maquette-artifact' in told.logs["moto.log"]


def test_no_line_holds_what_was_secret(told: Told) -> None:
    assert len(told.secrets) > 30
    found = {
        (name, log)
        for name, secret in told.secrets.items()
        for log, text in told.logs.items()
        for part in {secret, quote(secret, safe=""), secret.rpartition(".")[2] or secret}
        if part in text
    }
    assert found == set()


def test_no_line_looks_like_a_secret(told: Told) -> None:
    assert {log: OPENS.findall(text)[:3] for log, text in told.logs.items() if OPENS.search(text)} == {}


def test_the_search_finds_what_opens_something() -> None:
    for secret in (
        FORGED["another key"],
        "https://b.s3.amazonaws.com/k?X-Amz-Signature=0a1b",
        "https://d.cloudfront.net/k?Expires=1&Signature=" + "a~b-" * 8,
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "Authorization: Bearer abcdefgh12",
    ):
        assert OPENS.search(secret)
