"""Instructions on vectors of numbers, as :mod:`gpu_container.tsr.kernel_simd` strings them together.

Written for LLVM, which turns a vector longer than the processor's registers into several. Where AVX-512 has one
instruction for what otherwise takes a handful, it is named.

SiLU is meant for numbers scaled by ``-log2 e``: with ``u = -log2(e) h`` it is ``u / (1 + 2^u)``, still scaled.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core.registry import cpu_target

INDEX, INT32 = ir.IntType(64), ir.IntType(32)
FLOAT, HALF = ir.FloatType(), ir.HalfType()

#: from here on u / (1 + 2^u) is as good as nothing, and 2^u still in range
HIGHEST = {FLOAT: 126.0, HALF: 15.0}
#: half-precision numbers are kept above this; their range ends at 65504
HALF_LOWEST = -512.0
_MANTISSA_BITS = {FLOAT: 23, HALF: 10}
#: of the polynomial for 2^f: its error stays below that of rounding
_DEGREE = {FLOAT: 5, HALF: 3}


@dataclass(frozen=True)
class Machine:
    """What the processor can do, as numba sees it; numba keeps machine code apart by the same facts."""

    avx512: bool
    #: it multiplies vectors of half-precision numbers, twice as many at a time
    half: bool

    @property
    def lanes(self) -> int:
        """32-bit words of a vector."""
        return 16 if self.avx512 else 8

    @property
    def vectors(self) -> int:
        """Vectors in a row of the register tile."""
        return 4 if self.avx512 else 2

    @property
    def columns(self) -> int:
        """Neurons of the register tile."""
        return self.lanes * self.vectors


@functools.cache
def machine() -> Machine:
    """This machine, or the one that ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` describe."""
    _, _, listed = cpu_target.target_context.codegen().magic_tuple()
    features = set(listed.split(","))
    avx512 = {"+avx512f", "+avx512dq"} <= features
    return Machine(avx512, avx512 and "+avx512fp16" in features)


class Vectors:
    """Writes instructions on vectors of ``lanes`` numbers of one kind."""

    def __init__(self, builder: ir.IRBuilder, element: ir.Type, lanes: int) -> None:
        self.builder, self.element, self.lanes = builder, element, lanes
        self.type = ir.VectorType(element, lanes)
        self.bits = 16 if element is HALF else 32
        self.suffix = f"v{lanes}f{self.bits}"

    def constant(self, value: float) -> ir.Constant:
        return ir.Constant(self.type, [value] * self.lanes)

    def call(self, name: str, returns: ir.Type, *operands: ir.Value) -> ir.Value:
        """Call a function that LLVM knows."""
        kind = ir.FunctionType(returns, [operand.type for operand in operands])
        return self.builder.call(self.builder.module.declare_intrinsic(name, fnty=kind), operands)

    def load(self, words: ir.Value, at: ir.Value) -> ir.Value:
        """The vector that begins at word ``at``."""
        place = self.builder.bitcast(self.builder.gep(words, [at]), self.type.as_pointer())
        return self.builder.load(place, align=4)

    def store(self, value: ir.Value, words: ir.Value, at: ir.Value) -> None:
        place = self.builder.bitcast(self.builder.gep(words, [at]), self.type.as_pointer())
        self.builder.store(value, place, align=4)

    def repeat(self, words: ir.Value, at: ir.Value) -> ir.Value:
        """The word at ``at`` in all places of a vector."""
        word = self.builder.load(self.builder.gep(words, [at]))
        places = self.lanes * self.bits // 32
        empty = ir.Constant(ir.VectorType(word.type, places), ir.Undefined)
        single = self.builder.insert_element(empty, word, index(0))
        return self.builder.bitcast(self.pick(single, single, [0] * places), self.type)

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """``a b + c``"""
        return self.call(f"llvm.fmuladd.{self.suffix}", self.type, a, b, c)

    def at_most(self, a: ir.Value, limit: float) -> ir.Value:
        bound = self.constant(limit)
        return self.builder.select(self.builder.fcmp_ordered("<", a, bound), a, bound)

    def at_least(self, a: ir.Value, limit: float) -> ir.Value:
        bound = self.constant(limit)
        return self.builder.select(self.builder.fcmp_ordered(">", a, bound), a, bound)

    def pick(self, a: ir.Value, b: ir.Value, lanes: Sequence[int]) -> ir.Value:
        """A vector of those lanes; those of ``b`` are counted on from those of ``a``."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes)))

    def pair_sums(self, a: ir.Value, b: ir.Value, run: int = 1) -> ir.Value:
        """Neighbours added up, those of ``a`` and ``b`` by turns: a0 + a1, b0 + b1, a2 + a3 …

        With a ``run`` of 2 it is pairs that are neighbours: a0 + a2, a1 + a3, b0 + b2 …
        """
        starts = range(0, self.lanes, 2 * run)
        first = [start + vector + i for start in starts for vector in (0, self.lanes) for i in range(run)]
        return self.builder.fadd(self.pick(a, b, first), self.pick(a, b, [lane + run for lane in first]))

    def fold(self, value: ir.Value, lanes: int) -> ir.Value:
        """A vector's halves added up, until ``lanes`` are left."""
        size = self.lanes
        while size > lanes:
            size //= 2
            low, high = range(size), range(size, 2 * size)
            value = self.builder.fadd(self.pick(value, value, low), self.pick(value, value, high))
        return value

    def one_plus_power(self, u: ir.Value) -> ir.Value:
        """``1 + 2^u`` for u up to ``HIGHEST``: a polynomial of u's fraction, shifted by its whole part."""
        builder = self.builder
        if self._is_whole_register:
            # one instruction for u - floor(u), one for p 2^floor(u)
            fraction = self._avx512("reduce", u, ir.Constant(INT32, 9))
            return builder.fadd(self._avx512("scalef", self._exp2(fraction, 0.0), u), self.constant(1.0))
        u = self.at_least(u, -HIGHEST[self.element])
        integers = ir.VectorType(ir.IntType(self.bits), self.lanes)
        whole = self.call(f"llvm.lrint.v{self.lanes}i{self.bits}.{self.suffix}", integers, u)
        fraction = builder.fsub(u, builder.sitofp(whole, self.type))
        exponent = builder.shl(whole, ir.Constant(integers, [_MANTISSA_BITS[self.element]] * self.lanes))
        power = builder.add(builder.bitcast(self._exp2(fraction, -0.5), integers), exponent)
        return builder.fadd(builder.bitcast(power, self.type), self.constant(1.0))

    def silu(self, u: ir.Value) -> ir.Value:
        """``u / (1 + 2^u)``"""
        u = self.at_most(u, HIGHEST[self.element])
        if self.element is HALF:
            u = self.at_least(u, HALF_LOWEST)
        divisor = self.one_plus_power(u)
        if not self._is_whole_register:
            return self.builder.fdiv(u, divisor)
        if self.element is HALF:
            return self.builder.fmul(u, self._avx512("rcp", divisor))
        # division is slow: take 14 bits of the inverse from a table, and double them by Newton's step
        inverse = self._avx512("rcp14", divisor)
        quotient = self.builder.fmul(u, inverse)
        error = self.multiply_add(self.builder.fneg(divisor), inverse, self.constant(1.0))
        return self.multiply_add(quotient, error, quotient)

    @property
    def _is_whole_register(self) -> bool:
        return machine().avx512 and self.lanes * self.bits == 512

    def _exp2(self, fraction: ir.Value, low: float) -> ir.Value:
        """2^f for f in ``low..low + 1``, by the polynomial of the least relative error."""
        degree = _DEGREE[self.element]
        f = low + 0.5 - 0.5 * np.cos(np.pi * (np.arange(400) + 0.5) / 400)
        relative = np.vander(f, degree + 1) / np.exp2(f)[:, None]
        highest, *others = (float(c) for c in np.linalg.lstsq(relative, np.ones(len(f)), rcond=None)[0])
        result = self.constant(highest)
        for coefficient in others:
            result = self.multiply_add(result, fraction, self.constant(coefficient))
        return result

    def _avx512(self, name: str, a: ir.Value, *operands: ir.Value) -> ir.Value:
        """An instruction of AVX-512 on a whole register."""
        family, kind = ("avx512fp16.mask", "ph") if self.element is HALF else ("avx512.mask", "ps")
        if name == "rcp14":
            family = "avx512"
        # no lane is masked out, and rounding is as usual (4)
        mode = [] if name.startswith("rcp") else [ir.Constant(INT32, 4)]
        mask = ir.Constant(ir.IntType(self.lanes), -1)
        full = f"llvm.x86.{family}.{name}.{kind}.512"
        return self.call(full, self.type, a, *operands, self.constant(0.0), mask, *mode)


def index(value: int) -> ir.Constant:
    return ir.Constant(INDEX, value)
