"""Integer arithmetic of TensorFlow Lite Micro in NumPy, bit for bit.

Functions of arrays take and return int64 that hold int32 values. Only `quantize_multiplier` and `input_radius`, which
run once per model, use floating point. The formats are gemmlowp's Qm.n, m integer bits and n = 31 − m.
px4_module/…/engine/fixed_point.hpp is the counterpart in C++.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]

INT8_MIN, INT8_MAX = -128, 127
ONE_Q0 = 2**31 - 1
"""1 in Q0.31, saturated."""
_EXP_OF_MINUS = {
    -2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242,
}  # fmt: skip
"""exp(−2^k) in Q0.31."""


def round_half_away(x: float) -> int:
    """C's round()."""
    return math.floor(abs(x) + 0.5) * (-1 if x < 0 else 1)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """real = multiplier · 2^(shift − 31) with 2^30 ≤ multiplier < 2^31 (or 0)."""
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * 2.0**31)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def high_mul(a: I64, b: I64 | int) -> I64:
    """SaturatingRoundingDoublingHighMul: a·b / 2^31, halves up. (a = b = −2^31 cannot occur here.)"""
    return (a * b + (1 << 30)) >> 31


def rounding_shift_right(x: I64, exponent: I64 | int) -> I64:
    """RoundingDivideByPOT: x / 2^exponent, halves away from zero."""
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return np.asarray((x >> exponent) + ((x & mask) > threshold), dtype=np.int64)


def multiply(x: I64, multiplier: I64 | int, shift: I64 | int) -> I64:
    """MultiplyByQuantizedMultiplier, double rounding. A left shift wraps as int32 does."""
    left: I64 = np.maximum(np.asarray(shift, np.int64), 0)
    wrapped = (x << left).astype(np.int32).astype(np.int64)
    return rounding_shift_right(high_mul(wrapped, multiplier), left - shift)


def exp_on_negative_values(a: I64, integer_bits: int) -> I64:
    """exp(a) in Q0.31 for a ≤ 0 in Q(integer_bits)."""
    fractional_bits = 31 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    a_mod_quarter = (a & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(a_mod_quarter << integer_bits)
    remainder = a_mod_quarter - a
    for exponent, factor in _EXP_OF_MINUS.items():
        if exponent < integer_bits:
            bit = (remainder >> (fractional_bits + exponent)) & 1
            result = np.where(bit != 0, high_mul(result, factor), result)
    return np.where(a == 0, ONE_Q0, result)


def _exp_between_minus_quarter_and_zero(a: I64) -> I64:
    """Taylor series around −1/8, all Q0.31."""
    exp_minus_eighth, third = 1895147668, 715827883
    x = a + (1 << 28)
    x2 = high_mul(x, x)
    x3 = high_mul(x2, x)
    x4_over_4 = rounding_shift_right(high_mul(x2, x2), 2)
    tail = rounding_shift_right(high_mul(x4_over_4 + x3, third) + x2, 1)
    return exp_minus_eighth + high_mul(x + tail, exp_minus_eighth)


def one_over_one_plus(a: I64) -> I64:
    """1 / (1 + a) for 0 ≤ a < 1, Q0.31 in and out."""
    doubled: I64 = np.minimum(_two_over_one_plus(a) << 1, ONE_Q0)
    return doubled


def one_minus_over_one_plus(a: I64) -> I64:
    """(1 − a) / (1 + a) for 0 ≤ a < 1, Q0.31 in and out."""
    quadrupled: I64 = np.minimum((_two_over_one_plus(a) - (1 << 29)) << 2, ONE_Q0)
    return quadrupled


def _two_over_one_plus(a: I64) -> I64:
    """2 / (1 + a) in Q2.29, by three Newton steps."""
    half_denominator = (a + (1 << 31)) >> 1
    x = 1515870810 + high_mul(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - high_mul(half_denominator, x)
        x = x + (high_mul(x, error) << 2)
    return x


def input_radius(integer_bits: int, left_shift: int) -> int:
    """The largest input that stays below 2^integer_bits after the left shift."""
    largest = float(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)))
    return math.floor(largest / float(1 << left_shift))
