"""Weights: fetched from a small hub of our own, converted, verified, found again."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file

from gpu_container import u2net
from infra import weights
from infra.commands import weights as command
from infra.errors import (
    AlreadyRunning,
    BadConfiguration,
    DownloadCorrupt,
    MachineError,
    MissingDependency,
    WeightsCorrupt,
    WeightsMissing,
)
from infra.published import TRIPOSR, U2NET, Checkpoint, Layout, Model, PublishedFile
from infra.weights import default_directory, default_matte_model, default_place, is_complete
from tests.hub import Fault, Hub, deaf_port, hub

CONFIG = b"cond_image_size: 64\n"
FETCHED = ["config.yaml", "model.safetensors", "weights.json"]
WITH_CHECKPOINT = ["config.yaml", "model.ckpt", "model.safetensors", "weights.json"]


def tensors() -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(7)
    return {
        "decoder.layers.0.weight": torch.randn(64, 120, generator=made),
        "decoder.layers.0.bias": torch.randn(64, generator=made).half(),
        "backbone.turned": torch.randn(40, 30, generator=made).T,  # not contiguous
        "step": torch.tensor(3),
    }


LAYOUT = Layout.of(
    {
        "decoder.layers.0.weight": ("F32", (64, 120)),
        "decoder.layers.0.bias": ("F16", (64,)),
        "backbone.turned": ("F32", (30, 40)),
        "step": ("I64", ()),
    }
)


def published(name: str, content: bytes) -> PublishedFile:
    return PublishedFile(name, hashlib.sha256(content).hexdigest(), len(content))


def model_of(serving: Hub, checkpoint: bytes, layout: Layout = LAYOUT) -> Model:
    """A small model in the shape of TripoSR's, and on the hub; the size of config.yaml is unknown there too."""
    pinned = published("model.ckpt", checkpoint)
    model = Model(
        name="triposr",
        variable="MAQUETTE_WEIGHTS",
        host="http://published.invalid",
        mirror="HF_ENDPOINT",
        path="someone/small/resolve/0123",
        files=(
            replace(published("config.yaml", CONFIG), size=None),
            Checkpoint(pinned.name, pinned.sha256, pinned.size, layout=layout),
        ),
    )
    serving.files |= {f"/{model.path}/config.yaml": CONFIG, f"/{model.path}/model.ckpt": checkpoint}
    return model


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The hub, which the environment names as mirror; a cache of our own; nothing else set."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "maquette_weights", "maquette_matte_model"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with hub() as serving:
        monkeypatch.setenv("HF_ENDPOINT", serving.url + "/")
        yield serving


@pytest.fixture
def checkpoint(tmp_path: Path) -> bytes:
    torch.save(tensors(), tmp_path / "made.ckpt")
    return (tmp_path / "made.ckpt").read_bytes()


@pytest.fixture
def model(served: Hub, checkpoint: bytes) -> Model:
    return model_of(served, checkpoint)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "weights of mine"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def damage(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class TestPublished:
    def test_the_pinned_layout_is_that_of_the_published_keys(self) -> None:
        lines = (Path(__file__).parents[1] / "data" / "triposr_keys.txt").read_text().splitlines()
        rows = [line.split("\t") for line in lines]
        assert {kind for _, _, kind in rows} == {"torch.float32"}
        assert TRIPOSR.checkpoint is not None
        assert TRIPOSR.checkpoint.layout == Layout.of(
            {name: ("F32", ast.literal_eval(shape)) for name, shape, _ in rows}
        )

    def test_the_matte_model_is_the_one_that_the_pipeline_takes(self) -> None:
        assert U2NET.files[0].sha256 == u2net.SHA256

    def test_addresses_name_the_revision(self) -> None:
        assert [TRIPOSR.url(file, {}) for file in TRIPOSR.files] == [
            "https://huggingface.co/stabilityai/TripoSR/resolve/"
            f"5b521936b01fbe1890f6f9baed0254ab6351c04a/{name}"
            for name in ("config.yaml", "model.ckpt")
        ]

    @pytest.mark.parametrize("mirror", ["http://mirror:8080/hub", "http://mirror:8080/hub/"])
    def test_a_mirror_stands_in_for_the_hub_alone(self, mirror: str) -> None:
        environment = {"HF_ENDPOINT": mirror}
        assert TRIPOSR.url(TRIPOSR.files[0], environment).startswith(
            "http://mirror:8080/hub/stabilityai/TripoSR/resolve/5b52"
        )
        assert U2NET.url(U2NET.files[0], environment).startswith("https://github.com/")

    @pytest.mark.parametrize("mirror", ["mirror", "ftp://mirror", "http://", "http://mirror:port"])
    def test_a_mirror_that_is_no_address_is_named(self, mirror: str) -> None:
        with pytest.raises(BadConfiguration, match="HF_ENDPOINT"):
            TRIPOSR.url(TRIPOSR.files[0], {"HF_ENDPOINT": mirror})


class TestPlaces:
    def test_the_cache_of_the_user_is_the_default(self) -> None:
        assert default_place(TRIPOSR, {"XDG_CACHE_HOME": "/c"}) == Path("/c/maquette/weights/triposr")
        at_home = Path.home() / ".cache/maquette/weights/u2net"
        assert default_place(U2NET, {}) == default_place(U2NET, {"XDG_CACHE_HOME": "rel"}) == at_home

    def test_only_what_was_fetched_whole_is_found_there(
        self, served: Hub, model: Model, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(weights, "TRIPOSR", model)
        place = default_place(model)
        assert default_directory() is None
        command.fetch([model])
        assert default_directory() == place

        for name in FETCHED:
            (place / name).rename(place / "aside")
            assert default_directory() is None, name
            (place / "aside").rename(place / name)
        with (place / "model.safetensors").open("ab") as file:
            file.write(b"more")
        assert default_directory() is None

    def test_files_that_nobody_fetched_are_left_to_the_variable(self, served: Hub, checkpoint: bytes) -> None:
        place = default_place(TRIPOSR)
        place.mkdir(parents=True)
        (place / "config.yaml").write_bytes(CONFIG)
        (place / "model.ckpt").write_bytes(checkpoint)
        assert default_directory() is None

    def test_another_revision_is_not_taken(self, model: Model) -> None:
        command.fetch([model])
        assert model.checkpoint is not None
        newer = replace(model, files=(model.files[0], replace(model.checkpoint, sha256="0" * 64)))
        assert is_complete(model, default_place(model))
        assert not is_complete(newer, default_place(model))

    @pytest.mark.parametrize(
        "record", ["", "[]", "{}", '{"files": []}', '{"files": {"config.yaml": 3}}', "\xff"]
    )
    def test_a_record_that_cannot_be_read_is_none(self, model: Model, folder: Path, record: str) -> None:
        command.fetch([model], to=folder)
        (folder / "weights.json").write_text(record, encoding="latin-1")
        assert not is_complete(model, folder)

    def test_the_matte_model_is_found_as_a_file(self, served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        small = small_matte_model(served)
        monkeypatch.setattr(weights, "U2NET", small)
        command.fetch([small])
        assert default_matte_model() == default_place(small) / "u2net.onnx"


def small_matte_model(served: Hub) -> Model:
    content = b"a network" * 100
    served.files["/download/u2net.onnx"] = content
    return replace(U2NET, host=served.url, path="download", files=(published("u2net.onnx", content),))


class TestFetch:
    def test_the_converted_file_holds_every_tensor_bit_for_bit(self, model: Model, folder: Path) -> None:
        command.fetch([model], to=folder)

        assert names_in(folder) == FETCHED
        assert (folder / "config.yaml").read_bytes() == CONFIG
        converted = load_file(folder / "model.safetensors")
        assert converted.keys() == tensors().keys()
        for name, expected in tensors().items():
            assert converted[name].dtype == expected.dtype
            assert torch.equal(converted[name], expected), name

    def test_the_record_tells_size_hash_and_source(self, model: Model, folder: Path) -> None:
        command.fetch([model], to=folder)
        content = (folder / "model.safetensors").read_bytes()
        recorded = json.loads((folder / "weights.json").read_text())["files"]
        assert recorded.keys() == {"config.yaml", "model.safetensors"}
        assert recorded["model.safetensors"] == {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "source": "http://published.invalid/someone/small/resolve/0123/model.ckpt",  # and not the mirror
            "source_sha256": model.files[1].sha256,
        }

    def test_the_line_to_export_is_all_that_goes_to_standard_output(
        self, served: Hub, model: Model, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command.fetch([model, small_matte_model(served)], to=folder)
        assert capsys.readouterr().out.splitlines() == [
            f"export MAQUETTE_WEIGHTS='{folder}'",
            f"export MAQUETTE_MATTE_MODEL='{folder}/u2net.onnx'",
        ]
        assert is_complete(model, folder)

    def test_whoever_may_read_the_checkpoint_may_read_what_is_made_of_it(
        self, model: Model, folder: Path
    ) -> None:
        command.fetch([model], to=folder, keep_checkpoint=True)
        modes = {name: (folder / name).stat().st_mode for name in ("model.ckpt", "model.safetensors")}
        assert len(set(modes.values())) == 1

    def test_what_is_here_is_not_fetched_again(self, served: Hub, model: Model, folder: Path) -> None:
        command.fetch([model], to=folder)
        served.requests.clear()
        command.fetch([model], to=folder)
        assert served.requests == []
        assert names_in(folder) == FETCHED

    def test_the_checkpoint_stays_when_that_is_wished(self, served: Hub, model: Model, folder: Path) -> None:
        command.fetch([model], to=folder, keep_checkpoint=True)
        assert names_in(folder) == WITH_CHECKPOINT
        assert command.verify(folder, [model])

    def test_files_brought_by_hand_need_no_network_and_stay(
        self, served: Hub, model: Model, folder: Path, checkpoint: bytes
    ) -> None:
        folder.mkdir()
        (folder / "config.yaml").write_bytes(CONFIG)
        (folder / "model.ckpt").write_bytes(checkpoint)
        command.fetch([model], to=folder)

        assert served.requests == []
        assert names_in(folder) == WITH_CHECKPOINT
        assert is_complete(model, folder)

    def test_an_interrupted_fetch_goes_on(
        self, served: Hub, model: Model, folder: Path, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        served.faults += [Fault(), Fault(cut=10_000), Fault(status=404)]
        with pytest.raises(MachineError, match="404"):
            command.fetch([model], to=folder)
        assert names_in(folder) == ["config.yaml", "model.ckpt.part", "weights.json"]
        assert not is_complete(model, folder)

        command.fetch([model], to=folder)
        assert served.requests[-1] == (f"/{model.path}/model.ckpt", "bytes=10000-")
        assert names_in(folder) == FETCHED

    def test_other_bytes_than_the_published_ones_are_refused(
        self, served: Hub, model: Model, folder: Path, checkpoint: bytes
    ) -> None:
        served.files[f"/{model.path}/model.ckpt"] = checkpoint[:-1] + b"!"
        with pytest.raises(DownloadCorrupt):
            command.fetch([model], to=folder)
        assert names_in(folder) == ["config.yaml", "weights.json"]

    @pytest.mark.parametrize("name", ["config.yaml", "model.ckpt", "model.safetensors"])
    def test_a_file_of_another_origin_is_never_written_over(
        self, served: Hub, model: Model, folder: Path, name: str
    ) -> None:
        folder.mkdir()
        (folder / name).write_bytes(b"mine")
        with pytest.raises(WeightsCorrupt, match=f"{name} is in the way"):
            command.fetch([model], to=folder)
        assert (folder / name).read_bytes() == b"mine"
        assert served.requests == []

    def test_a_damaged_file_of_our_own_making_is_made_again(
        self, served: Hub, model: Model, folder: Path
    ) -> None:
        command.fetch([model], to=folder)
        damage(folder / "model.safetensors")
        command.fetch([model], to=folder)
        assert command.verify(folder, [model])
        assert names_in(folder) == FETCHED

    def test_a_checkpoint_with_other_tensors_is_refused(
        self, served: Hub, checkpoint: bytes, folder: Path
    ) -> None:
        fewer = replace(LAYOUT, tensors=3)
        with pytest.raises(WeightsCorrupt, match=r"holds 4 tensors .* not the published 3 tensors"):
            command.fetch([model_of(served, checkpoint, fewer)], to=folder)
        assert "model.safetensors" not in names_in(folder)

    @pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more", "pickle", "list", "numbers"])
    def test_a_checkpoint_that_is_no_state_dict_is_refused_and_runs_nothing(
        self, served: Hub, folder: Path, tmp_path: Path, content: bytes | str
    ) -> None:
        stored: dict[str, Any] = {"pickle": {"x": Malice(tmp_path)}, "list": [1], "numbers": {"x": 1}}
        if isinstance(content, str):
            torch.save(stored[content], tmp_path / "made.ckpt")
            content = (tmp_path / "made.ckpt").read_bytes()
        with pytest.raises(WeightsCorrupt, match=r"model\.ckpt cannot be read"):
            command.fetch([model_of(served, content)], to=folder)
        assert not (tmp_path / "ran").exists()
        assert names_in(folder) == ["config.yaml", "model.ckpt", "weights.json"]

    def test_a_disk_too_small_is_told_before_anything_is_fetched(
        self, served: Hub, model: Model, folder: Path
    ) -> None:
        assert model.checkpoint is not None
        vast = replace(model, files=(model.files[0], replace(model.checkpoint, size=10**18)))
        with pytest.raises(MachineError, match=r"takes 2\.0 EB .* only .* are free"):
            command.fetch([vast], to=folder)
        assert served.requests == []

    def test_two_fetches_into_one_folder_do_not_mix(self, served: Hub, model: Model, folder: Path) -> None:
        folder.mkdir()
        with FileLock(folder / ".lock"), pytest.raises(AlreadyRunning):
            command.fetch([model], to=folder)
        assert served.requests == []

    def test_a_missing_package_is_named_before_anything_is_fetched(
        self, served: Hub, model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "safetensors", None)
        with pytest.raises(MissingDependency, match=r"takes safetensors\. .*maquette\[cli,pipeline\]"):
            command.fetch([model], to=folder)
        assert served.requests == []

    def test_a_folder_that_cannot_be_made_is_named(self, model: Model, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(MachineError, match="--to"):
            command.fetch([model], to=tmp_path / "file" / "folder")


class Malice:
    """Leaves a file behind when it is unpickled the careless way."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ran"

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


class TestVerify:
    def test_what_was_fetched_is_verified(
        self, model: Model, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command.fetch([model], to=folder)
        capsys.readouterr()
        assert command.verify(folder, [model, U2NET])  # there is no matte model: nothing to complain of
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == ["triposr", "config.yaml", "model.safetensors"]
        assert all(line.endswith("verified") for line in lines[1:])

    @pytest.mark.parametrize("name", ["config.yaml", "model.ckpt", "model.safetensors"])
    def test_one_wrong_bit_is_found(
        self, model: Model, folder: Path, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command.fetch([model], to=folder, keep_checkpoint=True)
        capsys.readouterr()
        damage(folder / name)
        assert not command.verify(folder, [model])
        states = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
        assert {found for found, line in states.items() if "damaged" in line} == {name}

    @pytest.mark.parametrize("kept", [0, 7, 100, -1])
    def test_a_file_that_was_cut_off_is_found(self, model: Model, folder: Path, kept: int) -> None:
        command.fetch([model], to=folder)
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:kept])
        assert not command.verify(folder, [model])

    def test_other_tensors_are_found_even_when_record_and_hash_agree(
        self, model: Model, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command.fetch([model], to=folder)
        save_file({"step": torch.tensor(3)}, folder / "model.safetensors")
        content = (folder / "model.safetensors").read_bytes()
        record = json.loads((folder / "weights.json").read_text())
        record["files"]["model.safetensors"] |= {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        (folder / "weights.json").write_text(json.dumps(record))
        assert not command.verify(folder, [model])
        assert "holds 1 tensors with 1 numbers, not the published 4" in capsys.readouterr().out

    def test_a_converted_file_without_a_record_is_of_unknown_origin(
        self, model: Model, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command.fetch([model], to=folder)
        (folder / "weights.json").unlink()
        assert not command.verify(folder, [model])
        assert "of unknown origin" in capsys.readouterr().out

    def test_a_checkpoint_as_published_is_enough(self, model: Model, folder: Path, checkpoint: bytes) -> None:
        folder.mkdir()
        (folder / "config.yaml").write_bytes(CONFIG)
        assert not command.verify(folder, [model])
        (folder / "model.ckpt").write_bytes(checkpoint)
        assert command.verify(folder, [model])

    def test_nothing_at_all_is_an_error(self, model: Model, folder: Path) -> None:
        with pytest.raises(WeightsMissing, match="maquette weights fetch"):
            command.verify(folder, [model])
        with pytest.raises(WeightsMissing, match="on this machine"):
            command.verify(None, [model])

    def test_what_a_variable_names_must_be_there(
        self, model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("MAQUETTE_WEIGHTS", str(folder))
        assert not command.verify(None, [model])
        assert f"{folder}  ($MAQUETTE_WEIGHTS, in use)" in capsys.readouterr().out

    def test_a_matte_model_is_verified_where_its_variable_names_it(
        self, served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = small_matte_model(served)
        path = tmp_path / "matte.onnx"
        path.write_bytes(served.files["/download/u2net.onnx"])
        monkeypatch.setenv("MAQUETTE_MATTE_MODEL", str(path))
        assert command.verify(None, [small])
        damage(path)
        assert not command.verify(None, [small])


class TestList:
    def states(self, model: Model, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
        capsys.readouterr()
        command.show([model])
        lines = [line.split(maxsplit=3) for line in capsys.readouterr().out.splitlines()]
        return {line[0]: line[-1] for line in lines}

    def test_it_tells_what_a_fetch_has_left(self, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.states(model, capsys)["triposr"].endswith(": nothing; maquette weights fetch triposr")
        command.fetch([model])
        states = self.states(model, capsys)
        assert states.pop("triposr") == "place, in use)"
        assert states == {"config.yaml": "verified", "model.safetensors": "verified when fetched"}

    def test_it_tells_how_far_a_fetch_has_come(
        self, served: Hub, model: Model, capsys: pytest.CaptureFixture[str], checkpoint: bytes
    ) -> None:
        place = default_place(model)
        place.mkdir(parents=True)
        (place / "model.ckpt.part").write_bytes(checkpoint[: len(checkpoint) // 4])
        assert self.states(model, capsys)["model.ckpt"] == "partly here: 25%"

    def test_it_does_not_claim_to_have_checked(
        self, model: Model, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(weights, "SMALL", 100)
        command.fetch([model], to=folder, keep_checkpoint=True)
        monkeypatch.setenv("MAQUETTE_WEIGHTS", str(folder))
        assert self.states(model, capsys)["model.ckpt"] == "verified when fetched"
        (folder / "weights.json").unlink()
        states = self.states(model, capsys)
        assert states["model.ckpt"] == "not checked"
        assert states["model.safetensors"].startswith("of unknown origin")


class TestCommandLine:
    def maquette(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "infra.cli", "weights", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_a_file_that_is_not_the_published_one_ends_in_one_sentence(self, served: Hub, folder: Path) -> None:
        served.files[f"/{TRIPOSR.path}/config.yaml"] = b"something else"
        ended = self.maquette("fetch", "--to", folder)
        assert ended.returncode == 2
        assert ended.stdout == ""
        assert ended.stderr.splitlines()[-1].startswith("download_corrupt: ")

    def test_offline_it_names_every_file_the_host_and_what_to_do(
        self, served: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{deaf_port()}")
        ended = self.maquette("fetch", "--to", folder)
        assert ended.returncode == 2
        assert ended.stderr.count("model.ckpt") == 2  # its name and its address
        assert "127.0.0.1 cannot be reached" in ended.stderr.splitlines()[-1]
        assert f"copy it to {folder}/config.yaml" in ended.stderr.splitlines()[-1]

    def test_verify_tells_by_its_status(self, served: Hub, folder: Path) -> None:
        assert self.maquette("verify", folder).returncode == 2
        folder.mkdir()
        (folder / "config.yaml").write_bytes(CONFIG)
        assert self.maquette("verify", folder).returncode == 1

    def test_list_knows_both_models(self, served: Hub) -> None:
        ended = self.maquette("list")
        assert ended.returncode == 0
        assert [line.split()[0] for line in ended.stdout.splitlines()] == ["triposr", "u2net"]

    def test_neither_network_nor_tensors_are_loaded_before_they_are_needed(self) -> None:
        script = (
            "import sys, infra.weights; assert 'httpx' not in sys.modules\n"
            "import infra.conversion, infra.commands.weights; assert 'torch' not in sys.modules\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True)
