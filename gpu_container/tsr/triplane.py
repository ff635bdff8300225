"""The Field of a triplane: features looked up on three planes, and a small network that reads them.

Triplanes are those of Chan et al., "Efficient Geometry-aware 3D Generative Adversarial Networks" (CVPR 2022),
with TripoSR's conventions (Tochilkin et al., 2024): planes xy, xz and yz, the first letter along the width. A
plane's outermost texels lie half a texel inside the cube's faces; beyond them the features fade to zero.

The network's first layer is linear and sees the three planes' features side by side. So it is applied to the
planes once, texel by texel; what it gives at a point is the sum of 12 weighted rows of the table that results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F

from gpu_container.device import evaluate
from gpu_container.field import RADIUS, grid_axis
from gpu_container.tsr.decoder import OUTPUTS, Decoder
from gpu_container.tsr.kernel import PointKernel
from gpu_container.tsr.kernel_loops import Floats
from gpu_container.tsr.refine import refined_grid
from gpu_container.tsr.workers import Workers

#: steps of a ray, as the network was trained
RAY_SAMPLES = 128
#: the planes' axes: along the width, along the height
PLANES = ((0, 1), (0, 2), (1, 2))
#: points in one go: on one of the CPU's threads, and on another device
CPU_CHUNK = 1 << 13
DEVICE_CHUNK = 1 << 20
#: texels that a coarse step of a grid may span: no part is much thinner; and as if there were at least so many
COARSE_TEXELS = 4 / 3
LEAST_TEXELS = 64

#: weight ``(out, in)`` and bias ``(out,)`` of a linear layer
Layer = tuple[torch.Tensor, torch.Tensor]


class TriplaneField:
    """Density and colour of a scene code; see :class:`gpu_container.field.Field`."""

    def __init__(self, planes: torch.Tensor, decoder: Decoder) -> None:
        """Both must be on the same device.

        Args:
            planes: scene code ``(3, c, s, s)``.
            decoder: reads ``3 c`` features.
        """
        self.planes = planes
        self.decoder = decoder
        linear = [layer for layer in decoder.layers if isinstance(layer, torch.nn.Linear)]
        layers = [(layer.weight.detach().float(), layer.bias.detach().float()) for layer in linear]
        table = first_layer_table(planes.detach().float(), layers[0][0])
        self._network: PointNetwork
        self._network = CompiledNetwork(layers, table) if planes.is_cpu else TensorNetwork(layers, table)

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
        return self._network.radiance(points)

    def raw(self, points: torch.Tensor) -> torch.Tensor:
        """Raw density ``(n,) float32`` at ``points`` ``(n, 3)``."""
        return self._network.raw(points)

    def density_grid(self, resolution: int) -> torch.Tensor:
        """Raw density ``(r, r, r)``: the network's own wherever that matters, see ``refine.py``."""
        widest = int(resolution / max(self.planes.shape[-1], LEAST_TEXELS) * COARSE_TEXELS)
        step = 1 << max(0, widest.bit_length() - 1)
        spacing = 2 * RADIUS / (resolution - 1)
        beyond = RADIUS + spacing * torch.arange(1, step, device=self.device)
        axis = torch.cat([grid_axis(resolution, self.device), beyond])
        return refined_grid(lambda at: self.raw(axis[at]), resolution, step, RAY_SAMPLES, self.device)


def first_layer_table(planes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """What each texel adds to the first layer's output: ``(3, s + 2, s + 2, neurons)``, in a ring of zeros.

    Args:
        planes: ``(3, c, s, s)``.
        weight: ``(neurons, 3 c)`` of the first layer.
    """
    shares = torch.einsum("pchw,opc->phwo", planes, weight.reshape(-1, *planes.shape[:2]))
    return F.pad(shares, (0, 0, 1, 1, 1, 1))


class PointNetwork(Protocol):
    """Density and colour of points, from the first layer's table on."""

    def radiance(self, points: torch.Tensor) -> torch.Tensor:
        """See :meth:`TriplaneField.radiance`."""
        ...

    def raw(self, points: torch.Tensor) -> torch.Tensor:
        """See :meth:`TriplaneField.raw`."""
        ...


class CompiledNetwork:
    """On the CPU: the kernel, chunks side by side on as many threads as torch has."""

    def __init__(self, layers: Sequence[Layer], table: torch.Tensor) -> None:
        """See :class:`TensorNetwork`."""
        self.kernel = PointKernel([(weight.numpy(), bias.numpy()) for weight, bias in layers], table.numpy())

    def radiance(self, points: torch.Tensor) -> torch.Tensor:
        return self._computed(self.kernel.points, points, torch.empty(len(points), OUTPUTS))

    def raw(self, points: torch.Tensor) -> torch.Tensor:
        return self._computed(self.kernel.raw_density, points, torch.empty(len(points)))

    def _computed(
        self, compute: Callable[[Floats, Floats], None], points: torch.Tensor, result: torch.Tensor
    ) -> torch.Tensor:
        def work(start: int) -> None:
            part = slice(start, start + CPU_CHUNK)
            compute(places[part], numbers[part])

        places, numbers = points.numpy(), result.numpy()
        starts = range(0, len(points), CPU_CHUNK)
        with Workers(None if len(starts) > 1 else 1) as workers:
            workers.map(work, starts)
        return result


class TensorNetwork:
    """On any device: tensor calls."""

    def __init__(self, layers: Sequence[Layer], table: torch.Tensor) -> None:
        """
        Args:
            layers: the network's, the first one included.
            table: as :func:`first_layer_table` makes it.
        """
        self.first_bias = layers[0][1]
        self.inner, self.last = layers[1:-1], layers[-1]
        self.side = table.shape[1]
        self.rows = table.flatten(0, 2)

    def radiance(self, points: torch.Tensor) -> torch.Tensor:
        def work(chunk: torch.Tensor) -> torch.Tensor:
            decoded = self._decoded(chunk, OUTPUTS)
            decoded[:, 1:].sigmoid_()
            return decoded

        return evaluate(work, points, DEVICE_CHUNK)

    def raw(self, points: torch.Tensor) -> torch.Tensor:
        return evaluate(lambda chunk: self._decoded(chunk, 1)[:, 0], points, DEVICE_CHUNK)

    def _decoded(self, points: torch.Tensor, outputs: int) -> torch.Tensor:
        """The network's first ``outputs`` numbers ``(n, outputs)`` at ``points`` ``(n, 3)``."""
        hidden = F.silu(self._first_layer(points), inplace=True)
        for weight, bias in self.inner:
            hidden = F.silu(torch.addmm(bias, hidden, weight.T), inplace=True)
        weight, bias = self.last
        return torch.addmm(bias[:outputs], hidden, weight[:outputs].T)

    def _first_layer(self, points: torch.Tensor) -> torch.Tensor:
        """Its output ``(n, neurons)`` at ``points`` ``(n, 3)``."""
        # texel centres lie at whole numbers, the ring's first at 0
        at = ((points / RADIUS + 1) * ((self.side - 2) / 2) + 0.5).clamp(0, self.side - 1)
        low = at.floor().clamp_max(self.side - 2)
        high_share = at - low
        low_share = 1 - high_share
        texel = low.int()
        rows, shares = [], []
        for plane, (width, height) in enumerate(PLANES):
            corner = (texel[:, height] + plane * self.side) * self.side + texel[:, width]
            rows += [corner, corner + 1, corner + self.side, corner + self.side + 1]
            for across in (low_share[:, height], high_share[:, height]):
                shares += [low_share[:, width] * across, high_share[:, width] * across]
        summed: torch.Tensor = F.embedding_bag(
            torch.stack(rows, 1), self.rows, per_sample_weights=torch.stack(shares, 1), mode="sum"
        )
        return summed.add_(self.first_bias)
