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
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F

from gpu_container.field import RADIUS, grid_axis
from gpu_container.tsr.decoder import Decoder

#: steps of a ray, as the network was trained
RAY_SAMPLES = 128
#: the planes' axes: along the width, along the height
PLANES = ((0, 1), (0, 2), (1, 2))
#: points in one go: on a CPU's core few enough to stay in its cache, elsewhere enough to fill the device
CPU_CHUNK = 1 << 12
DEVICE_CHUNK = 1 << 20


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
        return (self.radiance(points)[:, 0] - 1).exp()

    def color(self, points: torch.Tensor) -> torch.Tensor:
        """sRGB ``(n, 3)`` in 0..1 at ``points`` ``(n, 3)``."""
        return self.radiance(points)[:, 1:]

    def radiance(self, points: torch.Tensor) -> torch.Tensor:
        """Raw density, then sRGB 0..1, in one go: ``(n, 4) float32`` at ``points`` ``(n, 3)``."""
        result = points.new_empty(len(points), 4)

        def work(part: slice) -> None:
            decoded = self._decoded(self._gathered(points[part]))
            result[part, 0] = decoded[:, 0]
            torch.sigmoid(decoded[:, 1:], out=result[part, 1:])

        self._in_parts(work, len(points))
        return result

    def density_grid(self, resolution: int) -> torch.Tensor:
        """Raw density ``(r, r, r)``."""
        axis = grid_axis(resolution, self.device)
        grid = torch.empty((resolution,) * 3, device=self.device)
        flat = grid.view(-1)

        def work(part: slice) -> None:
            number = torch.arange(part.start, part.stop, device=self.device)
            x, y, z = number // resolution**2, number // resolution % resolution, number % resolution
            points = torch.stack([axis[x], axis[y], axis[z]], dim=-1)
            flat[part] = self._decoded(self._gathered(points))[:, 0]

        self._in_parts(work, resolution**3)
        return grid

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

    def _decoded(self, hidden: torch.Tensor) -> torch.Tensor:
        """All layers after the first: ``(n, 4)`` of ``hidden`` ``(n, neurons)``, which is used up."""
        F.silu(hidden, inplace=True)
        for weight, bias in zip(self._weights[1:-1], self._biases[1:-1], strict=True):
            hidden = F.silu(torch.addmm(bias, hidden, weight.T), inplace=True)
        return torch.addmm(self._biases[-1], hidden, self._weights[-1].T)

    def _in_parts(self, work: Callable[[slice], None], count: int) -> None:
        """``work`` on every part of ``0..count``."""
        on_cpu = self.device.type == "cpu"
        chunk = CPU_CHUNK if on_cpu else DEVICE_CHUNK
        parts = [slice(start, min(start + chunk, count)) for start in range(0, count, chunk)]
        threads = min(torch.get_num_threads(), len(parts)) if on_cpu else 1
        if threads <= 1:
            for part in parts:
                work(part)
            return
        whole = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                for _ in pool.map(work, parts):
                    pass
        finally:
            torch.set_num_threads(whole)
