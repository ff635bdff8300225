"""Writes down what a process asks of AWS and which settings it looks up, while its code knows nothing of it.

One JSON object per line: a call that is made, a link that is signed for someone else to use, or the name of a
variable. A line is written before the call is sent, so that a process may be killed at any time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Recorder:
    """Appends to one file; several threads, and several processes one after another, may share it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Hear of every botocore client and every :class:`infra.settings.Settings` made from now on."""
        from botocore import handlers

        # What every session registers when it is made. Before parameters are built they are still those of the
        # API's reference; the form of an upload never comes by there, and is caught when it is signed.
        handlers.BUILTIN_HANDLERS.append(("before-parameter-build", self._on_call))
        handlers.BUILTIN_HANDLERS.append(("after-call", self._on_answer))
        handlers.BUILTIN_HANDLERS.append(("before-sign.s3.PutObject", self._on_signature))

        from infra.settings import Settings

        original, recorder = Settings.__init__, self

        def watched(self: Settings, environment: Mapping[str, str]) -> None:
            original(self, Lookups(environment, recorder))

        Settings.__init__ = watched  # type: ignore[method-assign]

    def write(self, **line: Any) -> None:
        """Append one line."""
        with self._lock:
            self._file.write(json.dumps(line) + "\n")

    def _on_call(self, *, params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        if model.name == "CreateBucket" and context.get("is_presign_request"):
            return  # how botocore finds the address of an upload's form
        context["recorded"] = params
        self._call(model.service_model.service_name, model.name, params)

    def _on_answer(self, *, http_response: Any, model: Any, context: Mapping[str, Any], **_: Any) -> None:
        # Whoever may not list a bucket is told 403 of what is not there, by AWS but by no emulator.
        if model.service_model.service_name == "s3" and http_response.status_code == 404:
            self._call("s3", "TellMissing", {"Bucket": context["recorded"]["Bucket"]})

    def _on_signature(self, *, request: Any, **_: Any) -> None:
        policy = request.context.get("s3-presign-post-policy")
        if policy is not None:
            conditions = {}
            for condition in policy["conditions"]:
                conditions |= condition if isinstance(condition, dict) else {}
            self._call("s3", "PutObject", {"Bucket": conditions["bucket"], "Key": conditions["key"]})

    def _call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        plain = {name: value for name, value in parameters.items() if isinstance(value, str | list | dict)}
        self.write(
            kind="call",
            service=service,
            operation=operation,
            parameters=json.loads(json.dumps(plain, default=str)),
        )


class Lookups(dict[str, str]):
    """An environment that tells which of its variables are asked for, whether they are set or not."""

    def __init__(self, environment: Mapping[str, str], recorder: Recorder) -> None:
        super().__init__(environment)
        self._recorder = recorder

    def __getitem__(self, name: str) -> str:
        self._recorder.write(kind="variable", name=name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._recorder.write(kind="variable", name=name)
        return super().get(name, default)


def read(path: Path) -> list[dict[str, Any]]:
    """Every line that was written whole."""
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    return [json.loads(line) for line in lines[:-1]]
