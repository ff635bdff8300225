"""The point network on a CPU, fused: a few points at a time go through all layers without leaving the cache.

Layer by layer over many points, as a library of matrix products would do it, every layer writes all its numbers
to memory and reads them again, and SiLU is a slow pass of its own. Here ``TILE`` points are taken from the
planes' table to their density and colour in one go, on one thread; :mod:`gpu_container.tsr.kernel_simd` has the
inner loops and explains how they keep the processor busy.

What a point's first layer gives before SiLU is a weighted sum of rows of a table that is made of the planes
beforehand: 12 rows for a free point (four texels on each of three planes), 3 for a point of a lattice, to which
the planes are resampled once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_container.tsr.kernel_loops import Floats, Network, Words, decode, lattice_taps, point_taps, resample
from gpu_container.tsr.kernel_simd import SCALE, TILE_ROWS
from gpu_container.tsr.kernel_vectors import HALF_LOWEST, machine

Precision = Literal["float32", "float16"]

#: points that go through the network together: their numbers and a layer's weights share the first-level cache
TILE = 8 * TILE_ROWS
#: points whose taps are laid out together
BATCH = 1 << 12
OUTPUTS = 4
_LARGEST_HALF = 65504.0
_CACHE_LINE = 64


class Lattice(NamedTuple):
    """The planes resampled to the points of a regular grid; made by :meth:`PointKernel.lattice`."""

    #: r
    resolution: int
    #: (3, r, r, w), scaled: planes xy, xz, yz, indexed by their letters
    table: Floats


class PointKernel:
    """Density and colour of points; numpy in, numpy out.

    Methods let go of the interpreter's lock, use one thread, and can be called from many at a time. The first
    call on a machine compiles for some two seconds.

    With a precision of ``"float32"`` results are as near to the exact ones as those of any other program that
    computes in floats. ``"float16"`` has numbers of 11 bits between the layers, where the processor multiplies
    vectors of them and the network's weights leave them room (:attr:`precisions`); elsewhere it is the same as
    ``"float32"``.
    """

    def __init__(self, layers: Sequence[tuple[Floats, Floats]], table: Floats) -> None:
        """
        Args:
            layers: weight ``(out, in)`` and bias ``(out,)`` of each linear layer; SiLU stands between them.
                All but the last give ``neurons`` numbers, the last 4: raw density and raw colour.
            table: ``(3, s + 2, s + 2, neurons)``: planes xy, xz and yz after the first layer's weight, without
                its bias, indexed by their second letter, then the first, in a ring of zeros.

        Raises:
            ValueError: shapes do not fit together.
        """
        layers = [(np.asarray(w, np.float32), np.asarray(b, np.float32)) for w, b in layers]
        neurons = layers[0][1].shape[0]
        inner, last = layers[1:-1], layers[-1]
        if table.ndim != 4 or table.shape != (3, table.shape[1], table.shape[1], neurons):
            raise ValueError(
                f"the table's shape is {table.shape}: not three square planes of {neurons} neurons"
            )
        if any(w.shape != (neurons, neurons) for w, _ in inner) or last[0].shape != (OUTPUTS, neurons):
            raise ValueError(f"layers of {[w.shape for w, _ in layers]} are not those of a point network")
        self._side = table.shape[1]
        self._table = _aligned(_padded(np.asarray(table, np.float32) * np.float32(SCALE)))
        self._networks: dict[Precision, Network] = {"float32": _packed(layers, _float_words)}
        if machine().half and _largest_sum(inner) < _LARGEST_HALF:
            self._networks["float16"] = _packed(layers, _half_words)

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Those in which this machine can compute this network."""
        return tuple(self._networks)

    def points(self, points: Floats, out: Floats, precision: Precision = "float32") -> None:
        """Raw density, then sRGB 0..1.

        Args:
            points: ``(n, 3) float32``, anywhere.
            out: ``(n, 4) float32``, filled.
        """
        self._at_points(points, _checked(out, (len(points), OUTPUTS)), precision)

    def raw_density(self, points: Floats, out: Floats, precision: Precision = "float32") -> None:
        """Raw density into ``out`` ``(n,) float32`` at ``points`` ``(n, 3) float32``."""
        self._at_points(points, _checked(out, (len(points),))[:, None], precision)

    def lattice(self, axis: Floats) -> Lattice:
        """The planes at all pairs of ``axis`` ``(r,) float32``: coordinates of a grid's points on each axis."""
        axis = np.require(axis, np.float32, ["C", "W"])
        resolution, width = len(axis), self._table.shape[-1]
        table = _aligned_empty((3, resolution, resolution, width), np.float32)
        resample(self._table, axis, table)
        return Lattice(resolution, table)

    def lattice_density(
        self, lattice: Lattice, cells: NDArray[np.int64], out: Floats, precision: Precision = "float32"
    ) -> None:
        """Raw density at points of a lattice.

        Args:
            cells: ``(n,) int64``, each point's number ``(x r + y) r + z``. Points that follow each other along
                z are fastest.
            out: ``(n,) float32``, filled.

        Raises:
            IndexError: a number is not one of the lattice's.
        """
        cells = np.require(cells, np.int64, ["C", "W"])
        if len(cells) and not 0 <= cells.min() <= cells.max() < lattice.resolution**3:
            raise IndexError(f"cells outside 0..{lattice.resolution**3 - 1}")
        out = _checked(out, (len(cells),))
        for start in range(0, len(cells), BATCH):
            part = slice(start, start + BATCH)
            rows, shares = _taps(3, len(cells[part]))
            lattice_taps(cells[part], lattice.resolution, rows)
            shares.fill(1)
            self._decode(lattice.table, rows, shares, out[part, None], precision)

    def _at_points(self, points: Floats, out: Floats, precision: Precision) -> None:
        points = np.require(points, np.float32, ["C", "W"])
        for start in range(0, len(points), BATCH):
            part = slice(start, start + BATCH)
            rows, shares = _taps(12, len(points[part]))
            point_taps(points[part], self._side, rows, shares)
            self._decode(self._table, rows, shares, out[part], precision)

    def _decode(
        self, table: Floats, rows: NDArray[np.int32], shares: Floats, out: Floats, precision: Precision
    ) -> None:
        network = self._networks.get(precision, self._networks["float32"])
        words = network.weights.shape[2]
        # TILE points twice: a layer's inputs and its outputs; zeros, for numbers that are never read still cost
        # time if they are too small for the processor's fast path
        scratch = _aligned(np.zeros((2, TILE, words), network.weights.dtype))
        decode(table, rows, shares, network, scratch, out)


def _largest_sum(layers: Sequence[tuple[Floats, Floats]]) -> float:
    """How far from zero any sum in any layer can get, over inputs down to ``HALF_LOWEST``."""
    return max((float((abs(w).sum(1) * -HALF_LOWEST + abs(b * SCALE)).max()) for w, b in layers), default=0.0)


def _packed(
    layers: Sequence[tuple[Floats, Floats]],
    as_words: Callable[[Floats, Floats], tuple[Words, Words]],
) -> Network:
    """The weights laid out for the inner loops, scaled and filled up with zeros."""
    (_, first_bias), *inner, (last_weights, last_bias) = layers
    width = _padded(first_bias).shape[0]
    weights = np.zeros((len(inner), width, width), np.float32)  # inputs, then neurons
    biases = np.zeros((len(inner), width), np.float32)
    for number, (weight, bias) in enumerate(inner):
        weights[number, : weight.shape[1], : weight.shape[0]] = weight.T
        biases[number, : bias.shape[0]] = bias * SCALE
    weight_words, bias_words = as_words(weights, biases)
    return Network(
        _aligned(_padded(first_bias * np.float32(SCALE))),
        _aligned(weight_words),
        _aligned(bias_words),
        _aligned(_padded(last_weights)),
        _aligned(last_bias * np.float32(SCALE)),
    )


def _float_words(weights: Floats, biases: Floats) -> tuple[Words, Words]:
    """``(layers, b, w, c)`` and ``(layers, b, c)`` of ``(layers, w, w)`` and ``(layers, w)``."""
    layers, width, _ = weights.shape
    columns = machine().columns
    blocks = width // columns
    return (
        weights.reshape(layers, width, blocks, columns).swapaxes(1, 2),
        biases.reshape(layers, blocks, columns),
    )


def _half_words(weights: Floats, biases: Floats) -> tuple[Words, Words]:
    """``(layers, b, w / 2, c)`` and ``(layers, b, c)``, of pairs.

    A word holds the weights of inputs 2k and 2k + 1. Of each two vectors the first has the even neurons, the
    second the odd ones: summed up and interleaved they stand in order.
    """
    layers, width, _ = weights.shape
    lanes, columns = machine().lanes, machine().columns
    blocks, twos = width // columns, columns // (2 * lanes)
    pairs = weights.reshape(layers, width // 2, 2, blocks, twos, lanes, 2)
    pairs = pairs.transpose(0, 3, 1, 4, 6, 5, 2)  # layer, block, input, two vectors, which of them, lane, half
    sums = biases.reshape(layers, blocks, twos, lanes, 2).swapaxes(3, 4)
    sums = np.stack([sums, np.zeros_like(sums)], axis=-1)
    words = [np.ascontiguousarray(half, np.float16).view(np.uint32) for half in (pairs, sums)]
    return words[0].reshape(layers, blocks, width // 2, columns), words[1].reshape(layers, blocks, columns)


def _padded(values: Floats) -> Floats:
    """The last axis filled up with zeros to whole blocks of the register tile."""
    missing = -values.shape[-1] % machine().columns
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)])


def _taps(count: int, points: int) -> tuple[NDArray[np.int32], Floats]:
    return np.empty((count, points), np.int32), np.empty((count, points), np.float32)


def _aligned_empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array that begins where a line of the cache does: no vector in it straddles two."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def _aligned(values: Any) -> Any:
    copy = _aligned_empty(values.shape, values.dtype)
    copy[...] = values
    return copy


def _checked(out: Floats, shape: tuple[int, ...]) -> Floats:
    if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(f"out must be contiguous float32 of shape {shape}, not {out.dtype} {out.shape}")
    return out
