"""No file of the repository holds a key, and the template gives none to anybody.

What a search like gitleaks' looks for, in every file that git keeps: keys of AWS, private keys, tokens, and
secrets that were given a value. The few that tests need are listed with what they are.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections import Counter
from pathlib import Path

import jwt
import pytest

ROOT = Path(__file__).parents[2]

PATTERNS = {
    "an access key of AWS": re.compile(r"\b(?:AKIA|ASIA|AGPA|AROA|AIDA)[0-9A-Z]{16}\b"),
    "a secret key of AWS": re.compile(r"(?i)aws_?secret_?(?:access_?)?key\W{1,4}[0-9A-Za-z/+]{40}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[0-9A-Za-z/+=\s]{64,}"),
    "a token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
    "a signed link": re.compile(r"X-Amz-Signature=[0-9a-f]{64}|[?&]Signature=[\w~-]{64,}"),
    "a token of GitHub, Slack, PyPI, npm, Hugging Face or OpenAI": re.compile(
        r"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_\w{60,}|xox[abprs]-[0-9A-Za-z-]{10,}|pypi-AgEI[\w-]{50,}"
        r"|npm_[0-9A-Za-z]{36}|hf_[0-9A-Za-z]{30,}|sk-[0-9A-Za-z]{40,})\b"
    ),
    "a password in an address": re.compile(
        r"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"{}$<]+:[^\s/:@'\"{}$<]{6,}@[\w.-]+"
    ),
    "a secret with a value": re.compile(
        r"""(?ix)\b\w*(?:secret|password|passwd|api_?key|token)\w*["']?\s*[:=]\s*["'](?P<value>[^"'\s{}$<>]{16,})["']"""
    ),
}
#: what looks like a secret and is none, by file
KNOWN = {
    "tests/unit/test_telemetry.py": ["a secret with a value"],  # a token of nobody's, to be struck out of logs
}
#: bits per letter above which a value looks drawn by lot
RANDOM_BITS = 3.7


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone of the repository")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def entropy(text: str) -> float:
    """Shannon's, bits per letter."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def secrets_in(text: str) -> set[str]:
    found = set()
    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            value = match.groupdict().get("value")
            if value is None or (entropy(value) > RANDOM_BITS and re.search(r"\d", value) and ":" not in value):
                found.add(kind)
    return found


def test_no_file_holds_a_secret() -> None:
    files = tracked()
    assert len(files) > 300
    found = {}
    for path in files:
        kinds = sorted(secrets_in(path.read_bytes().decode("utf-8", "replace")))
        if kinds:
            found[path.relative_to(ROOT).as_posix()] = kinds
    assert found == KNOWN


def test_no_file_is_of_a_kind_that_holds_secrets() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in tracked()}
    kinds = re.compile(
        r"(?:^|/)(?:\.env(?:\..+)?|.*\.(?:pem|key|p12|pfx|jks|kdbx)|id_[a-z0-9]+|credentials|\.npmrc|\.pypirc|\.netrc)$"
    )
    assert [name for name in names if kinds.search(name)] == []
    assert kinds.search("web/.env.local")
    assert kinds.search("keys/link.pem")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("an access key of AWS", "key = AKIA" + "IOSFODNN7EXAMPLE"),
        ("a secret key of AWS", "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"),
        ("a private key", "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA" * 8),
        ("a private key", "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkq" * 8),
        ("a token", jwt.encode({"sub": "ann", "exp": 2_000_000_000}, "k" * 32, "HS256")),
        ("a signed link", "https://b.s3.amazonaws.com/k?X-Amz-Signature=" + "0a1b" * 16),
        ("a token of GitHub, Slack, PyPI, npm, Hugging Face or OpenAI", "ghp_" + "a1B2" * 9),
        ("a password in an address", "postgres://ann:" + "hunter22" + "@db.example/x"),
        ("a secret with a value", 'SESSION_SECRET = "' + "q8Zk2Vt0Xw5Lr7Yp" + 'N3b"'),
    ],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(kind: str, text: str) -> None:
    assert kind in secrets_in(text)


def test_the_search_passes_over_names_hashes_and_words() -> None:
    for text in (
        'token = "the token of somebody"', 'SECRET = "a-secret-of-the-tests-that-is-long"',
        "X-Amz-Signature=***",
        'sha256 = "429e2c6b22a0923967459de24d67f05962b235f79cde6b032aa7ed2ffcd970ee"', "https://ann@example.com/x",
        '"secret_arn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"', "eyJhbGciOiJIUzI1NiJ9",
    ):  # fmt: skip
        assert secrets_in(text) == set()
