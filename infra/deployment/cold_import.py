"""How long a cold start waits for the functions' code: its import, in a new process, from the bundle alone.

Beside the bundle there is what Lambda's runtime has, and nothing else of this environment. The files may be in
the operating system's cache; in Lambda they come over a network first, which nothing here can tell.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.errors import MissingDependency

#: boto3 and what it needs, part of every Python runtime of Lambda
_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
_TIMED = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def cold_import_seconds(bundle: Path, modules: str = "functions.app", *, runs: int = 10) -> float:
    """Median over ``runs`` processes; without the start of the interpreter itself."""
    code = _TIMED.format(modules)
    return statistics.median(float(run_from_bundle(bundle, code)) for _ in range(runs))


def run_from_bundle(bundle: Path, code: str) -> str:
    """What the code prints when it runs on the bundle and Lambda's own packages; it leaves no byte code behind.

    Raises subprocess.CalledProcessError.
    """
    with TemporaryDirectory() as runtime:
        for name in _RUNTIME:
            _link(name, Path(runtime))
        return subprocess.run(
            [sys.executable, "-S", "-B", "-P", "-c", code],
            env={"PYTHONPATH": f"{bundle.absolute()}:{runtime}", "AWS_DEFAULT_REGION": "us-east-1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout


def _link(name: str, folder: Path) -> None:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise MissingDependency(f"{name} is not installed. Run: make setup")
    origin = Path(spec.origin)
    if origin.name == "__init__.py":
        origin = origin.parent
    (folder / origin.name).symlink_to(origin)
