"""The TripoSR network against numbers of the reference implementation, and what its checkpoints may hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from gpu_container.tsr.config import TSRConfig, read_config
from gpu_container.tsr.model import TSR
from infra.errors import WeightsCorrupt, WeightsMissing
from tests import checkpoints

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return checkpoints.golden()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return checkpoints.write_tiny(tmp_path / "tiny")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> TSR:
    return TSR.load(checkpoints.write_tiny(tmp_path_factory.mktemp("tiny")))


def assert_equal(computed: torch.Tensor, expected: np.ndarray, tolerance: float = TOLERANCE) -> None:
    assert computed.shape == expected.shape
    assert np.abs(computed.detach().numpy() - expected).max() < tolerance


def test_a_picture_is_resampled_as_the_reference_does_it(network: TSR, golden: dict[str, np.ndarray]) -> None:
    picture = golden["image_u8"].astype(np.float32) / 255
    assert_equal(network.prepare(picture).permute(1, 2, 0), golden["image_resized"])


def test_image_tokens_are_the_references(network: TSR, golden: dict[str, np.ndarray]) -> None:
    pixels = network.prepare(golden["image_resized"])
    mean, deviation = (torch.tensor(x)[:, None, None] for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    embedded = network.image_tokenizer.model.embeddings((pixels - mean) / deviation)
    assert_equal(embedded, golden["vit_embeddings"])
    assert_equal(network.image_tokenizer(pixels), golden["image_tokens"])


def test_the_backbones_output_is_the_references(network: TSR, golden: dict[str, np.ndarray]) -> None:
    out = network.backbone(network.tokenizer(), torch.from_numpy(golden["image_tokens"]))
    assert_equal(out.T, golden["backbone_out"])


def test_the_scene_code_is_the_references_from_pixels_and_from_a_pil_image(
    network: TSR, golden: dict[str, np.ndarray]
) -> None:
    picture = golden["image_u8"]
    assert_equal(network.encode(picture.astype(np.float32) / 255), golden["scene_codes"])
    assert_equal(network.encode(Image.fromarray(picture)), golden["scene_codes"])


def test_ckpt_and_safetensors_give_the_same_network(tmp_path: Path, golden: dict[str, np.ndarray]) -> None:
    picture = Image.fromarray(golden["image_u8"])
    codes = [
        TSR.load(checkpoints.write_tiny(tmp_path / file, file)).encode(picture)
        for file in ("model.ckpt", "model.safetensors")
    ]
    assert torch.equal(*codes)


def test_the_published_sizes_have_the_published_keys(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(checkpoints.FULL_CONFIG))
    config = read_config(tmp_path)
    assert config == TSRConfig()
    with torch.device("meta"):
        network = TSR(config)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert shapes == checkpoints.full_shapes()
    assert len(shapes) == 549
    assert sum(value.numel() for value in network.parameters()) == 419_275_628


def test_a_directory_without_weights_is_told_apart_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"model.safetensors nor model.ckpt"):
        TSR.load(tmp_path / "nowhere")
    directory = checkpoints.write_tiny(tmp_path / "tiny")
    (directory / "model.safetensors").write_bytes((directory / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(WeightsCorrupt, match="cannot be read"):
        TSR.load(directory)


def test_missing_extra_and_misshapen_tensors_are_refused_by_name(directory: Path) -> None:
    weights = load_file(directory / "model.safetensors")
    weights["decoder.layers.9.weight"] = weights.pop("decoder.layers.0.weight")
    weights["backbone.proj_in.bias"] = torch.zeros(3)
    save_file(weights, directory / "model.safetensors")
    with pytest.raises(WeightsCorrupt) as error:
        TSR.load(directory)
    assert "decoder.layers.0.weight is missing" in error.value.message
    assert "decoder.layers.9.weight has no place in the network" in error.value.message
    assert "backbone.proj_in.bias is (3,), not (32,)" in error.value.message


def test_whole_numbers_are_refused_as_weights(directory: Path) -> None:
    weights = load_file(directory / "model.safetensors")
    weights["backbone.proj_in.bias"] = weights["backbone.proj_in.bias"].int()
    save_file(weights, directory / "model.safetensors")
    with pytest.raises(WeightsCorrupt, match=r"backbone.proj_in.bias is torch.int32"):
        TSR.load(directory)


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran-from-a-pickle"),)  # type: ignore[return-value]


def test_code_in_a_checkpoint_is_refused_and_not_run(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (directory / "model.safetensors").unlink()
    torch.save({"weights": Payload()}, directory / "model.ckpt")
    with pytest.raises(WeightsCorrupt):
        TSR.load(directory)
    assert not (tmp_path / "ran-from-a-pickle").exists()


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("decoder.activation", "relu", r"decoder.activation is 'relu'"),
        ("renderer.radius", 1.0, r"renderer.radius is 1.0"),
        ("backbone.in_channels", 48, "48"),
        ("backbone.num_attention_heads", 3, "heads times their width"),
        ("image_tokenizer.vit.num_attention_heads", 5, "does not split into the heads"),
        ("cond_image_size", 60, "do not split into patches"),
        ("post_processor.out_channels", 9, r"decoder.in_channels is 24"),
        ("tokenizer.plane_size", None, r"tokenizer.plane_size is missing"),
    ],
)
def test_a_config_of_another_network_is_refused_by_name(
    directory: Path, key: str, value: object, named: str
) -> None:
    config = yaml.safe_load((directory / "config.yaml").read_text())
    *path, last = key.split(".")
    inner = config
    for part in path:
        inner = inner[part]
    inner[last] = value
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(WeightsCorrupt, match=named):
        TSR.load(directory)


def test_a_config_that_is_no_yaml_is_refused(directory: Path) -> None:
    (directory / "config.yaml").write_text("{a: [")
    with pytest.raises(WeightsCorrupt, match=r"config.yaml cannot be read"):
        TSR.load(directory)
    (directory / "config.yaml").write_text("just a sentence")
    with pytest.raises(WeightsCorrupt, match="does not describe"):
        TSR.load(directory)
