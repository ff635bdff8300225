"""The network's sizes, read from the checkpoint's ``config.yaml``.

The published file was written for a program that imports classes by the names found in it. Here the classes are
fixed; what the file says of them is checked, and only sizes are taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.errors import WeightsCorrupt

FILE = "config.yaml"


@dataclass(frozen=True)
class VisionConfig:
    """ViT (Dosovitskiy et al. 2021); the defaults are ViT-B/16 as trained by DINO (Caron et al. 2021)."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    patch_size: int = 16
    image_size: int = 224  # of the training: position embeddings are resampled from its grid of patches
    layer_norm_eps: float = 1e-12


@dataclass(frozen=True)
class TransformerConfig:
    """Transformer from triplane tokens to triplane tokens, looking at the image's."""

    in_channels: int = 1024
    num_attention_heads: int = 16
    attention_head_dim: int = 64
    num_layers: int = 16
    cross_attention_dim: int = 768
    norm_num_groups: int = 32


@dataclass(frozen=True)
class TSRConfig:
    """All of TripoSR (Tochilkin et al. 2024, arXiv:2403.02151); the defaults are the published model's."""

    cond_image_size: int = 512
    vision: VisionConfig = VisionConfig()
    plane_size: int = 32  # tokens along a plane's side; the planes come out twice as fine
    transformer: TransformerConfig = TransformerConfig()
    plane_channels: int = 40
    decoder_neurons: int = 64
    decoder_hidden_layers: int = 9


#: what the file must say where this code knows one way only
_FIXED = {
    "decoder.activation": "silu",
    "renderer.radius": 0.87,
    "renderer.feature_reduction": "concat",
    "renderer.density_activation": "exp",
    "renderer.density_bias": -1.0,
}
_VISION_MODEL = "facebook/dino-vitb16"


def read_config(directory: Path) -> TSRConfig:
    """The sizes in ``directory/config.yaml``.

    ``image_tokenizer.vit`` may hold the vision model's sizes; the published file names the model instead.

    Raises:
        WeightsCorrupt: it cannot be read, lacks a value, or describes another network.
    """
    path = directory / FILE
    try:
        given = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WeightsCorrupt(f"{path} cannot be read: {error}") from error
    try:
        return _parse(given)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsCorrupt(f"{path} does not describe a TripoSR network: {error}") from error


def _parse(given: Mapping[str, Any]) -> TSRConfig:
    for key, expected in _FIXED.items():
        if (value := _value(given, key, expected)) != expected:
            raise ValueError(f"{key} is {value!r}, and only {expected!r} is known here")
    vision = given["image_tokenizer"].get("vit")
    if (
        vision is None
        and (name := _value(given, "image_tokenizer.pretrained_model_name_or_path")) != _VISION_MODEL
    ):
        raise ValueError(f"the image tokenizer is {name!r}, and only {_VISION_MODEL!r} is known here")
    config = TSRConfig(
        cond_image_size=int(given["cond_image_size"]),
        vision=_fill(VisionConfig, vision or {}),
        plane_size=int(_value(given, "tokenizer.plane_size")),
        transformer=_fill(
            TransformerConfig, {key: _value(given, f"backbone.{key}") for key in given["backbone"]}
        ),
        plane_channels=int(_value(given, "post_processor.out_channels")),
        decoder_neurons=int(_value(given, "decoder.n_neurons")),
        decoder_hidden_layers=int(_value(given, "decoder.n_hidden_layers")),
    )
    _check(config, given)
    return config


def _check(config: TSRConfig, given: Mapping[str, Any]) -> None:
    """Sizes that are told twice must agree, and widths must split into heads and patches."""
    channels = config.transformer.in_channels
    pairs = {
        "tokenizer.num_channels": channels,
        "post_processor.in_channels": channels,
        "decoder.in_channels": 3 * config.plane_channels,
        "backbone.cross_attention_dim": config.vision.hidden_size,
    }
    for key, expected in pairs.items():
        if (value := _value(given, key)) != expected:
            raise ValueError(f"{key} is {value!r} where {expected} fits the rest")
    if config.transformer.num_attention_heads * config.transformer.attention_head_dim != channels:
        raise ValueError("backbone: heads times their width is not in_channels")
    if config.vision.hidden_size % config.vision.num_attention_heads:
        raise ValueError("image_tokenizer: the width does not split into the heads")
    if config.cond_image_size % config.vision.patch_size or config.vision.image_size % config.vision.patch_size:
        raise ValueError("image_tokenizer: the images do not split into patches")


def _value(given: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """The value at a dotted ``key``; ``${other.key}`` stands for the value there."""
    value: Any = given
    for part in key.split("."):
        value = value.get(part, default) if isinstance(value, Mapping) else default
    if isinstance(value, str) and (reference := re.fullmatch(r"\$\{([\w.]+)\}", value)) and reference[1] != key:
        return _value(given, reference[1])
    if value is None:
        raise KeyError(f"{key} is missing")
    return value


def _fill(kind: type[Any], given: Mapping[str, Any]) -> Any:
    """A config of ``kind`` with those values of ``given`` that it knows."""
    known = {name: given[name] for name in kind.__dataclass_fields__ if given.get(name) is not None}
    return kind(**known)
