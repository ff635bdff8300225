"""The tag of the worker's image says what is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.deployment import worker_image
from infra.errors import BuildFailed
from tests.deployment.conftest import ROOT, Bench

DOCKERFILE = """
FROM base AS first
COPY --chown=1:1 pyproject.toml \\
     constraints.txt ./   # two lines
ADD README.md /
RUN --mount=type=bind,source=infra/tool.py,target=/tool.py --mount=type=cache,target=/cache python /tool.py
RUN --mount=type=bind,from=first,source=/elsewhere,target=/x true
COPY --from=first /elsewhere /app
copy gpu_container /app/gpu_container
# COPY secrets /
"""


def test_the_sources_are_what_the_dockerfile_takes_from_its_context() -> None:
    assert worker_image.copied(DOCKERFILE) == [
        *("pyproject.toml", "constraints.txt", "README.md", "infra/tool.py", "gpu_container")
    ]


def test_a_dockerfile_that_copies_everything_is_refused() -> None:
    with pytest.raises(BuildFailed, match="whole context"):
        worker_image.copied("FROM base\nCOPY . /app\n")


def test_the_tag_changes_with_every_file_that_goes_in_and_with_no_other(bench: Bench) -> None:
    root, folder = bench.checkout.root, bench.checkout.root / "gpu_container"
    tags = [worker_image.tag(root, {})]

    def changed() -> bool:
        tags.append(worker_image.tag(root, {}))
        return tags[-1] != tags[-2]

    assert not changed()
    (folder / "worker.py").write_text("print('another')\n")
    assert changed()
    (folder / "new.py").write_text("")
    assert changed()
    (folder / "new.py").rename(folder / "newer.py")
    assert changed()
    (folder / "Dockerfile").write_text((folder / "Dockerfile").read_text() + "USER 1\n")
    assert changed()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "worker.cpython-311.pyc").write_bytes(b"compiled")
    (root / "deployment.toml").write_text("links = true\n")
    (root / "notes.txt").write_text("not copied\n")
    assert not changed()


def test_the_tag_changes_with_the_build_arguments(bench: Bench) -> None:
    root = bench.checkout.root
    tags = {worker_image.tag(root, arguments) for arguments in ({}, {"WEIGHTS": "none"}, {"WEIGHTS": "all"})}
    assert len(tags) == 3
    both = {"BASE": "debian", "WEIGHTS": "all"}
    assert worker_image.tag(root, both) == worker_image.tag(root, dict(reversed(both.items())))


def test_the_builder_gets_arguments_platform_and_models(bench: Bench, tmp_path: Path) -> None:
    bench.configure(f'models = "{tmp_path}"\n[image]\nWEIGHTS = "u2net"\n')
    bench.deploy()
    build = next(call for call in bench.calls("docker") if call["arguments"][0] == "build")
    tag = bench.parameters()["ImageTag"]
    assert build["arguments"] == [
        *("build", "--platform", "linux/amd64", "--file", "gpu_container/Dockerfile"),
        *("--build-arg", "WEIGHTS=u2net", "--build-context", f"models={tmp_path}"),
        *("--tag", f"atelier-worker:{tag}", "."),
    ]
    assert build["folder"] == str(bench.checkout.root)


def test_everything_that_the_real_dockerfile_takes_is_there() -> None:
    sources = worker_image.copied((ROOT / worker_image.DOCKERFILE).read_text(encoding="utf-8"))
    assert {"gpu_container", "infra"} <= set(sources)
    for source in sources:
        assert list(ROOT.glob(source.rstrip("/"))), source
    assert len(worker_image.tag(ROOT, {})) == 24
