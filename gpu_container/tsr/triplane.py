"""The Field of a triplane: features looked up on three planes, and a small network that reads them.

Triplanes are those of Chan et al., "Efficient Geometry-aware 3D Generative Adversarial Networks" (CVPR 2022),
with TripoSR's conventions (Tochilkin et al., 2024): planes xy, xz and yz, the first letter along the width. A
plane's outermost texels lie half a texel inside the cube's faces; beyond them the features fade to zero.

The network's first layer is linear and sees the three planes' features side by side. So it is applied to the
planes once, texel by texel, and what is summed for a point is already the layer's output: 12 weighted rows for
a free point, three for a point of a grid.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from gpu_container.device import evaluate
from gpu_container.field import RADIUS, grid_axis
from gpu_container.tsr.decoder import OUTPUTS, Decoder
from gpu_container.tsr.refine import refined_grid
from gpu_container.tsr.side_by_side import side_by_side

#: steps of a ray, as the network was trained
RAY_SAMPLES = 128
#: the planes' axes: along the width, along the height
PLANES = ((0, 1), (0, 2), (1, 2))
#: points in one go: on a CPU's core few enough to stay in its cache, elsewhere enough to fill the device
CPU_CHUNK = 1 << 14
DEVICE_CHUNK = 1 << 20
#: texels that a coarse step of a grid may span: no part is much thinner; and as if there were at least so many
COARSE_TEXELS = 4 / 3
LEAST_TEXELS = 64


class TriplaneField:
    """Density and colour of a scene code; see :class:`gpu_container.field.Field`.

    On the CPU chunks of points run side by side, each on one thread, on as many threads as torch has.
    """

    def __init__(self, planes: torch.Tensor, decoder: Decoder) -> None:
        """Both must be on the same device.

        Args:
            planes: scene code ``(3, c, s, s)``.
            decoder: reads ``3 c`` features.
        """
        self.planes = planes
        self.decoder = decoder
        linear = [layer for layer in decoder.layers if isinstance(layer, torch.nn.Linear)]
        self._weights = [layer.weight.detach().float() for layer in linear]
        self._biases = [layer.bias.detach().float() for layer in linear]
        count, channels, self._size, _ = planes.shape
        first = self._weights[0].reshape(-1, count, channels)
        #: the first layer's share of each plane, (3, s, s, neurons)
        self._projected = torch.einsum("pchw,opc->phwo", planes.detach().float(), first)
        # with a ring of zeros around each plane: what lies outside fades to nothing, as it should
        ringed = F.pad(self._projected, (0, 0, 1, 1, 1, 1))
        self._table = ringed.reshape(-1, first.shape[0]).contiguous()

    @property
    def device(self) -> torch.device:
        return self.planes.device

    @property
    def ray_samples(self) -> int:
        return RAY_SAMPLES

    def to(self, device: torch.device) -> TriplaneField:
        """The same field with its tensors on ``device``."""
        decoder = Decoder.from_state_dict(self.decoder.state_dict()).to(device)
        return TriplaneField(self.planes.to(device), decoder)

    def density(self, points: torch.Tensor) -> torch.Tensor:
        """Activated density ``(n,)`` at ``points`` ``(n, 3)``."""
        return (self.raw(points) - 1).exp()

    def color(self, points: torch.Tensor) -> torch.Tensor:
        """sRGB ``(n, 3)`` in 0..1 at ``points`` ``(n, 3)``."""
        return self.radiance(points)[:, 1:]

    def radiance(self, points: torch.Tensor) -> torch.Tensor:
        """Raw density, then sRGB 0..1, in one go: ``(n, 4) float32`` at ``points`` ``(n, 3)``."""
        return self._in_chunks(self._radiance, points)

    def raw(self, points: torch.Tensor) -> torch.Tensor:
        """Raw density ``(n,) float32`` at ``points`` ``(n, 3)``."""
        return self._in_chunks(self._raw, points)

    def density_grid(self, resolution: int) -> torch.Tensor:
        """Raw density ``(r, r, r)``: the network's where the surface and its soft skin are, see ``refine``."""
        widest = int(resolution / max(self._size, LEAST_TEXELS) * COARSE_TEXELS)
        step = 1 << max(0, widest.bit_length() - 1)
        spacing = 2 * RADIUS / (resolution - 1)
        beyond = RADIUS + spacing * torch.arange(1, step, device=self.device)
        axis = torch.cat([grid_axis(resolution, self.device), beyond])
        return refined_grid(lambda at: self.raw(axis[at]), resolution, step, RAY_SAMPLES, self.device)

    def _in_chunks(
        self, function: Callable[[torch.Tensor], torch.Tensor], points: torch.Tensor
    ) -> torch.Tensor:
        """``function(points)``, some points at a time."""
        if self.device.type != "cpu":
            return evaluate(function, points, DEVICE_CHUNK)
        if len(points) <= CPU_CHUNK:
            return function(points)
        return torch.cat(side_by_side(function, torch.split(points, CPU_CHUNK)))

    def _radiance(self, points: torch.Tensor) -> torch.Tensor:
        decoded = self._decoded(self._gathered(points), OUTPUTS)
        decoded[:, 1:].sigmoid_()
        return decoded

    def _raw(self, points: torch.Tensor) -> torch.Tensor:
        return self._decoded(self._gathered(points), 1)[:, 0]

    def _gathered(self, points: torch.Tensor) -> torch.Tensor:
        """The first layer's output ``(n, neurons)`` at ``points`` ``(n, 3)``."""
        side = self._size + 2
        # texel centres lie at whole numbers, the ring's first at 0
        at = ((points / RADIUS + 1) * (self._size / 2) + 0.5).clamp(0, side - 1)
        low = at.floor().clamp_max(side - 2)
        high_share = at - low
        low_share = 1 - high_share
        texel = low.int()
        rows, shares = [], []
        for plane, (width, height) in enumerate(PLANES):
            corner = (texel[:, height] + plane * side) * side + texel[:, width]
            rows += [corner, corner + 1, corner + side, corner + side + 1]
            for across in (low_share[:, height], high_share[:, height]):
                shares += [low_share[:, width] * across, high_share[:, width] * across]
        summed: torch.Tensor = F.embedding_bag(
            torch.stack(rows, 1), self._table, per_sample_weights=torch.stack(shares, 1), mode="sum"
        )
        return summed.add_(self._biases[0])

    def _decoded(self, hidden: torch.Tensor, outputs: int) -> torch.Tensor:
        """The network's first ``outputs`` numbers ``(n, outputs)``; uses up ``hidden`` ``(n, neurons)``."""
        F.silu(hidden, inplace=True)
        for weight, bias in zip(self._weights[1:-1], self._biases[1:-1], strict=True):
            hidden = F.silu(torch.addmm(bias, hidden, weight.T), inplace=True)
        return torch.addmm(self._biases[-1][:outputs], hidden, self._weights[-1][:outputs].T)
