"""The functions and the worker as AWS runs them: each a process of its own that knows what its role gives it.

A function sees the variables that the template sets for it and those of Lambda itself; nothing of the
machine's. Whatever happens in its process is therefore its own doing, in whichever thread.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from infra.local.invoke import Context, Functions, load
from tests.cloud.stand_in import PIPELINES
from tests.privileges.recorder import Recorder

ROOT = Path(__file__).parents[2]


class FunctionFailed(Exception):
    """What a handler raised, as text."""


class FunctionProcesses(Functions):
    """Lambda's part: ``environments`` holds the variables of each handler, by its path.

    ``change`` may mend an event on its way.
    """

    def __init__(
        self,
        environments: Mapping[str, Mapping[str, str]],
        records: Mapping[str, Path],
        log: Path,
        change: Callable[[str, Any], Any],
    ) -> None:
        super().__init__()
        self._change = change
        with log.open("ab") as errors:
            self._processes = {
                handler: subprocess.Popen(
                    [sys.executable, "-m", __name__, "function", records[handler], handler],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=dict(environment),
                    cwd=ROOT,
                )
                for handler, environment in environments.items()
            }

    def stop(self) -> None:
        """End every process, once it has done what it is at."""
        super().stop()
        for process in self._processes.values():
            process.communicate()

    def _call(self, path: str, event: Any) -> Any:
        process = self._processes[path]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(self._change(path, event)).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        if "error" in answer:
            raise FunctionFailed(answer["error"])
        return answer["answer"]


def start_module(name: str, environment: Mapping[str, str], record: Path, log: Path) -> subprocess.Popen[bytes]:
    """A module of the worker's image as its container runs it, but for what loads networks."""
    with log.open("ab") as output:
        command = [sys.executable, "-m", __name__, "module", record, name]
        return subprocess.Popen(command, stdout=output, stderr=output, env=dict(environment), cwd=ROOT)


def serve_function(path: str) -> None:
    """Handle one event after another, as JSON lines; what is printed goes where Lambda's log would be."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    handler = load(path)
    for line in sys.stdin:
        try:
            answer = {"answer": handler(json.loads(line), Context(path.rpartition(".")[2]))}
        except Exception:  # noqa: BLE001  whoever called raises it again
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")


def run_module(name: str) -> None:
    """Run the ``main`` of a module, which finds stand-ins where it would load networks."""
    for part in ("device", "engines", "pipeline"):
        stand_in = ModuleType(f"gpu_container.{part}")
        sys.modules[stand_in.__name__] = stand_in
        setattr(importlib.import_module("gpu_container"), part, stand_in)
        stand_in.__dict__.update(STAND_INS[part])
    sys.exit(importlib.import_module(name).main())


def named(photo: bytes, filename: str, *others: Any) -> Any:
    """The stand-in that the photo is named after: ``damaged.png``, ``slow.png``."""
    return PIPELINES.get(Path(filename).stem, PIPELINES["quick"])(photo, filename, *others)


STAND_INS: dict[str, dict[str, Any]] = {
    "device": {"set_threads": lambda count: None, "pick_device": lambda: "cpu"},
    "engines": {"preload": lambda weights, device: None},
    "pipeline": {
        "Models": SimpleNamespace,
        "run": lambda photo, filename, options, folder, progress, models: named(
            photo, filename, options, folder, progress
        ),
    },
}


def main() -> None:
    """``function FILE PATH`` or ``module FILE NAME``, recorded in FILE."""
    kind, record, name = sys.argv[1:]
    Recorder(Path(record)).start()
    if kind == "function":
        serve_function(name)
    else:
        run_module(name)


if __name__ == "__main__":
    main()
