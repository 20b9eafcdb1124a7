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

#include "engine/fixed_point.hpp"

namespace motion
{
namespace engine
{

/** MEAN of input[kKeep0][kReduce0][kKeep1][kReduce1][kKeep2] over the two reduced dimensions. */
template <class Shape>
inline void mean(const int8_t *input, int8_t *output)
{
	for (int k0 = 0; k0 < Shape::kKeep0; k0++) {
		for (int k1 = 0; k1 < Shape::kKeep1; k1++) {
			for (int k2 = 0; k2 < Shape::kKeep2; k2++) {
				int32_t sum = -Shape::kSumOffset;

				for (int r0 = 0; r0 < Shape::kReduce0; r0++) {
					for (int r1 = 0; r1 < Shape::kReduce1; r1++) {
						sum += input[(((k0 * Shape::kReduce0 + r0) * Shape::kKeep1 + k1) * Shape::kReduce1 + r1)
							     * Shape::kKeep2 + k2];
					}
				}

				*output++ = requantize<Shape>(sum, Shape::kMultiplier, Shape::kShift);
			}
		}
	}
}

} // namespace engine
} // namespace motion
