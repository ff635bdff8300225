"""The real ``buildah`` and ``podman``, where they are installed, against a registry that wants a password.

The registry is the part of the protocol that a push takes; what arrives in it is put into moto's ECR as well.
Reference: OCI Distribution Specification 1.1, "Push".
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.deployment import target, worker_image
from infra.errors import BuildFailed
from tests.deployment.conftest import REGION, STACK

TAG = "0123456789abcdef01234567"


@dataclass
class Registry:
    """What was sent; ``logins`` are the passwords with which somebody came."""

    host: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    logins: set[str] = field(default_factory=set)


def encrypted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that programs started from now on believe."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    public = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "server.pem").write_bytes(pem + public)
    (folder / "ca.pem").write_bytes(public)
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))  # Go's
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@pytest.fixture
def registry(account: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName=STACK)
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    pending: dict[str, bytes] = {}
    uploads = itertools.count()  # several at once

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def serve(self) -> None:
            body = self.body()
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            if given != token:
                return self.answer(401, WWW_Authenticate='Basic realm="registry"')
            kept.logins.add(base64.b64decode(given).decode().partition(":")[2])
            path, _, query = self.path.partition("?")
            last = path.rpartition("/")[2]
            match self.command:
                case "GET" | "HEAD":
                    there = path == "/v2/" or last in kept.blobs or last in kept.manifests
                    return self.answer(200 if there else 404)
                case "POST":
                    return self.answer(202, Location=f"/v2/{STACK}/blobs/uploads/{next(uploads)}")
                case "PATCH":
                    pending[path] = pending.get(path, b"") + body
                    return self.answer(202, Location=path, Range=f"0-{len(pending[path]) - 1}")
            content = pending.pop(path, b"") + body
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            if "/blobs/" in path:
                assert query == f"digest={digest.replace(':', '%3A')}"
                kept.blobs[digest] = content
            else:
                kept.manifests[last] = content
                ecr.put_image(repositoryName=STACK, imageTag=last, imageManifest=content.decode())
            return self.answer(201, Docker_Content_Digest=digest)

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "HEAD", "POST", "PATCH", "PUT"):
        setattr(Handler, f"do_{method}", Handler.serve)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = encrypted(tmp_path, monkeypatch).wrap_socket(server.socket, server_side=True)
        kept = Registry(f"127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


@pytest.fixture(params=["buildah", "podman"])
def builder(
    request: pytest.FixtureRequest, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A builder with storage, settings and logins of its own."""
    found = shutil.which(request.param)
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    storage = f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n'
    (tmp_path / "storage.conf").write_text(storage)
    for name, value in {
        "CONTAINERS_STORAGE_CONF": tmp_path / "storage.conf",
        "REGISTRY_AUTH_FILE": tmp_path / "auth.json",
        "BUILDAH_ISOLATION": "chroot",
    }.items():
        monkeypatch.setenv(name, str(value))
    if subprocess.run([found, "info"], capture_output=True).returncode != 0:
        pytest.skip(f"{request.param} does not work on this machine")
    return found


def test_an_image_is_built_sent_with_a_login_and_no_login_is_left(
    builder: str, registry: Registry, tmp_path: Path
) -> None:
    root, models = tmp_path / "checkout", tmp_path / "models"
    (root / "gpu_container").mkdir(parents=True)
    (root / "gpu_container" / "Dockerfile").write_text(
        "ARG WEIGHTS=all\nFROM scratch AS models\nFROM scratch\nARG WEIGHTS\n"
        "COPY gpu_container/worker.py /worker.py\nCOPY --from=models / /models/\nLABEL weights=${WEIGHTS}\n"
    )
    (root / "gpu_container" / "worker.py").write_text("print('work')\n")
    models.mkdir()
    (models / "u2net.onnx").write_bytes(b"onnx")
    where = target.find(STACK, region=REGION, profile=None)

    worker_image.build(builder, root, "atelier-worker:local", {"WEIGHTS": "u2net"}, models)
    worker_image.push(where, builder, "atelier-worker:local", f"{registry.host}/{STACK}", TAG)

    manifest = json.loads(registry.manifests[TAG])
    config = json.loads(registry.blobs[manifest["config"]["digest"]])
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["config"]["Labels"]["weights"] == "u2net"
    assert all(layer["digest"] in registry.blobs for layer in manifest["layers"])
    assert len(registry.logins) == 1
    logins = tmp_path / "auth.json"
    assert not logins.exists() or not json.loads(logins.read_text()).get("auths")


def test_what_does_not_arrive_is_an_error(builder: str, registry: Registry) -> None:
    where = target.find(STACK, region=REGION, profile=None)
    with pytest.raises(BuildFailed, match="tag' ended with status"):
        worker_image.push(where, builder, "never-built:local", f"{registry.host}/{STACK}", TAG)
