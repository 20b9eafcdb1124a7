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

/** Twice the sums of four neighbouring columns of kRows rows, kStride bytes apart. */
template <int kRows, int kStride>
inline void sum_columns(const int8_t *input, int32_t (&doubled)[4])
{
#if MOTION_ARM_DSP
	constexpr int kBlock = 256;	// rows that sums of 16 bits can take

	for (int done = 0; done < kRows; done += kBlock) {
		uint32_t even = 0;
		uint32_t odd = 0;

		for (int row = done; row < kRows && row < done + kBlock; row++) {
			const uint32_t four = load_word(input);
			even = sxtab16(even, four);
			odd = sxtab16_ror8(odd, four);
			input += kStride;
		}

		doubled[0] += 2 * static_cast<int16_t>(even);
		doubled[1] += 2 * static_cast<int16_t>(odd);
		doubled[2] += 2 * static_cast<int16_t>(even >> 16);
		doubled[3] += 2 * static_cast<int16_t>(odd >> 16);
	}

#else

	for (int row = 0; row < kRows; row++) {
		for (int i = 0; i < 4; i++) {
			doubled[i] += 2 * input[i];
		}

		input += kStride;
	}

#endif
}

/**
 * MEAN of input[kKeep0][kReduce0][kKeep1][kReduce1][kKeep2] over the two reduced dimensions. Without the second,
 * as in a mean over time, four columns go together; those that do not exist are read (up to three bytes behind the
 * input) and left out.
 */
template <class Shape, class AnyChannel>
inline void mean(const int8_t *input, const AnyChannel *channel, int8_t *output)
{
	constexpr bool kColumns = Shape::kReduce1 == 1 && Shape::kKeep2 == 1;

	for (int k0 = 0; kColumns && k0 < Shape::kKeep0; k0++) {
		for (int k1 = 0; k1 < Shape::kKeep1; k1 += 4) {
			const int count = Shape::kKeep1 - k1 < 4 ? Shape::kKeep1 - k1 : 4;
			int32_t doubled[4] {};
			sum_columns<Shape::kReduce0, Shape::kKeep1>(input + k1, doubled);
			requantize_four<Shape, 0>(doubled, count, channel, output);
			output += count;
		}

		input += Shape::kReduce0 * Shape::kKeep1;
	}

	for (int k0 = 0; !kColumns && k0 < Shape::kKeep0; k0++) {
		for (int k1 = 0; k1 < Shape::kKeep1; k1++) {
			for (int k2 = 0; k2 < Shape::kKeep2; k2++) {
				int32_t sum = 0;

				for (int r0 = 0; r0 < Shape::kReduce0; r0++) {
					for (int r1 = 0; r1 < Shape::kReduce1; r1++) {
						sum += input[(((k0 * Shape::kReduce0 + r0) * Shape::kKeep1 + k1) * Shape::kReduce1 + r1)
							     * Shape::kKeep2 + k2];
					}
				}

				*output++ = requantize<Shape>(channel->doubled_bias + 2 * sum, *channel);
			}
		}
	}
}

} // namespace engine
} // namespace motion
