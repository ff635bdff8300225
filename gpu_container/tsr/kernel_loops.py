"""Compiled loops of :mod:`gpu_container.tsr.kernel`: from points to rows of a table, and through all layers.

A point's first layer is a weighted sum of rows of a table. *Taps* say of which, and how much of each.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_container.compiled import compiled
from gpu_container.field import RADIUS
from gpu_container.tsr.kernel_simd import TILE_ROWS, blend_silu, dense_silu, read_out

Floats = NDArray[np.float32]
#: floats, or pairs of half-precision numbers as ``uint32``
Words = NDArray[Any]


class Network(NamedTuple):
    """Weights as :data:`decode` reads them.

    Width w is the number of neurons, filled up with zeros to b blocks of c columns.
    """

    #: (w,) float32, scaled
    first_bias: NDArray[np.float32]
    #: (layers, b, words that w numbers take, c)
    weights: Words
    #: (layers, b, c), scaled; of a pair, the second is 0
    biases: Words
    #: (4, w) float32
    last_weights: NDArray[np.float32]
    #: (4,) float32, scaled
    last_bias: NDArray[np.float32]


#: the files that write the instructions of :data:`decode`
_INSTRUCTIONS = [Path(__file__).with_name(name) for name in ("kernel_simd.py", "kernel_vectors.py")]


def _decoder(instructions: int) -> Any:
    """The function :data:`decode`.

    numba keeps machine code until the function's own file changes, and keeps it apart by the values that the
    function closes over. So it closes over a checksum of the files that write its instructions.
    """

    @compiled
    def decode(
        table: NDArray[np.float32],
        rows: NDArray[np.int32],
        shares: NDArray[np.float32],
        network: Network,
        scratch: Words,
        out: NDArray[np.float32],
    ) -> None:
        """All layers of n points, a tile of them at a time.

        Args:
            table: ``(..., w)``, rows of numbers that the first layer adds up, scaled.
            rows: ``(taps, n)`` which of them.
            shares: ``(taps, n)`` their weights in the sum.
            scratch: ``(2, tile, words)``, a layer's inputs and outputs; a tile is a multiple of ``TILE_ROWS``.
            out: ``(n, 1)`` raw density, or ``(n, 4)`` raw density and colour 0..1.
        """
        _ = instructions
        taps, points = rows.shape
        width = network.first_bias.shape[0]
        layers, blocks, words, columns = network.weights.shape
        tile = scratch.shape[1]
        for first in range(0, points, tile):
            count = min(tile, points - first)
            here, there = 0, tile * words
            for p in range(count):
                blend_silu(
                    table, width, rows, shares, taps, points, first + p, network.first_bias, scratch, p * words
                )
            for number in range(layers * blocks):
                block = number % blocks
                for p in range(0, count, TILE_ROWS):
                    weights_at, biases_at = number * words * columns, number * columns
                    target_at = there + p * words + block * (words // blocks)
                    dense_silu(
                        scratch, here + p * words, words,
                        network.weights, weights_at, network.biases, biases_at,
                        scratch, target_at,
                    )  # fmt: skip
                if block == blocks - 1:
                    here, there = there, here
            weights, bias = network.last_weights, network.last_bias
            for p in range(count):
                if out.shape[1] == 1:
                    read_out(scratch, here + p * words, width, weights, bias, 1, out, first + p)
                else:
                    read_out(scratch, here + p * words, width, weights, bias, 4, out, (first + p) * 4)

    return decode


decode = _decoder(zlib.crc32(b"".join(path.read_bytes() for path in _INSTRUCTIONS)))


@compiled
def point_taps(points: Floats, side: int, rows: NDArray[np.int32], shares: Floats) -> None:
    """Four corners on each of three planes ``(side, side)`` with their rings, for bilinear interpolation.

    A plane's texel centres lie half a texel inside the cube, the ring's half a texel outside.
    """
    n = points.shape[0]
    one = np.float32(1)
    low = np.empty((3, n), np.int32)
    share = np.empty((3, n), np.float32)
    for axis in range(3):
        for i in range(n):
            low[axis, i], share[axis, i] = _texel(points[i, axis], side)
    for plane, (across, up) in enumerate(((0, 1), (0, 2), (1, 2))):
        for i in range(n):
            row = np.int32((plane * side + low[up, i]) * side + low[across, i])
            x, y = share[across, i], share[up, i]
            tap = 4 * plane
            rows[tap, i], shares[tap, i] = row, (one - x) * (one - y)
            rows[tap + 1, i], shares[tap + 1, i] = row + 1, x * (one - y)
            rows[tap + 2, i], shares[tap + 2, i] = row + side, (one - x) * y
            rows[tap + 3, i], shares[tap + 3, i] = row + side + 1, x * y


@compiled
def _texel(coordinate: float, side: int) -> tuple[np.int32, np.float32]:
    """The texel before a coordinate, ring included, and how far 0..1 it is from there to the next."""
    half = np.float32((side - 2) / 2)
    at = (np.float32(coordinate) / np.float32(RADIUS) + np.float32(1)) * half + np.float32(0.5)
    at = min(max(at, np.float32(0)), np.float32(side - 1))
    low = min(max(np.int32(at), np.int32(0)), np.int32(side - 2))
    return low, at - np.float32(low)


@compiled
def lattice_taps(cells: NDArray[np.int64], resolution: int, rows: NDArray[np.int32]) -> None:
    """The rows of a lattice's points: on planes xy, xz and yz."""
    r = np.uint32(resolution)
    for i in range(cells.shape[0]):
        above = np.uint32(cells[i]) // r
        z = np.uint32(cells[i]) - above * r
        x = above // r
        y = above - x * r
        rows[0, i] = x * r + y
        rows[1, i] = (r + x) * r + z
        rows[2, i] = (r + r + y) * r + z


@compiled
def resample(planes: Floats, axis: Floats, table: Floats) -> None:
    """Planes ``(3, side, side, w)`` at all pairs of coordinates, by their letters: ``(3, r, r, w)``."""
    side, width = planes.shape[1], planes.shape[3]
    one = np.float32(1)
    for plane in range(3):
        for i in range(axis.shape[0]):
            across, x = _texel(axis[i], side)
            for j in range(axis.shape[0]):
                up, y = _texel(axis[j], side)
                for k in range(width):
                    near = (one - x) * planes[plane, up, across, k] + x * planes[plane, up, across + 1, k]
                    far = (one - x) * planes[plane, up + 1, across, k] + x * planes[
                        plane, up + 1, across + 1, k
                    ]
                    table[plane, i, j, k] = (one - y) * near + y * far
