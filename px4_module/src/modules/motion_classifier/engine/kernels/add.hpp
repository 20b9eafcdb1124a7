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

/** ADD of two tensors, each with its own stride in every dimension of the output (0 where it is broadcast). */
template <class Shape>
inline void add(const int8_t *a, const int8_t *b, int8_t *output)
{
	for (int i = 0; i < Shape::kSize0; i++) {
		for (int j = 0; j < Shape::kSize1; j++) {
			for (int k = 0; k < Shape::kSize2; k++) {
				for (int l = 0; l < Shape::kSize3; l++) {
					const int32_t x = a[i * Shape::kStrideA0 + j * Shape::kStrideA1
							      + k * Shape::kStrideA2 + l * Shape::kStrideA3];
					const int32_t y = b[i * Shape::kStrideB0 + j * Shape::kStrideB1
							      + k * Shape::kStrideB2 + l * Shape::kStrideB3];
					// 20 bits of head room keep both terms exact to far below one output step.
					const int32_t sum = multiply_by_quantized_multiplier((x - Shape::kZeroPointA) * (int32_t{1} << 20),
							    Shape::kMultiplierA, Shape::kShiftA)
							    + multiply_by_quantized_multiplier((y - Shape::kZeroPointB) * (int32_t{1} << 20),
									    Shape::kMultiplierB, Shape::kShiftB);
					*output++ = requantize<Shape>(sum, Shape::kMultiplier, Shape::kShift);
				}
			}
		}
	}
}

} // namespace engine
} // namespace motion
