"""No token but those that were issued: whatever is forged, bent, glued or borrowed speaks for nobody."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from functions import app, sockets
from infra import tokens
from infra.errors import Unauthorized
from infra.settings import Settings
from infra.tokens import Bearer
from tests.cloud.conftest import SECRET, Cloud

NOW = int(time.time())
HOUR = 3600
CLAIMS = {"iss": "maquette", "aud": "session", "sub": "operator", "iat": NOW, "exp": NOW + HOUR}
SHARE = CLAIMS | {"aud": "share", "sub": "job", "epoch": 1}
HEADER = {"alg": "HS256", "typ": "JWT"}
GOOD = [jwt.encode(CLAIMS, SECRET, "HS256"), jwt.encode(SHARE, SECRET, "HS256")]
OTHER_ALGORITHMS = ["none", "None", "nOnE", "", "hs256", "HS384", "RS256", None, ["HS256", "none"]]
OTHER_AIMS = [
    "upload",
    "",
    None,
    "Session",
    "session ",
    1,
    {"session": 1},
    [],
    ["session"],
    ["session", "share"],
]
ALPHABET = string.ascii_letters + string.digits + "-_"


def part(value: object) -> str:
    """Base64url of bytes, of a text as it is, or of JSON."""
    text = value if isinstance(value, str | bytes) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode() if isinstance(text, str) else text).rstrip(b"=").decode()


def signed(header: object, claims: object, key: str | bytes = SECRET, digest: Any = hashlib.sha256) -> str:
    """A token by hand, so that it may hold what no library would write."""
    signing_input = f"{part(header)}.{part(claims)}"
    secret = key if isinstance(key, bytes) else key.encode()
    return f"{signing_input}.{part(hmac.new(secret, signing_input.encode(), digest).digest())}"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


def forged() -> dict[str, str]:
    header, claims, signature = GOOD[0].split(".")
    _, shared, shares_signature = GOOD[1].split(".")
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    public = rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    stranger = {
        "jwk": {"kty": "oct", "k": part(b"k" * 32)},
        "jku": "https://evil.example/keys",
        "kid": "/dev/null",
    }
    return {
        # without a signature, or with one of another kind
        "alg none": jwt.encode(CLAIMS, None, "none"),
        **{f"alg {name!r}, well signed": signed(HEADER | {"alg": name}, CLAIMS) for name in OTHER_ALGORITHMS},
        "alg none and the signature left on": f"{part({'alg': 'none'})}.{claims}.{signature}",
        "no alg": signed({"typ": "JWT"}, CLAIMS),
        "two algs, the last none": signed('{"alg": "HS256", "alg": "none"}', CLAIMS),
        "HS512": jwt.encode(CLAIMS, SECRET * 2, "HS512"),
        "RS256": jwt.encode(CLAIMS, rsa_key, "RS256"),
        "ES256": jwt.encode(CLAIMS, ec_key, "ES256"),
        "HS256 with the text of a public key": signed(HEADER, CLAIMS, public),
        "HS256 with a key of its own": signed(HEADER | stranger, CLAIMS, b"k" * 32),
        "no signature": f"{header}.{claims}.",
        "a signature of nothing": f"{header}.{claims}.{part(b'')}",
        "a signature of zeros": f"{header}.{claims}.{part(bytes(32))}",
        "an encrypted one": jwt.encode(CLAIMS, SECRET, "HS256") + ".e30.e30",
        # with another key
        "another key": jwt.encode(CLAIMS, SECRET[::-1], "HS256"),
        "the key and one letter more": jwt.encode(CLAIMS, SECRET + "!", "HS256"),
        "the key less a letter": jwt.encode(CLAIMS, SECRET[:-1], "HS256"),
        "an empty key": signed(HEADER, CLAIMS, b""),
        # at another time
        "past its end": jwt.encode(CLAIMS | {"exp": NOW - 1}, SECRET, "HS256"),
        "ended in 1970": jwt.encode(CLAIMS | {"exp": 0}, SECRET, "HS256"),
        "never ending": jwt.encode(without("exp"), SECRET, "HS256"),
        "an end that is a word": signed(HEADER, CLAIMS | {"exp": "never"}),
        "an end that is nothing": signed(HEADER, CLAIMS | {"exp": None}),
        "an end that is no number": signed(HEADER, json.dumps(CLAIMS).replace(str(CLAIMS["exp"]), "NaN")),
        "not yet": jwt.encode(CLAIMS | {"nbf": NOW + HOUR}, SECRET, "HS256"),
        "of tomorrow": jwt.encode(CLAIMS | {"iat": NOW + 24 * HOUR}, SECRET, "HS256"),
        "of a time that is a word": signed(HEADER, CLAIMS | {"iat": "now"}),
        # for another purpose
        **{f"for {aim!r}": signed(HEADER, CLAIMS | {"aud": aim}) for aim in OTHER_AIMS},
        "for nothing": jwt.encode(without("aud"), SECRET, "HS256"),
        "of another issuer": jwt.encode(CLAIMS | {"iss": "elsewhere"}, SECRET, "HS256"),
        "of a list of issuers": signed(HEADER, CLAIMS | {"iss": ["maquette"]}),
        "of no issuer": jwt.encode(without("iss"), SECRET, "HS256"),
        "for nobody": jwt.encode(without("sub"), SECRET, "HS256"),
        **{f"of {sub!r}": signed(HEADER, CLAIMS | {"sub": sub}) for sub in (None, 7, True, ["a"], {"S": "a"})},
        "a share that is a session too": signed(HEADER, SHARE | {"aud": ["share", "session"]}),
        "a share of no epoch": jwt.encode({k: v for k, v in SHARE.items() if k != "epoch"}, SECRET, "HS256"),
        # of the parts of good ones
        "a session's claims under a share's signature": f"{header}.{claims}.{shares_signature}",
        "a share's claims under a session's signature": f"{header}.{shared}.{signature}",
        "claims of another owner": f"{header}.{part(CLAIMS | {'sub': 'ann'})}.{signature}",
        "parts in another order": f"{claims}.{header}.{signature}",
        "two in one": ".".join(GOOD),
        "one twice": GOOD[0] * 2,
        "two, with a comma": ", ".join(GOOD),
        # no token at all
        "nothing": "",
        "dots": "..",
        "many dots": "." * 1000,
        "a list where claims belong": signed(HEADER, []),
        "a list where a header belongs": signed([], CLAIMS),
        "no JSON": signed(HEADER, "claims"),
        "JSON without end": signed("[" * 60_000, CLAIMS),
        "claims without end": signed(HEADER, "[" * 60_000),
        "letters that are no Base64": f"{header}.{claims}.{'*' * 43}",
        "a hundred kilobytes": "x" * 100_000,
        "a hundred kilobytes of claims": signed(HEADER, CLAIMS | {"more": "x" * 100_000}),
        "a hundred kilobytes of header": signed(HEADER | {"more": "x" * 100_000}, CLAIMS),
        "other alphabets": GOOD[0].translate({ord(a): ord(a) + 0xFEE0 for a in string.ascii_letters}),
        "Cyrillic": GOOD[0].replace("e", "\u0435"),
        "digits of another script": GOOD[0].replace("1", "\u0661").replace("0", "\u0660"),
        "no text": "\udcff" + GOOD[0],
        "a zero byte": GOOD[0] + "\0",
        "the key itself": SECRET,
    }  # fmt: skip


FORGED = forged()


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_forged_speaks_for_nobody(kind: str) -> None:
    with pytest.raises(Unauthorized):
        tokens.read(FORGED[kind], SECRET)


def test_the_forger_could_write_good_ones() -> None:
    assert tokens.read(signed(HEADER, CLAIMS), SECRET) == Bearer(owner="operator")
    assert tokens.read(signed(HEADER, SHARE), SECRET) == Bearer(job_id="job", share_epoch=1)
    assert tokens.read(GOOD[0], SECRET) == Bearer(owner="operator")


def test_of_two_claims_of_one_name_the_signed_text_has_one_reading() -> None:
    # JSON leaves it open which of them counts; only the holder of the key can write two.
    twice = json.dumps(CLAIMS).replace('"sub": "operator"', '"sub": "ann", "sub": "bea"')
    assert tokens.read(signed(HEADER, twice), SECRET) == Bearer(owner="bea")


@pytest.mark.parametrize("token", GOOD, ids=["session", "share"])
def test_no_other_spelling_of_a_token_is_one(token: str) -> None:
    spare_bits = [token[:-1] + letter for letter in ALPHABET]
    padded = [token + "=" * count for count in (1, 2, 4)]
    interrupted = [
        token[:place] + letter + token[place:]
        for place in (0, 5, len(token) - 5, len(token))
        for letter in "*\n =+/"
    ]
    standard = [token.replace("-", "+").replace("_", "/") + "="]
    cut = [token[:length] for length in range(len(token))]
    others = {*spare_bits, *padded, *interrupted, *standard, *cut} - {token}
    assert len(others) > len(token) + 60
    for other in others:
        with pytest.raises(Unauthorized):
            tokens.read(other, SECRET)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), token=st.sampled_from(GOOD))
def test_whatever_is_changed_in_a_token_it_is_none(data: st.DataObject, token: str) -> None:
    letters = list(token)
    for _ in range(data.draw(st.integers(1, 4), "changes")):
        place = data.draw(st.integers(0, len(letters) - 1), "place")
        letter = data.draw(st.sampled_from(ALPHABET + ".") | st.characters(), "letter")
        match data.draw(st.sampled_from(["put", "insert", "take", "swap"]), "how"):
            case "put":
                letters[place] = letter
            case "insert":
                letters.insert(place, letter)
            case "take":
                del letters[place]
            case "swap":
                letters[place], letters[-1] = letters[-1], letters[place]
    changed = "".join(letters)
    assume(changed != token)
    with pytest.raises(Unauthorized):
        tokens.read(changed, SECRET)


@settings(max_examples=200, deadline=None)
@given(header=st.text() | st.binary(), claims=st.text() | st.binary(), signature=st.binary())
def test_made_up_parts_make_no_token(header: str | bytes, claims: str | bytes, signature: bytes) -> None:
    for given_token in (
        f"{part(header)}.{part(claims)}.{part(signature)}",
        signed(header, claims, b"another key"),
    ):
        with pytest.raises(Unauthorized):
            tokens.read(given_token, SECRET)


# --- where a token may stand ---


def ask(headers: list[tuple[str, str]]) -> int:
    """``GET /jobs`` with these headers, in the form that API Gateway gives to several of a name."""
    many: dict[str, list[str]] = {}
    for name, value in headers:
        many.setdefault(name, []).append(value)
    event = {
        "requestContext": {"resourcePath": "/jobs", "httpMethod": "GET"},
        "headers": dict(headers),
        "multiValueHeaders": many,
        "pathParameters": None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }
    return int(app.app(event, None)["statusCode"])


def test_several_authorizations_are_none(cloud: Cloud) -> None:
    mine, theirs = (f"Bearer {tokens.issue(owner, SECRET)[0]}" for owner in ("ann", "bea"))
    bad = f"Bearer {FORGED['another key']}"
    for first in ("Authorization", "authorization", "AUTHORIZATION"):
        assert ask([(first, mine)]) == 200
        for second in (mine, theirs, bad, "", "Basic YW5uOg=="):
            assert ask([(first, mine), ("Authorization", second)]) == 401
            assert ask([("Authorization", second), (first, mine)]) == 401


def test_a_token_in_another_place_is_none(cloud: Cloud) -> None:
    token = tokens.issue("ann", SECRET)[0]
    elsewhere = ["X-Authorization", "Proxy-Authorization", "X-Forwarded-Authorization", "X-Api-Key"]
    otherwise = [
        token, f"Token {token}", f"Basic {token}", f"Bearer Bearer {token}", f"Bearer\t{token}",
        f"Bearer,{token}", f'Bearer "{token}"', f"Bearer {token};", f"Bearer {token} x", f"Bearer={token}",
    ]  # fmt: skip
    places = [
        *(("Cookie", f"{name}={token}") for name in ("Authorization", "token", "session")),
        *((name, f"Bearer {token}") for name in elsewhere),
        *(("Authorization", value) for value in otherwise),
    ]
    assert [place for place in places if ask([place]) != 401] == []
    assert ask([("Authorization", f"bearer   {token} ")]) == 200


def test_a_socket_is_opened_by_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    given_settings = Settings({"MAQUETTE_SESSION_SECRET": SECRET})
    for token in [*FORGED.values(), *(token + "=" for token in GOOD)]:
        event = {"methodArn": "arn:x", "queryStringParameters": {"token": token}}
        verdict = sockets.authorize(event, given_settings)
        assert verdict["policyDocument"]["Statement"][0]["Effect"] == "Deny"
        assert verdict["context"] == {}
