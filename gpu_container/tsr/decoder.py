"""The point network: features of a point in space to its density and colour.

A plain multi-layer perceptron as in Mildenhall et al., "NeRF" (ECCV 2020), without view directions. Its tensors
have the names of the published checkpoint: ``layers.0.weight``, ``layers.2.weight`` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

#: what comes out for a point: raw density, then red, green and blue before the sigmoid
OUTPUTS = 4


class Decoder(nn.Module):
    """``hidden_layers`` linear layers with SiLU, and a linear one to ``OUTPUTS`` numbers."""

    def __init__(self, in_channels: int = 120, neurons: int = 64, hidden_layers: int = 9) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in [in_channels] + [neurons] * (hidden_layers - 1):
            layers += [nn.Linear(width, neurons), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(neurons, OUTPUTS))

    @classmethod
    def from_state_dict(cls, state: Mapping[str, torch.Tensor]) -> Decoder:
        """A decoder of the size that ``state`` has, with its values.

        Args:
            state: ``layers.0.weight (neurons, in_channels)``, ``layers.0.bias (neurons,)`` and so on.

        Raises:
            KeyError: there is no first layer.
            RuntimeError: a layer is missing, unknown or of the wrong shape; the message names it.
        """
        neurons, in_channels = state["layers.0.weight"].shape
        weights = sum(name.endswith(".weight") for name in state)
        decoder = cls(in_channels, neurons, weights - 1)
        decoder.load_state_dict(state)
        return decoder

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """``(n, 4)`` raw density and raw colour of ``features`` ``(n, in_channels)``."""
        result: torch.Tensor = self.layers(features)
        return result
