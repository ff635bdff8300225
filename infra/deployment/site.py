"""The built site in its bucket, in an order in which no visitor ever misses a file.

1. Files whose names carry a hash of their content: nobody asks for them yet.
2. Files that change under their names, ``config.json`` among them, which says where the two servers are.
3. ``index.html``, which leads to all others: from here on visitors get the new site.

Somebody may have the old page open, and it loads parts only when they are needed: what no longer belongs to
the site is marked, stays for ``KEPT_DAYS``, and leaves with a later deployment. Each object carries its
headers; it is compressed by CloudFront on the way out, not here. What is there already, byte for byte and
header for header, is not sent again.

Reference: Amazon CloudFront Developer Guide, "Serve compressed files", "Invalidate files to remove content".
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infra.errors import BuildFailed
from infra.site_files import cache_control, content_type, is_hashed

INDEX = "index.html"
CONFIG = "config.json"
KEPT_DAYS = 30
#: on an object that is no part of the site any more: since when (ISO 8601)
_SUPERSEDED = "superseded"
#: on index.html: CloudFront has been told of everything that changed
_ANNOUNCED = "announced"


@dataclass
class Changes:
    """What an upload did; names of objects."""

    sent: list[str] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    #: addresses that CloudFront was told to forget
    invalidated: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.sent or self.marked or self.removed or self.invalidated)


def read(folder: Path) -> dict[str, bytes]:
    """The built site: contents by name.

    Raises:
        BuildFailed: it is not whole.
    """
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    if INDEX not in files:
        raise BuildFailed(f"There is no built site in {folder}. Run: make web")
    missing = sorted(references(files[INDEX].decode("utf-8")) - set(files))
    if missing:
        raise BuildFailed(f"{folder / INDEX} asks for {missing[0]}, which is not there. Run: make clean web")
    return files


def references(page: str) -> set[str]:
    """Files of the site that a page asks for, relative to its root."""

    class Finder(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            for name, value in attributes:
                if name in ("src", "href") and value and "://" not in value and value[0] not in "#/":
                    found.add(value.removeprefix("./").partition("?")[0])

    found: set[str] = set()
    Finder().feed(page)
    return {name for name in found if not name.startswith(("data:", "mailto:"))}


def configuration(*, rest: str, socket: str) -> bytes:
    """``config.json``: where the page finds REST and the WebSocket."""
    return json.dumps({"rest": rest, "socket": socket}, indent=2).encode() + b"\n"


def upload(
    files: Mapping[str, bytes],
    *,
    s3: Any,
    bucket: str,
    cloudfront: Any,
    distribution: str,
    now: datetime | None = None,
) -> Changes:
    """Make ``files`` the site. Interrupted anywhere, the same call completes it."""
    return _Upload(files, s3, bucket, cloudfront, distribution, now or datetime.now(UTC)).run()


class _Upload:
    def __init__(
        self,
        files: Mapping[str, bytes],
        s3: Any,
        bucket: str,
        cloudfront: Any,
        distribution: str,
        now: datetime,
    ) -> None:
        self._files = files
        self._s3 = s3
        self._bucket = bucket
        self._cloudfront = cloudfront
        self._distribution = distribution
        self._now = now
        self._changes = Changes()
        self._there = set(_names(s3, bucket))

    def run(self) -> Changes:
        hashed = sorted(name for name in self._files if is_hashed(name))
        under_their_names = sorted(set(self._files) - set(hashed) - {INDEX})
        for name in hashed:
            self._send(name)
        changing = [name for name in (*under_their_names, INDEX) if not self._is_current(name)]
        if changing and INDEX in self._there:
            self._untag(INDEX)  # should we be interrupted, the next run tells CloudFront
        for name in changing:
            self._put(name)
        if self._tags(INDEX).get(_ANNOUNCED) != "yes":
            self._tell_cloudfront([*under_their_names, INDEX])
            self._tag(INDEX, _ANNOUNCED, "yes")
        for name in sorted(self._there - set(self._files)):
            self._let_go(name)
        return self._changes

    def _send(self, name: str) -> None:
        if not self._is_current(name):
            self._put(name)
        elif _SUPERSEDED in self._tags(name):  # it was gone for a while
            self._untag(name)

    def _is_current(self, name: str) -> bool:
        if name not in self._there:
            return False
        head = self._s3.head_object(Bucket=self._bucket, Key=name, ChecksumMode="ENABLED")
        return (head.get("ChecksumSHA256"), head.get("ContentType"), head.get("CacheControl")) == (
            base64.b64encode(hashlib.sha256(self._files[name]).digest()).decode(),
            content_type(name),
            cache_control(name),
        )

    def _put(self, name: str) -> None:
        self._s3.put_object(
            Bucket=self._bucket,
            Key=name,
            Body=self._files[name],
            ContentType=content_type(name),
            CacheControl=cache_control(name),
            ChecksumAlgorithm="SHA256",  # S3 refuses what did not arrive as it was sent
        )
        self._there.add(name)
        self._changes.sent.append(name)

    def _tell_cloudfront(self, names: list[str]) -> None:
        paths = ["/", *(f"/{quote(name)}" for name in names)]
        batch = {"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": secrets.token_hex(16)}
        self._cloudfront.create_invalidation(DistributionId=self._distribution, InvalidationBatch=batch)
        self._changes.invalidated = paths

    def _let_go(self, name: str) -> None:
        since = self._tags(name).get(_SUPERSEDED)
        if since is None:
            self._tag(name, _SUPERSEDED, self._now.isoformat(timespec="seconds"))
            self._changes.marked.append(name)
        elif self._now - datetime.fromisoformat(since) > timedelta(days=KEPT_DAYS):
            self._s3.delete_object(Bucket=self._bucket, Key=name)
            self._changes.removed.append(name)

    def _tags(self, name: str) -> dict[str, str]:
        answer = self._s3.get_object_tagging(Bucket=self._bucket, Key=name)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def _tag(self, name: str, key: str, value: str) -> None:
        tags = {"TagSet": [{"Key": key, "Value": value}]}
        self._s3.put_object_tagging(Bucket=self._bucket, Key=name, Tagging=tags)

    def _untag(self, name: str) -> None:
        self._s3.delete_object_tagging(Bucket=self._bucket, Key=name)


def _names(s3: Any, bucket: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            yield item["Key"]
