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

#pragma once

#include <stdint.h>

#include "../fixed_point.hpp"

namespace motion
{
namespace engine
{

/** SOFTMAX over each of kRows rows of kDepth values: Q5.26 differences, sums in Q12.19, output in 1/256. May work in place. */
template <class Shape>
inline void softmax(const int8_t *input, int8_t *output)
{
	constexpr int kDifferenceBits = 5;
	constexpr int kSumBits = 12;
	constexpr bool kKept = Shape::kDepth <= 16;	// exponentials are kept where the stack has room for them

	for (int row = 0; row < Shape::kRows; row++) {
		int32_t largest = INT8_MIN;

		for (int i = 0; i < Shape::kDepth; i++) {
			largest = input[i] > largest ? input[i] : largest;
		}

		const auto exp_of = [&](int i) {
			return exp_on_negative_values<kDifferenceBits>(rounding_doubling_high_mul(
						shift_left(input[i] - largest, Shape::kLeftShift), Shape::kMultiplier));
		};

		int32_t sum = 0;
		int32_t kept[kKept ? Shape::kDepth : 1];

		for (int i = 0; i < Shape::kDepth; i++) {
			if (input[i] - largest >= Shape::kDifferenceMinimum) {
				const int32_t exp = exp_of(i);
				kept[kKept ? i : 0] = exp;
				sum += rounding_divide_by_pot(exp, kSumBits);
			}
		}

		// unsigned has 16 bits on small processors, unsigned long has 64 on large ones
		const int headroom = sizeof(unsigned) == 4 ? __builtin_clz(static_cast<unsigned>(sum))
				     : __builtin_clzl(static_cast<uint32_t>(sum));
		const uint32_t mantissa = static_cast<uint32_t>(sum) << headroom;	// 1 <= mantissa / 2^31 < 2
		const int32_t reciprocal = one_over_one_plus(static_cast<int32_t>(mantissa - (uint32_t{1} << 31)));
		const int exponent = kSumBits - headroom + 31 - 8;

		for (int i = 0; i < Shape::kDepth; i++) {
			int32_t x = INT8_MIN;

			if (input[i] - largest >= Shape::kDifferenceMinimum) {
				x += rounding_divide_by_pot(rounding_doubling_high_mul(reciprocal, kKept ? kept[i] : exp_of(i)), exponent);
			}

			output[i] = static_cast<int8_t>(x > INT8_MAX ? INT8_MAX : x);
		}

		input += Shape::kDepth;
		output += Shape::kDepth;
	}
}

} // namespace engine
} // namespace motion
