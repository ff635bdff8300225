"""What is uploaded for the Lambda functions."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.deployment import bundle
from infra.errors import BadConfiguration, MissingDependency

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bundle") / "lambda"
    bundle.make(made)
    return made


def test_the_bundle_is_small_and_pure_python(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < bundle.MAX_BYTES
    assert not [path for path in files if path.suffix in (".so", ".pyd", ".pyc")]


def test_every_handler_of_the_template_runs_from_the_bundle_alone(folder: Path, tmp_path: Path) -> None:
    handlers = re.findall(r"Handler: (functions\.app\.\w+)", (ROOT / "template.yaml").read_text())
    assert len(handlers) >= 5
    # Lambda's own part, and nothing else of this environment.
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (runtime / name).symlink_to(Path(spec.origin).parent)
    (runtime / "six.py").symlink_to(str(find_spec("six").origin))  # type: ignore[union-attr]
    code = (
        "import sys, functions.app as app\n"
        f"for handler in {[handler.rpartition('.')[2] for handler in handlers]}:\n"
        "    assert callable(getattr(app, handler)), handler\n"
        "assert 'boto3' not in sys.modules, 'clients are made when first used'\n"
        "from infra import tokens, clients\n"
        "assert tokens.issue and clients.client('s3')\n"
    )
    answer = subprocess.run(
        [sys.executable, "-S", "-B", "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{folder}:{runtime}", "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr


def test_what_runs_elsewhere_stays_out(folder: Path) -> None:
    for name in bundle.ELSEWHERE:
        assert not (folder / "infra" / name).exists()
        assert (ROOT / "infra" / name).exists(), "a name that is none leaves nothing out"


def test_a_package_at_another_version_than_pinned_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "requirements", lambda: ["chalice==0.0.1"])
    with pytest.raises(MissingDependency, match=r"0\.0\.1 is pinned"):
        bundle.make(tmp_path / "lambda")


def test_a_bundle_that_grew_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_BYTES", 1000)
    with pytest.raises(BadConfiguration, match="limit"):
        bundle.make(tmp_path / "lambda")
