"""The loops of :mod:`gpu_container.tsr.kernel` that do nearly all the work, written as vector instructions.

Left to itself the compiler keeps a layer's sums in memory, and a processor then waits for memory instead of
multiplying. So three inner loops are spelled out in LLVM's language, through numba's ``@intrinsic``: compiled
Python calls them like functions, and they become part of it.

**The register tile** of :func:`dense_silu`. A core multiplies fastest when every vector that it loads is used
many times and every sum stays in a register::

                     4 vectors of weights: 64 neurons
                    [ w0  ][ w1  ][ w2  ][ w3  ]
    6 points   x0   [ s00 ][ s01 ][ s02 ][ s03 ]
               x1   [ s10 ][ s11 ][ s12 ][ s13 ]      for each input k:  s[p][v] += x[p][k] * w[k][v]
               ..   [     ][     ][     ][     ]
               x5   [ s50 ][ s51 ][ s52 ][ s53 ]

24 sums, 4 weights and the number being repeated fill 29 of AVX-512's 32 registers; 10 loads feed 24
multiply-adds, and a core can start two of each in a cycle. Processors with shorter vectors have a tile of the
same 6 rows and 2 vectors of 8 lanes, each of them one register on AVX2 and two on NEON.

**Two kinds of numbers.** All is laid out in 32-bit words. A word is one float, or, where the processor
multiplies such vectors, two half-precision numbers: then a repeated word holds inputs 2k and 2k + 1, a word of
weights the two weights that belong to them, and a word of sums two sums, which are added up in the end. The
loop is the same and has half as many turns. AVX-512's instruction for pairs of bfloat16 would fit in as well;
but measured on an Intel Xeon of model 207, it does half as many multiplications a second as that for floats.

**Scaled by -log2 e.** All layers' outputs are carried as ``u = -log2(e) h``. Linear layers do not mind (only
biases are scaled along), and SiLU, ``h / (1 + exp(-h))``, becomes ``u / (1 + 2^u)``, a multiplication less for
each number. The last layer takes the factor out again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending
from numba.core import cgutils, types

from gpu_container.tsr.kernel_vectors import FLOAT, HALF, HALF_LOWEST, HIGHEST, INDEX, Vectors, index, machine

#: what the numbers are multiplied with between the first layer and the last
SCALE = -math.log2(math.e)
#: rows of the register tile
TILE_ROWS = 6


class _Summing:
    """A loop ``for k in range(0, end, step)`` around sums that stay in registers::

    loop = _Summing(builder, end, step, starts)
    ... instructions that make new sums of loop.k and loop.sums ...
    loop.close(new)
    """

    def __init__(self, builder: ir.IRBuilder, end: ir.Value, step: int, starts: list[ir.Value]) -> None:
        before, self._body = builder.block, builder.append_basic_block("sum")
        self._builder, self._end, self._step = builder, end, step
        builder.branch(self._body)
        builder.position_at_end(self._body)
        self.k, *self.sums = (builder.phi(start.type) for start in [index(0), *starts])
        for held, start in zip([self.k, *self.sums], [index(0), *starts], strict=True):
            held.add_incoming(start, before)

    def close(self, new: list[ir.Value]) -> None:
        builder = self._builder
        following = builder.add(self.k, index(self._step))
        for held, value in zip([self.k, *self.sums], [following, *new], strict=True):
            held.add_incoming(value, self._body)
        done = builder.append_basic_block("summed")
        builder.cbranch(builder.icmp_unsigned("<", following, self._end), self._body, done)
        builder.position_at_end(done)


def _plain(
    context: Any, builder: ir.IRBuilder, signature: Any, arguments: Sequence[ir.Value]
) -> list[ir.Value]:
    """Arguments of a function with arrays as pointers to their first word."""
    return [
        context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


def _kept(builder: ir.IRBuilder, kind: types.Array) -> Vectors:
    """Whole registers of what an array's words hold: floats, or pairs of halves as ``uint32``."""
    halves = kind.dtype != types.float32
    return Vectors(builder, HALF if halves else FLOAT, machine().lanes * (1 + halves))


_intrinsic: Any = extending.intrinsic  # its own types do not know that the first argument is numba's


@_intrinsic
def dense_silu(  # type: ignore[no-untyped-def]
    _, source, source_at, words, weights, weights_at, biases, biases_at, target, target_at
):
    """A register tile of an inner layer: the numbers of ``TILE_ROWS`` points in a block of neurons.

    Args:
        source: the layer's inputs from word ``source_at`` on, ``(TILE_ROWS, words)``.
        weights: from ``weights_at`` on, ``(words, columns)``.
        biases: from ``biases_at`` on, ``(columns,)``.
        target: out, rows of ``words`` words, from ``target_at`` on. Of pairs, number ``2 j`` comes from word j
            of a vector of weights, and ``2 j + 1`` from that of the next vector.
    """
    i = types.intp
    signature = types.void(source, i, i, weights, i, biases, i, target, i)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        source, source_at, words, weights, weights_at, biases, biases_at, target, target_at = _plain(
            context, builder, signature, arguments
        )
        simd, lanes = _kept(builder, signature.args[0]), machine().lanes
        steps = [index(v * lanes) for v in range(machine().vectors)]
        starts = [simd.load(biases, builder.add(biases_at, step)) for step in steps]
        loop = _Summing(builder, words, 1, starts * TILE_ROWS)
        row = builder.add(weights_at, builder.mul(loop.k, index(machine().columns)))
        weight = [simd.load(weights, builder.add(row, step)) for step in steps]
        new = []
        for p in range(TILE_ROWS):
            row = builder.add(source_at, builder.mul(words, index(p)))
            repeated = simd.repeat(source, builder.add(row, loop.k))
            held = loop.sums[p * len(steps) : (p + 1) * len(steps)]
            new += [simd.multiply_add(repeated, w, s) for w, s in zip(weight, held, strict=True)]
        loop.close(new)
        if simd.element is HALF:
            new = [simd.pair_sums(a, b) for a, b in zip(new[::2], new[1::2], strict=True)]
        each = len(new) // TILE_ROWS
        for n, result in enumerate(new):
            row = builder.add(target_at, builder.mul(words, index(n // each)))
            simd.store(simd.silu(result), target, builder.add(row, steps[n % each]))
        return context.get_dummy_value()

    return signature, generate


@_intrinsic
def blend_silu(  # type: ignore[no-untyped-def]
    _, table, width, rows, shares, taps, points, point, bias, target, target_at
):
    """The first layer of a point: a weighted sum of rows.

    Args:
        table: ``(..., width) float32``.
        rows: ``(taps, points) int32``, which rows to sum for a point.
        shares: ``(taps, points) float32``, their weights.
        bias: ``(width,) float32``.
        target: out, ``width`` numbers from word ``target_at`` on.
    """
    i = types.intp
    signature = types.void(table, i, rows, shares, i, i, i, bias, target, i)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        table, width, rows, shares, taps, points, point, bias, target, target_at = _plain(
            context, builder, signature, arguments
        )
        kept = _kept(builder, signature.args[8])
        floats = Vectors(builder, FLOAT, kept.lanes)
        steps = [index(step) for step in range(0, machine().columns, kept.lanes)]
        with cgutils.for_range_slice(builder, index(0), width, index(machine().columns)) as (column, _):
            starts = [floats.load(bias, builder.add(column, step)) for step in steps]
            loop = _Summing(builder, taps, 1, starts)
            tap = builder.add(point, builder.mul(loop.k, points))
            row = builder.sext(builder.load(builder.gep(rows, [tap])), INDEX)
            begin = builder.add(builder.mul(row, width), column)
            share = floats.repeat(shares, tap)
            entries = [floats.load(table, builder.add(begin, step)) for step in steps]
            new = [floats.multiply_add(share, e, s) for e, s in zip(entries, loop.sums, strict=True)]
            loop.close(new)
            begin = builder.add(target_at, builder.udiv(column, index(32 // kept.bits)))
            for n, result in enumerate(new):
                if kept.element is HALF:
                    result = floats.at_least(floats.at_most(result, HIGHEST[HALF]), HALF_LOWEST)
                    result = builder.fptrunc(result, kept.type)
                kept.store(kept.silu(result), target, builder.add(begin, index(n * machine().lanes)))
        return context.get_dummy_value()

    return signature, generate


@_intrinsic(prefer_literal=True)
def read_out(  # type: ignore[no-untyped-def]
    _, source, source_at, width, weights, bias, outputs, target, target_at
):
    """The last layer of a point, freed of ``SCALE``.

    Args:
        source: ``width`` numbers from word ``source_at`` on.
        weights: ``(4, width) float32``.
        bias: ``(4,) float32``.
        outputs: a literal 1, raw density, or 4, then the sigmoid of three more.
        target: out, ``outputs`` floats from ``target_at`` on.
    """
    i = types.intp
    signature = types.void(source, i, i, weights, bias, outputs, target, i)
    count = outputs.literal_value

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        source, source_at, width, weights, bias, _, target, target_at = _plain(
            context, builder, signature, arguments
        )
        kept = _kept(builder, signature.args[0])
        floats = Vectors(builder, FLOAT, kept.lanes)
        loop = _Summing(builder, width, kept.lanes, [floats.constant(0.0)] * count)
        numbers = kept.load(source, builder.add(source_at, builder.udiv(loop.k, index(32 // kept.bits))))
        if kept.element is HALF:
            numbers = builder.fpext(numbers, floats.type)
        places = [builder.add(builder.mul(width, index(output)), loop.k) for output in range(count)]
        new = [
            floats.multiply_add(numbers, floats.load(weights, place), held)
            for place, held in zip(places, loop.sums, strict=True)
        ]
        loop.close(new)
        few = Vectors(builder, FLOAT, count)
        if count == 4:
            pairs = floats.pair_sums(new[0], new[1]), floats.pair_sums(new[2], new[3])
            new = [floats.pair_sums(pairs[0], pairs[1], run=2)]
        sums = builder.fadd(floats.fold(new[0], count), few.load(bias, index(0)))
        result = builder.fmul(sums, few.constant(1 / SCALE))
        if count == 4:
            inverse = few.one_plus_power(few.at_most(sums, HIGHEST[FLOAT]))
            sigmoid = builder.fdiv(few.constant(1.0), inverse)
            result = few.pick(result, sigmoid, [0, 5, 6, 7])
        few.store(result, target, target_at)
        return context.get_dummy_value()

    return signature, generate
