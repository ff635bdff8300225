"""Links to results: what CloudFront would give out for them, and what not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from infra import links, storage, tokens
from infra.errors import BadConfiguration
from infra.settings import Settings
from tests import distribution

DOMAIN, KEY_ID, SECRET_ARN = (
    "d111abc.cloudfront.net",
    "K2JCJMDEHXQW5F",
    "arn:aws:secretsmanager:eu-west-1:1:secret:x",
)
PREFIX = "jobs/0b9d/1/"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def deployment(key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a deployment whose secret is at hand."""
    pem = distribution.private_pem(key)
    monkeypatch.setattr(tokens, "stored_secret", lambda arn: pem if arn == SECRET_ARN else "")
    links._private_key.cache_clear()
    yield Settings(
        {
            "MAQUETTE_ARTIFACT_BUCKET": "models",
            "MAQUETTE_LINK_DOMAIN": DOMAIN,
            "MAQUETTE_LINK_KEY_ID": KEY_ID,
            "MAQUETTE_LINK_SECRET_ARN": SECRET_ARN,
        }
    )
    links._private_key.cache_clear()


def admits(url: str, key: rsa.RSAPrivateKey, *, now: float | None = None) -> bool:
    """Whether a distribution that trusts the key would answer the request."""
    return distribution.admits(url, {KEY_ID: key.public_key()}, now=now)


def test_a_link_to_a_file_opens_it_and_nothing_else(deployment: Settings, key: rsa.RSAPrivateKey) -> None:
    url = links.to_file(deployment, PREFIX + "mesh.glb")
    assert url.startswith(f"https://{DOMAIN}/{PREFIX}mesh.glb?Expires=")
    assert admits(url, key)
    for other in ("jobs/0b9d/1/mesh.obj", "jobs/0b9d/2/mesh.glb", "jobs/f00d/1/mesh.glb", "index.html"):
        assert not admits(url.replace(PREFIX + "mesh.glb", other), key)


def test_links_to_a_jobs_files_open_those_and_no_other_jobs(
    deployment: Settings, key: rsa.RSAPrivateKey
) -> None:
    names = ["mesh.glb", "render_000.png", "manifest.json"]
    urls = links.to_files(deployment, PREFIX, names)
    assert [urlsplit(url).path for url in urls] == [f"/{PREFIX}{name}" for name in names]
    assert all(admits(url, key) for url in urls)
    for other in (
        "jobs/0b9d/2/mesh.glb",
        "jobs/0b9d/10/mesh.glb",
        "jobs/f00d/1/mesh.glb",
        "jobs/",
        "index.html",
    ):
        assert not admits(urls[0].replace(PREFIX + "mesh.glb", other), key)


def test_links_end_after_a_quarter_of_an_hour(deployment: Settings, key: rsa.RSAPrivateKey) -> None:
    for url in (
        links.to_file(deployment, PREFIX + "mesh.glb"),
        *links.to_files(deployment, PREFIX, ["mesh.obj"]),
    ):
        assert admits(url, key, now=time.time() + storage.DOWNLOAD_LINK_SECONDS - 5)
        assert not admits(url, key, now=time.time() + storage.DOWNLOAD_LINK_SECONDS)


def test_a_link_cannot_be_prolonged_or_signed_by_somebody_else(
    deployment: Settings, key: rsa.RSAPrivateKey
) -> None:
    url = links.to_file(deployment, PREFIX + "mesh.glb")
    ends = parse_qs(urlsplit(url).query)["Expires"][0]
    assert not admits(url.replace(ends, str(int(ends) + 3600)), key)
    assert not admits(url.replace(KEY_ID, "K0"), key)
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert not admits(url, stranger)


def test_links_hold_nothing_that_an_address_would_need_to_escape(deployment: Settings) -> None:
    for url in (
        links.to_file(deployment, PREFIX + "mesh.glb"),
        *links.to_files(deployment, PREFIX, ["mesh.obj"]),
    ):
        assert set("+/= ").isdisjoint(
            "".join(v for part in urlsplit(url).query.split("&") for v in part.split("=", 1)[1:])
        )


def test_a_list_of_files_takes_one_signature(deployment: Settings) -> None:
    queries = {
        urlsplit(url).query
        for url in links.to_files(deployment, PREFIX, [f"render_{i:03d}.png" for i in range(30)])
    }
    assert len(queries) == 1


VARIABLES = {
    "MAQUETTE_LINK_DOMAIN": DOMAIN,
    "MAQUETTE_LINK_KEY_ID": KEY_ID,
    "MAQUETTE_LINK_SECRET_ARN": SECRET_ARN,
}


@pytest.mark.parametrize("missing", VARIABLES)
def test_a_part_of_a_key_for_links_is_told_at_once(missing: str) -> None:
    for environment in (VARIABLES | {missing: ""}, {n: v for n, v in VARIABLES.items() if n != missing}):
        with pytest.raises(BadConfiguration, match=missing):
            _ = Settings(environment).link_key
    alone = {missing: VARIABLES[missing]}
    with pytest.raises(BadConfiguration):
        _ = Settings(alone).link_key


def test_without_a_key_for_links_there_is_none() -> None:
    assert Settings({}).link_key is None
    assert Settings(dict.fromkeys(VARIABLES, "")).link_key is None


def other_secrets() -> dict[str, str]:
    parts = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    traditional = (parts[0], serialization.PrivateFormat.TraditionalOpenSSL, parts[2])
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    frame = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n"
    return {
        "PKCS #8, as openssl 3 writes it": rsa_key.private_bytes(*parts).decode(),
        "an elliptic curve": ec.generate_private_key(ec.SECP256R1()).private_bytes(*traditional).decode(),
        "half a key": "\n".join(distribution.private_pem(rsa_key).splitlines()[:9]),
        "no base64": frame.format("***"),
        "no key": frame.format("AAAA"),
        "another version": frame.format("MAMCAQE="),
        "no ASCII": "schlüssel",
        "nothing": "",
    }


@pytest.mark.parametrize("secret", other_secrets().values(), ids=other_secrets())
def test_a_secret_that_cannot_sign_is_told_without_being_shown(
    deployment: Settings, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setattr(tokens, "stored_secret", lambda _: secret)
    with pytest.raises(BadConfiguration, match="MAQUETTE_LINK_SECRET_ARN") as told:
        links.to_file(deployment, PREFIX + "mesh.glb")
    assert told.value.__suppress_context__
    assert not [line for line in secret.splitlines()[1:-1] if line in str(told.value)]
