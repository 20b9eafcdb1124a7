"""Integer arithmetic of TensorFlow Lite Micro in NumPy: what "bit-identical" means (DESIGN §5).

Every function takes and gives int64 arrays that hold int32 values; none of them uses floating point except
`quantize_multiplier` and `preprocess_*`, which run once per model. The formats are gemmlowp's Qm.n, m integer
bits and n = 31 − m. px4_module/…/engine/fixed_point.hpp is the same in C++.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import ConversionError

I64 = NDArray[np.int64]

INT8_MIN, INT8_MAX = -128, 127
_ONE_Q0 = 2**31 - 1
SOFTMAX_INTEGER_BITS = 5
SOFTMAX_ACCUMULATOR_BITS = 12
LOGISTIC_INTEGER_BITS = 4

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
    return np.where(a == 0, _ONE_Q0, result)


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
    """1 / (1 + a) for 0 ≤ a < 1, Q0.31 in and out: three Newton steps in Q2.29."""
    half_denominator = (a + (1 << 31)) >> 1
    x = 1515870810 + high_mul(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - high_mul(half_denominator, x)
        x = x + (high_mul(x, error) << 2)
    doubled: I64 = np.minimum(x << 1, _ONE_Q0)
    return doubled


def preprocess_softmax(beta: float, input_scale: float) -> tuple[int, int, int]:
    """Multiplier, left shift and smallest difference that still counts, for one softmax."""
    real = min(beta * input_scale * float(1 << (31 - SOFTMAX_INTEGER_BITS)), 2.0**31 - 1.0)
    if real <= 1.0:
        raise ConversionError(f"softmax: beta · input scale is {beta * input_scale:g}, too small to be exact")
    multiplier, shift = quantize_multiplier(real)
    return multiplier, shift, -_input_radius(SOFTMAX_INTEGER_BITS, shift)


def preprocess_logistic(input_scale: float) -> tuple[int, int, int]:
    """Multiplier, left shift and input radius beyond which the sigmoid saturates."""
    real = input_scale * float(1 << (31 - LOGISTIC_INTEGER_BITS))
    if not 0.5 <= real < 2.0**31:
        raise ConversionError(f"logistic: input scale {input_scale:g} is out of range")
    multiplier, shift = quantize_multiplier(real)
    return multiplier, shift, _input_radius(LOGISTIC_INTEGER_BITS, shift)


def _input_radius(integer_bits: int, left_shift: int) -> int:
    largest = float(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)))
    return math.floor(largest / float(1 << left_shift))


def softmax(x: I64, multiplier: int, left_shift: int, diff_min: int) -> I64:
    """int8 softmax over the last axis; the output's scale is 1/256, its zero point −128."""
    difference = x - x.max(axis=-1, keepdims=True)
    counts = difference >= diff_min
    scaled = high_mul(np.where(counts, difference, 0) << left_shift, multiplier)
    exps = exp_on_negative_values(scaled, SOFTMAX_INTEGER_BITS)
    terms = rounding_shift_right(exps, SOFTMAX_ACCUMULATOR_BITS)
    total = np.where(counts, terms, 0).sum(axis=-1, keepdims=True)
    headroom = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    reciprocal = one_over_one_plus((total << headroom) - (1 << 31))
    exponent = SOFTMAX_ACCUMULATOR_BITS - headroom + 31 - 8
    output = rounding_shift_right(high_mul(reciprocal, exps), exponent) + INT8_MIN
    return np.where(counts, np.clip(output, INT8_MIN, INT8_MAX), INT8_MIN)


def logistic(x: I64, zero_point: int, multiplier: int, left_shift: int, radius: int) -> I64:
    """int8 sigmoid, element by element; the output's scale is 1/256, its zero point −128."""
    centred = x - zero_point
    inside = np.abs(centred) < radius
    scaled = multiply(np.where(inside, centred, 0), multiplier, left_shift)
    positive = one_over_one_plus(exp_on_negative_values(-np.abs(scaled), LOGISTIC_INTEGER_BITS))
    value = np.where(scaled > 0, positive, _ONE_Q0 - positive)
    value = np.where(scaled == 0, 1 << 30, value)
    output = np.clip(rounding_shift_right(value, 31 - 8) + INT8_MIN, INT8_MIN, INT8_MAX)
    return np.where(inside, output, np.where(centred > 0, INT8_MAX, INT8_MIN))
