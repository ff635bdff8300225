"""CloudFront, as far as signed links go: its check of them, and a server that gives out a bucket's objects.

The check is written from the guide and with another library than the one that signs.

Reference: Amazon CloudFront Developer Guide, "Use signed URLs".
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from infra.clients import client

#: the public halves of the trusted keys, by their id
Keys = Mapping[str, rsa.RSAPublicKey]


def admits(url: str, keys: Keys, *, now: float | None = None) -> bool:
    """Whether a distribution that trusts ``keys`` would answer a request of the whole address ``url``."""
    address, given = url.partition("?")[0], {n: v for n, (v,) in parse_qs(urlsplit(url).query).items()}
    key = keys.get(given.get("Key-Pair-Id", ""))
    if key is None or "Signature" not in given or not {"Policy", "Expires"} & given.keys():
        return False
    if "Policy" in given:
        policy = decoded(given["Policy"])
    else:
        # no blank anywhere, and the address as it was asked for
        condition = f'{{"DateLessThan":{{"AWS:EpochTime":{given["Expires"]}}}}}'
        policy = f'{{"Statement":[{{"Resource":"{address}","Condition":{condition}}}]}}'.encode()
    try:
        key.verify(decoded(given["Signature"]), policy, padding.PKCS1v15(), hashes.SHA1())
    except InvalidSignature:
        return False
    (statement,) = json.loads(policy)["Statement"]
    resource, ends = statement["Resource"], statement["Condition"]["DateLessThan"]["AWS:EpochTime"]
    fits = address.startswith(resource[:-1]) if resource.endswith("*") else address == resource
    return fits and (time.time() if now is None else now) < ends


def decoded(value: str) -> bytes:
    return base64.b64decode(value.translate(str.maketrans("-_~", "+=/")), validate=True)


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """The key in PEM of PKCS #1."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return pem.decode()


@dataclass
class Distribution:
    """Where it listens, whom to trust for that, and every ``(status, path with query)`` that it answered."""

    domain: str
    certificate: Path
    answered: list[tuple[int, str]] = field(default_factory=list)


@contextlib.contextmanager
def serving(bucket: str, keys: Keys, folder: Path) -> Iterator[Distribution]:
    """A distribution before ``bucket``, over TLS; its certificate is left in ``folder``.

    The bucket is asked as the template's behaviour and cache policy have it asked: with the path alone, so that
    no parameter of a link has a say in how a file is answered.
    """

    class Edge(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            signed = path.startswith("/jobs/") and admits(f"https://{distribution.domain}{self.path}", keys)
            s3 = client("s3")
            try:
                # Who may not list a bucket is not told what is missing there: 403 as well.
                found = s3.get_object(Bucket=bucket, Key=unquote(path[1:])) if signed else None
            except s3.exceptions.NoSuchKey:
                found = None
            body = found["Body"].read() if found else b"<Error><Code>AccessDenied</Code></Error>"
            distribution.answered.append((200 if found else 403, self.path))
            self.send_response(200 if found else 403)
            self.send_header("Content-Type", found["ContentType"] if found else "text/xml")
            if found and "ContentDisposition" in found:
                self.send_header("Content-Disposition", found["ContentDisposition"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    certificate = _self_signed(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Edge) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        distribution = Distribution(f"127.0.0.1:{server.server_port}", certificate)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield distribution
        finally:
            server.shutdown()
            thread.join()


def _self_signed(folder: Path) -> Path:
    """A certificate of this machine's own address and its key, in one file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "distribution.pem"
    path.write_bytes(private_pem(key).encode() + certificate.public_bytes(serialization.Encoding.PEM))
    return path
