/****************************************************************************
 *
 *   Copyright (c) 2026 px4-tinyml contributors. All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 *
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the documentation
 *    and/or other materials provided with the distribution.
 *
 * 3. Neither the name of the copyright holder nor the names of its
 *    contributors may be used to endorse or promote products derived from
 *    this software without specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS"
 * AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE
 * IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 *
 ****************************************************************************/

/**
 * Integer arithmetic of TensorFlow Lite Micro (double rounding), bit for bit: see docs/engine.md.
 * Formats are gemmlowp's Qm.n, m integer bits and n = 31 - m. The same in NumPy: px4_tinyml/compiler/fixed_point.py.
 * Right shifts of negative numbers are arithmetic, as every compiler for our targets has them.
 */

#pragma once

#include <stdint.h>

#include "arm_dsp.hpp"

namespace motion
{
namespace engine
{

/** Folded bias and rescaling of one output channel, for requantize(); the rest is the same for the whole layer. */
struct Channel {
	int32_t doubled_bias;
	int32_t multiplier;
};

/** Where the shift is not the same for the whole layer. */
struct ShiftedChannel {
	int32_t doubled_bias;
	int32_t multiplier;
	int32_t offset;		///< half an output step and the zero point, before the shift
	int32_t right_shift;
};

/** a * b / 2^32, halves up. */
inline int32_t rounding_high_mul(int32_t a, int32_t b)
{
#if MOTION_ARM_DSP
	return smmulr(a, b);
#else
	return static_cast<int32_t>((static_cast<int64_t>(a) * b + (int64_t{1} << 31)) >> 32);
#endif
}

/** a * b / 2^31, halves up. a = b = -2^31 would overflow; one operand here is always a constant or below 1. */
inline int32_t rounding_doubling_high_mul(int32_t a, int32_t b)
{
	return static_cast<int32_t>((static_cast<int64_t>(a) * b + (int64_t{1} << 30)) >> 31);
}

/** x / 2^exponent, halves away from zero; exponent 0..31. */
inline int32_t rounding_divide_by_pot(int32_t x, int exponent)
{
	const int32_t mask = static_cast<int32_t>((uint32_t{1} << exponent) - 1);
	const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
	return (x >> exponent) + ((x & mask) > threshold ? 1 : 0);
}

/** x * 2^exponent, wrapping; exponent 0..31. */
inline int32_t shift_left(int32_t x, int exponent)
{
	return static_cast<int32_t>(static_cast<uint32_t>(x) << exponent);
}

/** x * multiplier * 2^(shift - 31), rounded twice. */
inline int32_t multiply_by_quantized_multiplier(int32_t x, int32_t multiplier, int shift)
{
	const int left = shift > 0 ? shift : 0;
	return rounding_divide_by_pot(rounding_doubling_high_mul(shift_left(x, left), multiplier), left - shift);
}

inline int32_t clamp(int32_t x, int32_t minimum, int32_t maximum)
{
	return x < minimum ? minimum : (x > maximum ? maximum : x);
}

/** The same to the range of a fused activation, for an output byte. */
template <class Shape>
inline int8_t clamp_output(int32_t x)
{
#if MOTION_ARM_DSP

	if (Shape::kMinimum == INT8_MIN && Shape::kMaximum == INT8_MAX) {
		return static_cast<int8_t>(__ssat(x, 8));
	}

#endif
	return static_cast<int8_t>(clamp(x, Shape::kMinimum, Shape::kMaximum));
}

/** From an accumulator to the output byte: rescale, add the zero point, apply the fused activation. */
template <class Shape>
inline int8_t requantize(int32_t accumulator, int32_t multiplier, int shift)
{
	return clamp_output<Shape>(multiply_by_quantized_multiplier(accumulator, multiplier, shift) + Shape::kOutputZeroPoint);
}

/**
 * The same for twice an accumulator and a shift of 1 to 22 bits to the right: doubled, it takes one multiplication, and
 * half an output step and the zero point are one addition. Halves below zero go away from it, for which there is no need
 * to care when a RELU is going to cut them off.
 */
template <class Shape>
MOTION_ALWAYS_INLINE int8_t requantize_down(int32_t doubled, int32_t multiplier, int32_t offset, int right_shift)
{
	int32_t x = rounding_high_mul(doubled, multiplier);

	if (Shape::kMinimum < Shape::kOutputZeroPoint) {
		x += x >> 31;
	}

	return clamp_output<Shape>((x + offset) >> right_shift);
}

/** requantize() of twice an accumulator, in the way that is exact for this layer. */
template <class Shape>
MOTION_ALWAYS_INLINE int8_t requantize(int32_t doubled, const Channel &channel)
{
	constexpr int32_t kOffset = (2 * Shape::kOutputZeroPoint + 1) * (int32_t{1} << (Shape::kRightShift - 1));
	return requantize_down<Shape>(doubled, channel.multiplier, kOffset, Shape::kRightShift);
}

template <class Shape>
MOTION_ALWAYS_INLINE int8_t requantize(int32_t doubled, const ShiftedChannel &channel)
{
	if (Shape::kDownShifts) {
		return requantize_down<Shape>(doubled, channel.multiplier, channel.offset, channel.right_shift);
	}

	return requantize<Shape>(doubled / 2, channel.multiplier, -channel.right_shift);
}

/**
 * requantize() of the first `count` of four doubled sums; kStep: 1, or 0 where all have the same channel.
 * Not a loop: compilers would keep the sums in memory for one.
 */
template <class Shape, int kStep = 1, class AnyChannel>
MOTION_ALWAYS_INLINE void requantize_four(const int32_t (&doubled)[4], int count, const AnyChannel *channels, int8_t *output)
{
	output[0] = requantize<Shape>(channels[0].doubled_bias + doubled[0], channels[0]);

	if (count > 1) {
		output[1] = requantize<Shape>(channels[kStep].doubled_bias + doubled[1], channels[kStep]);
	}

	if (count > 2) {
		output[2] = requantize<Shape>(channels[2 * kStep].doubled_bias + doubled[2], channels[2 * kStep]);
	}

	if (count > 3) {
		output[3] = requantize<Shape>(channels[3 * kStep].doubled_bias + doubled[3], channels[3 * kStep]);
	}
}

/** exp(a) in Q0.31 for a <= 0 in Q(IntegerBits): Taylor series within a quarter, then powers of e by the bits left. */
template <int IntegerBits>
inline int32_t exp_on_negative_values(int32_t a)
{
	constexpr int kFractionalBits = 31 - IntegerBits;
	constexpr int32_t kQuarter = int32_t{1} << (kFractionalBits - 2);

	if (a == 0) {
		return INT32_MAX;
	}

	const int32_t a_mod_quarter = (a & (kQuarter - 1)) - kQuarter;

	// Around -1/8: exp(-1/8) * (1 + x + x^2/2 + x^3/6 + x^4/24), all Q0.31.
	constexpr int32_t kExpMinusEighth = 1895147668;
	constexpr int32_t kThird = 715827883;
	const int32_t x = a_mod_quarter * (int32_t{1} << IntegerBits) + (int32_t{1} << 28);
	const int32_t x2 = rounding_doubling_high_mul(x, x);
	const int32_t x3 = rounding_doubling_high_mul(x2, x);
	const int32_t x4_over_4 = rounding_divide_by_pot(rounding_doubling_high_mul(x2, x2), 2);
	const int32_t tail = rounding_divide_by_pot(
				     rounding_doubling_high_mul(x4_over_4 + x3, kThird) + x2, 1);
	int32_t result = kExpMinusEighth + rounding_doubling_high_mul(kExpMinusEighth, x + tail);

	// exp(-1/4), exp(-1/2), exp(-1), exp(-2), exp(-4), exp(-8), exp(-16)
	constexpr int32_t kExpOfMinus[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
	const int32_t remainder = a_mod_quarter - a;

	for (int i = 0; i < IntegerBits + 2; i++) {
		if ((remainder >> (kFractionalBits - 2 + i)) & 1) {
			result = rounding_doubling_high_mul(result, kExpOfMinus[i]);
		}
	}

	return result;
}

/** 1 / (1 + a) for 0 <= a < 1, Q0.31 in and out: three Newton steps in Q2.29. */
inline int32_t one_over_one_plus(int32_t a)
{
	const int32_t half_denominator = static_cast<int32_t>((static_cast<uint32_t>(a) + (uint32_t{1} << 31)) >> 1);
	int32_t x = 1515870810 + rounding_doubling_high_mul(half_denominator, -1010580540);  // 48/17 - 32/17 d

	for (int i = 0; i < 3; i++) {
		const int32_t error = (int32_t{1} << 29) - rounding_doubling_high_mul(half_denominator, x);
		x += rounding_doubling_high_mul(x, error) * 4;
	}

	return x > INT32_MAX / 2 ? INT32_MAX : x * 2;
}

} // namespace engine
} // namespace motion
