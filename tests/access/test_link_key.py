"""The secret that signs links to models is a key that CloudFront takes and functions read, or is refused."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import rsa as signing
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from infra.clients import client
from infra.deployment import keys
from infra.deployment.target import Target
from infra.errors import BadConfiguration
from tests.cloud.conftest import Cloud


@dataclass(frozen=True)
class Place:
    """A deployment's account, as far as its secrets go."""

    name: str = field(default_factory=lambda: f"studio-{uuid.uuid4().hex[:8]}")

    def client(self, service: str) -> Any:
        return client(service)

    def keep(self, secret: str) -> None:
        self.client("secretsmanager").create_secret(Name=keys.link_key_name(self.name), SecretString=secret)

    def link_key(self) -> keys.LinkKey:
        return keys.link_key(cast(Target, self))


def pem(key: Any, form: PrivateFormat = PrivateFormat.TraditionalOpenSSL, password: bytes | None = None) -> str:
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    return str(key.private_bytes(Encoding.PEM, form, lock).decode())


def unfit() -> dict[str, str]:
    good = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = good.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {
        "nothing": " ",
        "a word": "do not show this",
        "its public half": public,
        "half of it": pem(good)[:800],
        "its middle changed": pem(good).replace(pem(good)[600:640], "A" * 40),
        "in the form that the functions do not read": pem(good, PrivateFormat.PKCS8),
        "locked": pem(good, password=b"password"),
        "too short": pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        "longer than CloudFront takes": pem(rsa.generate_private_key(public_exponent=65537, key_size=3072)),
        "of another curve": pem(ec.generate_private_key(ec.SECP256R1())),
        "of Edwards's": pem(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8),
        "of DSA": pem(dsa.generate_private_key(1024)),
    }


def test_a_secret_that_is_no_such_key_is_refused_and_not_shown(cloud: Cloud) -> None:
    for kind, secret in unfit().items():
        place = Place()
        place.keep(secret)
        with pytest.raises(BadConfiguration) as refused:
            place.link_key()
        said = str(refused.value)
        assert keys.link_key_name(place.name) in said, kind
        assert refused.value.__cause__ is refused.value.__context__ is None, kind
        assert not [line for line in secret.splitlines() if line.strip() and line in said], kind


def test_what_is_made_is_taken_and_read(cloud: Cloud) -> None:
    place = Place()
    made = place.link_key()
    assert place.link_key() == made
    secret = client("secretsmanager").get_secret_value(SecretId=made.secret_arn)["SecretString"]
    private, public = (
        signing.PrivateKey.load_pkcs1(secret.encode()),
        load_pem_public_key(made.public_key.encode()),
    )
    assert isinstance(public, rsa.RSAPublicKey)
    assert (public.key_size, public.public_numbers().n) == (2048, private.n)
