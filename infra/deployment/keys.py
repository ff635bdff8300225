"""Keys that a deployment makes when asked: they go to Secrets Manager, and nowhere else.

No key is ever written to a disk, given on a command line or printed. They are not in the stack, since
CloudFormation can make a password, but no pair of keys whose public half it needs itself.

Reference: Amazon CloudFront Developer Guide, "Specify signers that can create signed URLs" (RSA, 2048 bits).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.deployment.target import Target
from infra.errors import BadConfiguration

_ACCESS_KEY_BYTES = 32
#: what CloudFront takes, and the one form that the functions read: :mod:`infra.links`
_LINK_KEY_BITS = 2048
_PEM = "-----BEGIN RSA PRIVATE KEY-----"


@dataclass(frozen=True)
class LinkKey:
    """Where the private key lies, and the public one (PEM)."""

    secret_arn: str
    public_key: str


def link_key_name(name: str) -> str:
    """The secret with the private key that signs CloudFront's links."""
    return f"{name}/link-key"


def access_key_name(name: str) -> str:
    """The secret with the key that a new session must give."""
    return f"{name}/access-key"


def link_key(target: Target) -> LinkKey:
    """The pair of keys of this deployment, made at the first call.

    Raises:
        BadConfiguration: the secret holds something else.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    arn = _keep(target, link_key_name(target.name), "Signs the links to models.", _new_private_key)
    text = target.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    try:
        private = serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # the second: it wants a password
        private = None
    # Raised out here: the cause may quote what it could not read.
    fits = isinstance(private, rsa.RSAPrivateKey) and private.key_size == _LINK_KEY_BITS
    if private is None or not fits or not text.lstrip().startswith(_PEM):
        raise BadConfiguration(
            f"The secret {link_key_name(target.name)} is no RSA private key of {_LINK_KEY_BITS} bits in PEM of "
            "PKCS #1 (BEGIN RSA PRIVATE KEY). Delete it to have one made."
        )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return LinkKey(arn, public.decode("ascii"))


def access_key(target: Target) -> str:
    """ARN of the secret with the access key, made at the first call."""
    return _keep(
        target,
        access_key_name(target.name),
        "Whoever knows this may begin a session.",
        lambda: secrets.token_urlsafe(_ACCESS_KEY_BYTES),
    )


def forget(target: Target) -> list[str]:
    """Delete both secrets, at once and for good; returns the names of those that were there."""
    manager, gone = target.client("secretsmanager"), []
    for name in (link_key_name(target.name), access_key_name(target.name)):
        if _describe(manager, name) is not None:
            manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
            gone.append(name)
    return gone


def _keep(target: Target, name: str, description: str, make: Callable[[], str]) -> str:
    manager = target.client("secretsmanager")
    found = _describe(manager, name)
    if found is None:
        return str(manager.create_secret(Name=name, Description=description, SecretString=make())["ARN"])
    if "DeletedDate" in found:  # somebody deleted it, and its days of grace are not over
        manager.restore_secret(SecretId=name)
    return str(found["ARN"])


def _describe(manager: Any, name: str) -> dict[str, Any] | None:
    try:
        return dict(manager.describe_secret(SecretId=name))
    except manager.exceptions.ResourceNotFoundException:
        return None


def _new_private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_LINK_KEY_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return pem.decode("ascii")
