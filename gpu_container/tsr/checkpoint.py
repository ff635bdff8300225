"""The tensors of a checkpoint: read without running anything that is in the file, and fitted exactly."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from infra.errors import WeightsCorrupt, WeightsMissing

#: in the order of preference
FILES = ("model.safetensors", "model.ckpt")
#: how many keys an error names
_MOST_NAMED = 5


def find(directory: Path) -> Path:
    """The file in ``directory`` that holds the tensors.

    Raises:
        WeightsMissing: there is none.
    """
    for name in FILES:
        if (directory / name).is_file():
            return directory / name
    raise WeightsMissing(f"There is neither {' nor '.join(FILES)} in {directory}.")


def read(path: Path) -> dict[str, torch.Tensor]:
    """Name → tensor, on the CPU; pages of the file are read when they are used.

    Raises:
        WeightsCorrupt: the file is damaged or holds something other than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # weights_only: a pickle could otherwise run any code
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise WeightsCorrupt(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(stored, dict) or not all(isinstance(value, torch.Tensor) for value in stored.values()):
        raise WeightsCorrupt(f"{path} holds something other than a network's tensors.")
    return stored


def fit(network: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Give ``network`` these tensors, as float32, without a copy where they are that already.

    Raises:
        WeightsCorrupt: keys are missing, left over or of another shape; the message names them.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    problems = [
        *_named("is missing", sorted(expected.keys() - tensors.keys())),
        *_named("has no place in the network", sorted(tensors.keys() - expected.keys())),
    ]
    for name in sorted(expected.keys() & tensors.keys()):
        if (shape := tuple(tensors[name].shape)) != expected[name]:
            problems.append(f"{name} is {shape}, not {expected[name]}")
        elif not tensors[name].is_floating_point():
            problems.append(f"{name} is {tensors[name].dtype}, not floating point")
    if problems:
        raise WeightsCorrupt(f"{path} does not fit its config.yaml: {'; '.join(problems[: 2 * _MOST_NAMED])}.")
    network.load_state_dict({name: value.float() for name, value in tensors.items()}, assign=True)


def _named(what: str, keys: list[str]) -> list[str]:
    more = [f"{len(keys) - _MOST_NAMED} more {what}"] if len(keys) > _MOST_NAMED else []
    return [f"{key} {what}" for key in keys[:_MOST_NAMED]] + more
