"""What is uploaded for the Lambda functions."""

from __future__ import annotations

import re
from importlib.util import cache_from_source
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from infra.deployment import bundle
from infra.deployment.cold_import import cold_import_seconds, run_from_bundle
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
    assert not [path for path in files if path.suffix in (".so", ".pyd")]


def test_the_bundle_is_for_the_python_that_the_template_names() -> None:
    assert re.findall(r"Runtime: (python\S+)", (ROOT / "template.yaml").read_text()) == [bundle.RUNTIME]


@pytest.mark.skipif(not bundle.runs_here(), reason=f"byte code is made by {bundle.RUNTIME} alone")
def test_a_cold_start_compiles_nothing(folder: Path) -> None:
    sources = list(folder.rglob("*.py"))
    compiled = [Path(cache_from_source(path)) for path in sources]
    assert sources
    assert set(folder.rglob("*.pyc")) == set(compiled)
    # PEP 552: the flag of code that goes by a hash, which is not looked at; times do not matter then.
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\x01\0\0\0"}


def test_every_handler_of_the_template_runs_from_the_bundle_alone(folder: Path) -> None:
    handlers = re.findall(r"Handler: (functions\.app\.\w+)", (ROOT / "template.yaml").read_text())
    assert len(handlers) >= 5
    run_from_bundle(
        folder,
        "import functions.app as app\n"
        f"for handler in {[handler.rpartition('.')[2] for handler in handlers]}:\n"
        "    assert callable(getattr(app, handler)), handler\n"
        "from infra import tokens, clients\n"
        "assert tokens.issue and clients.client('s3')\n"
        # the three parts of Powertools at work
        "from infra import telemetry\n"
        "from infra.settings import Settings\n"
        "telemetry.start(Settings({'MAQUETTE_LOG': 'json'}))\n"
        "telemetry.count('JobsQueued')\n"
        "assert app.on_job_changed({'Records': []}, None) == {'batchItemFailures': []}\n",
    )


def test_importing_the_functions_makes_no_client_and_starts_no_batch(folder: Path) -> None:
    loaded = run_from_bundle(folder, "import sys, functions.app; print(*sys.modules)").split()
    assert {"functions.app", "aws_lambda_powertools"} <= set(loaded)
    # botocore is there as a name that Powertools looks for; what takes time of it is not.
    assert {name for name in loaded if name.startswith(("boto3", "botocore", "urllib3"))} == {"botocore"}
    assert not [
        name
        for name in loaded
        if name.startswith(("asyncio", "numpy", "aws_lambda_powertools.utilities.batch"))
    ]


def test_what_nobody_reads_of_a_dependency_stays_out(folder: Path) -> None:
    for part in ("event_handler", "utilities/parser", "utilities/idempotency", "utilities/parameters"):
        assert not (folder / "aws_lambda_powertools" / part).exists()
    assert {path.name for path in (folder / "chalice").glob("*.py")} == {"__init__.py", "app.py"}
    assert not (folder / "boto3").exists()


def test_the_time_of_a_cold_import_is_measured_in_processes_of_their_own(folder: Path) -> None:
    assert 0.0 < cold_import_seconds(folder, runs=3) < 10.0
    with pytest.raises(CalledProcessError):
        cold_import_seconds(folder, "infra.local", runs=1)  # which is not in the bundle


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
