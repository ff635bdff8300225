"""Makes moto keep what it holds: before a request is answered, what it has changed is on the disk.

moto has no such thing itself. Its buckets, tables and queues are watched where they change
(``S3Backend.put_object``, ``StreamShard.add``, …); what was kept comes back when a bucket, table or queue of
that name is made again, without any event or message being told of it.

Left out: old versions of objects, tables without a stream (connections, which do not survive anyway), and who
has received a message: whatever was in somebody's hands when everything ended is there for all again.
"""

from __future__ import annotations

import contextlib
import datetime
import inspect
import io
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from infra.local.keep import Changes, Keep, KeptObject

log = logging.getLogger(__name__)

#: attributes of moto's messages that are kept
_OF_A_MESSAGE = (
    "body",
    "message_attributes",
    "system_attributes",
    "sent_timestamp",
    "approximate_receive_count",
)

#: what has changed: an object by its bucket, or a record by its table, and their names
_Place = tuple[str, Any, str]


class Keeper:
    """Watches moto in this process and writes to ``keep``."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._request = threading.local()
        #: changes that could not be written; the next request takes them along
        self._owed: set[_Place] = set()
        self._queues: dict[str, Any] = {}
        #: messages on the disk: how often each has been received, by queue and id
        self._messages: dict[str, dict[str, int]] = {}

    def watch(self) -> None:
        """From now on moto's own methods tell this keeper."""
        from moto.dynamodb.models import DynamoDBBackend
        from moto.dynamodb.models.table import StreamShard
        from moto.s3.models import S3Backend
        from moto.sqs.models import SQSBackend

        def object_changed(given: dict[str, Any], answer: Any) -> None:
            bucket = given["self"].get_bucket(given["bucket_name"])
            self._changed().add(("object", bucket, given["key_name"]))

        def record_changed(given: dict[str, Any], answer: Any) -> None:
            item = given["new"] or given["old"]
            key = [item.hash_key.to_json(), item.range_key.to_json() if item.range_key else None]
            self._changed().add(("record", given["self"].table, json.dumps(key)))

        _after(S3Backend, "put_object", object_changed)
        _after(S3Backend, "delete_object", object_changed)
        _after(StreamShard, "add", record_changed)
        # What has outlived its time while nothing ran goes when the rule is made that says so.
        _after(DynamoDBBackend, "update_time_to_live", lambda given, answer: _expire_records(**given))
        _after(S3Backend, "put_bucket_lifecycle_configuration", lambda given, answer: _expire_objects(**given))
        _after(S3Backend, "create_bucket", lambda given, bucket: self._fill_bucket(bucket))
        _after(DynamoDBBackend, "create_table", lambda given, table: self._fill_table(table))
        _after(SQSBackend, "create_queue", lambda given, queue: self._fill_queue(queue))

    def serve(self, application: Any) -> Any:
        """``application`` (WSGI), answering only when all it has changed is on the disk."""

        def serve(environ: dict[str, Any], start_response: Any) -> Any:
            begun: list[tuple[Any, ...]] = []
            body = application(environ, lambda *given: begun.append(given))
            writes = self._changed() or environ.get("HTTP_X_AMZ_TARGET", "").startswith("AmazonSQS.")
            try:
                self._save()
            except (OSError, sqlite3.Error) as error:
                log.exception("What has changed could not be written to the disk.")
                if writes:  # whoever only looks is answered
                    start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
                    return [f"Nothing can be kept: {error}\n".encode()]
            start_response(*begun[-1])
            return body

        return serve

    def _changed(self) -> set[_Place]:
        """What the request that this thread serves has changed so far."""
        if not hasattr(self._request, "changed"):
            self._request.changed = set()
        changed: set[_Place] = self._request.changed
        return changed

    def _save(self) -> None:
        with self._lock:
            places = self._owed | self._changed()
            self._request.changed = set()
            self._owed = places
            changes, keys = Changes(), {}
            for kind, owner, name in places:
                if kind == "record":
                    changes.records[owner.name, name] = _record(owner, name)
                    continue
                keys[owner.name, name] = key = _key(owner, name)
                with contextlib.suppress(ValueError):  # closed, since replaced: that request keeps the new one
                    changes.objects[owner.name, name] = key and _kept(key)
            now = self._change_messages(changes)
            if changes:
                for at, path in self._keep.write(changes).items():
                    _leave_to_disk(keys[at], path)
            for bucket, name in ((owner, name) for kind, owner, name in places if kind == "object"):
                _forget_old_versions(bucket, name)
            self._messages = now
            self._owed = set()

    def _change_messages(self, changes: Changes) -> dict[str, dict[str, int]]:
        """Add to ``changes`` what is new in the queues; answers what they hold now.

        All of them are compared at each request: messages come and go by other services, too, and are few.
        """
        everything = {}
        for queue_name, queue in self._queues.items():
            messages = {message.id: message for message in list(queue._messages)}
            before = self._messages.get(queue_name, {})
            now = {name: message.approximate_receive_count for name, message in messages.items()}
            for name in before.keys() - now.keys():
                changes.messages[queue_name, name] = None
            for name in (name for name, received in now.items() if before.get(name) != received):
                kept = {attribute: getattr(messages[name], attribute) for attribute in _OF_A_MESSAGE}
                changes.messages[queue_name, name] = kept
            everything[queue_name] = now
        return everything

    def _fill_bucket(self, bucket: Any) -> None:
        from moto.s3.models import FakeKey

        for name, path, kept in self._keep.objects(bucket.name):
            key = FakeKey(
                name, b"", bucket.account_id, bucket.region_name, etag=kept.etag, bucket_name=bucket.name,
                is_versioned=False, version_id="null",
            )  # fmt: skip
            key.last_modified = datetime.datetime.fromtimestamp(kept.modified, datetime.UTC).replace(
                tzinfo=None
            )
            key.set_metadata(dict(kept.metadata), replace=False)
            _leave_to_disk(key, path)
            bucket.keys.setlist(name, [key])

    def _fill_table(self, table: Any) -> None:
        shard, table.stream_shard = table.stream_shard, None  # what comes back is no news
        for record in self._keep.records(table.name):
            table.put_item(record)
        table.stream_shard = shard

    def _fill_queue(self, queue: Any) -> None:
        from moto.sqs.models import Message

        if queue.name in self._queues:
            return  # it was there already
        kept = self._keep.messages(queue.name)
        for name, attributes in kept.items():
            message = Message(name, attributes["body"])
            for attribute in _OF_A_MESSAGE:
                setattr(message, attribute, attributes[attribute])
            queue._messages.append(message)
        self._queues[queue.name] = queue
        self._messages[queue.name] = {name: each["approximate_receive_count"] for name, each in kept.items()}


class _OnDisk(io.RawIOBase):
    """An object's contents, read when they are asked for: a bucket's models would fill the memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("moto begins at the beginning")
        self._at = offset
        return offset

    def read(self, size: int | None = -1) -> bytes:
        with self._path.open("rb") as file:
            file.seek(self._at)
            content = file.read(size)
        self._at += len(content)
        return content


def _after(kind: type, name: str, then: Callable[[dict[str, Any], Any], None]) -> None:
    """Have ``then`` called with the arguments, by their names, and the answer of a method."""
    method = getattr(kind, name)
    signature = inspect.signature(method)

    @wraps(method)
    def watched(*args: Any, **named: Any) -> Any:
        answer = method(*args, **named)
        then(signature.bind(*args, **named).arguments, answer)
        return answer

    setattr(kind, name, watched)


def _key(bucket: Any, name: str) -> Any:
    """moto's model of an object as it is now; None when it is deleted, be it by a marker."""
    from moto.s3.models import FakeKey

    key = bucket.keys.get(name)
    return key if isinstance(key, FakeKey) else None


def _kept(key: Any) -> KeptObject:
    modified = key.last_modified.replace(tzinfo=datetime.UTC).timestamp()
    content = bytes(key.value)
    return KeptObject(lambda: content, key.etag.strip('"'), modified, dict(key.metadata))


def _record(table: Any, name: str) -> dict[str, Any] | None:
    """A record as it is now, in DynamoDB's JSON. moto puts a copy in a table's place when it rolls back."""
    from moto.dynamodb.models import dynamodb_backends
    from moto.dynamodb.models.dynamo_type import DynamoType

    region = table.table_arn.split(":")[3]
    current = dynamodb_backends[table.account_id][region].tables[table.name]
    hash_key, range_key = json.loads(name)
    item = current.get_item(DynamoType(hash_key), DynamoType(range_key) if range_key else None)
    return None if item is None else dict(item.to_json()["Attributes"])


def _leave_to_disk(key: Any, path: Path) -> None:
    """Have an object read from its file from now on."""
    key.contentsize = path.stat().st_size
    key.multipart = None  # holds all parts once more
    with key.lock:
        old, key._value_buffer = key._value_buffer, _OnDisk(path)
    old.close()


def _forget_old_versions(bucket: Any, name: str) -> None:
    versions = bucket.keys.getlist(name, [])
    if len(versions) > 1:
        bucket.keys.setlist(name, versions[-1:])


def _expire_records(self: Any, table_name: str, ttl_spec: dict[str, Any]) -> None:
    table, attribute = self.get_table(table_name), ttl_spec["AttributeName"]
    for item in list(table.all_items()):
        until = item.attrs.get(attribute)
        if until is not None and float(until.value) < time.time():
            table.delete_item(item.hash_key, item.range_key)


def _expire_objects(self: Any, bucket_name: str, rules: list[dict[str, Any]]) -> None:
    bucket = self.get_bucket(bucket_name)
    for rule in (rule for rule in bucket.rules if rule.status == "Enabled" and rule.expiration_days):
        oldest = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(
            days=int(rule.expiration_days)
        )
        prefix = rule.filter.prefix if rule.filter else rule.prefix
        for name in [name for name in bucket.keys if name.startswith(prefix or "")]:
            if bucket.keys[name].last_modified < oldest:
                self.delete_object(bucket_name, name)
