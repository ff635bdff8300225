"""The network in OpenVINO against the same network in torch, and what it leaves on the machine."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from gpu_container.tsr.model import TSR
from infra.errors import MissingDependency
from tests import checkpoints

MODULE = "gpu_container.tsr.openvino_backend"


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("the openvino extra is not installed")
    return importlib.import_module(MODULE)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return checkpoints.golden()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_tiny(tmp_path_factory.mktemp("tiny"))


def accelerated(backend: ModuleType, directory: Path, precision: torch.dtype = torch.float32) -> TSR:
    network = TSR.load(directory)
    backend.accelerate(network, precision)
    return network


def largest_difference(computed: torch.Tensor, expected: np.ndarray) -> float:
    assert computed.shape == expected.shape
    return float(np.abs(computed.numpy() - expected).max())


def relative_rms(computed: torch.Tensor, expected: np.ndarray) -> float:
    return float(np.sqrt(np.square(computed.numpy() - expected).mean() / np.square(expected).mean()))


def test_in_float32_every_step_is_the_references(
    backend: ModuleType, directory: Path, golden: dict[str, np.ndarray]
) -> None:
    network = accelerated(backend, directory)
    image_tokens = torch.from_numpy(golden["image_tokens"])
    with torch.inference_mode():
        tokens = network.image_tokenizer(network.prepare(golden["image_resized"]))
        out = network.backbone(network.tokenizer(), image_tokens)
    assert largest_difference(tokens, golden["image_tokens"]) < 1e-5
    assert largest_difference(out.T, golden["backbone_out"]) < 1e-5
    assert largest_difference(network.encode(golden["image_resized"]), golden["scene_codes"]) < 1e-5


def test_in_bfloat16_the_scene_code_is_close_and_the_sum_over_the_layers_is_not_rounded(
    backend: ModuleType, directory: Path, golden: dict[str, np.ndarray]
) -> None:
    network = accelerated(backend, directory, torch.bfloat16)
    assert relative_rms(network.encode(golden["image_resized"]), golden["scene_codes"]) < 0.015
    with torch.inference_mode():
        summed = backend._run(network.backbone._compiled, torch.from_numpy(golden["image_tokens"]))
    rounded = summed.bfloat16().float()
    assert (summed != rounded).float().mean() > 0.9


def test_without_a_wish_the_precision_is_what_this_cpu_is_fastest_in(
    backend: ModuleType, directory: Path, golden: dict[str, np.ndarray]
) -> None:
    threads = torch.get_num_threads()
    network = TSR.load(directory)
    backend.accelerate(network)
    assert torch.get_num_threads() == threads
    asked = accelerated(backend, directory, backend.fastest_precision())
    assert torch.equal(network.encode(golden["image_resized"]), asked.encode(golden["image_resized"]))


def test_another_precision_is_refused(backend: ModuleType, directory: Path) -> None:
    with pytest.raises(ValueError, match="float16"):
        backend.accelerate(TSR.load(directory), torch.float16)


def test_a_changed_checkpoint_gives_its_own_scene_codes(
    backend: ModuleType, directory: Path, tmp_path: Path, golden: dict[str, np.ndarray]
) -> None:
    """GIVEN a network in use WHEN its checkpoint is another THEN loaded anew it uses nothing of the old one."""
    before = accelerated(backend, directory)
    other = checkpoints.write_tiny(tmp_path / "other", "model.ckpt")
    weights = checkpoints.tiny_weights()
    key = "backbone.transformer_blocks.1.ff.net.0.proj.weight"
    torch.save(weights | {key: weights[key] * 2}, other / "model.ckpt")
    expected = TSR.load(other).encode(golden["image_resized"]).numpy()
    code = accelerated(backend, other).encode(golden["image_resized"])
    assert largest_difference(code, expected) < 1e-5
    assert largest_difference(code, golden["scene_codes"]) > 1e-3
    assert largest_difference(before.encode(golden["image_resized"]), golden["scene_codes"]) < 1e-5


def test_a_scene_code_outlives_the_next_picture_and_threads_do_not_mix(
    backend: ModuleType, directory: Path
) -> None:
    plain, network = TSR.load(directory), accelerated(backend, directory)
    pictures = [np.full((64, 64, 3), grey, np.float32) for grey in (0.1, 0.4, 0.6, 0.9)]
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(network.encode, 5 * pictures))
    for picture, code in zip(5 * pictures, codes, strict=True):
        assert largest_difference(code, plain.encode(picture).numpy()) < 1e-5


def test_what_torch_no_longer_computes_is_no_longer_part_of_the_network(
    backend: ModuleType, directory: Path
) -> None:
    whole = set(TSR.load(directory).state_dict())
    left = set(accelerated(backend, directory).state_dict())
    assert not [name for name in left if "attn" in name or "encoder" in name]
    assert {name for name in whole if name.startswith(("decoder.", "post_processor."))} <= left


def test_nothing_is_written_and_nobody_is_told(backend: ModuleType, directory: Path, tmp_path: Path) -> None:
    """A process of its own, since importing openvino is what would report, once per process."""
    home, weights = tmp_path / "home", sorted(directory.iterdir())
    home.mkdir()
    script = f"""
from pathlib import Path

import numpy as np

from {MODULE} import accelerate
from gpu_container.tsr.model import TSR
from openvino.tools import ovc

network = TSR.load(Path({str(directory)!r}))
accelerate(network)
network.encode(np.zeros((64, 64, 3), np.float32))
print(type(ovc.telemetry).__module__)
"""
    # the tests may run in somebody's CI, where openvino reports nothing anyway
    environment = {
        name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")
    }
    ran = subprocess.run(
        [sys.executable, "-c", script], env=environment | {"HOME": str(home)}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["openvino.tools.ovc.telemetry_stub"]
    assert not list(home.rglob("*"))
    assert sorted(directory.iterdir()) == weights


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependency, match=r"maquette\[openvino\]"):
        importlib.import_module(MODULE)
