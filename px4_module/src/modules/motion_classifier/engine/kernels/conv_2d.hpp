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
#include "rows.hpp"
#include "window.hpp"

namespace motion
{
namespace engine
{

/** What the kernel sees at output (y, x), in the order of the weights; outside the image every value is the zero point. */
template <class Shape>
inline void gather_patch(const int8_t *input, int y, int x, int8_t *patch)
{
	for (int ky = 0; ky < Shape::kKernelHeight; ky++) {
		for (int kx = 0; kx < Shape::kKernelWidth; kx++) {
			const int8_t *seen = window_tap<Shape>(input, y, x, ky, kx);

			for (int i = 0; i < Shape::kInputChannels; i++) {
				*patch++ = seen ? seen[i] : static_cast<int8_t>(Shape::kInputZeroPoint);
			}
		}
	}
}

/**
 * CONV_2D: input[height][width][kInputChannels]; packed weights, see rows.hpp. Where the values under the kernel are
 * neighbours in memory (kContiguous: one row, no dilation) they are used where they are.
 */
template <class Shape, class AnyChannel>
inline void conv_2d(const int8_t *input, const int16_t *weights, const AnyChannel *channels, int8_t *output)
{
	constexpr bool kAlwaysInPlace = Shape::kContiguous && !Shape::kPadded;
	alignas(4) int8_t patch[kAlwaysInPlace ? 1 : Shape::kWords * 4] {};

	for (int y = 0; y < Shape::kOutputHeight; y++) {
		for (int x = 0; x < Shape::kOutputWidth; x++) {
			const int8_t *run = patch;

			if (kAlwaysInPlace || (Shape::kContiguous && window_is_inside<Shape>(y, x))) {
				run = window_start<Shape>(input, y, x);

			} else {
				gather_patch<Shape>(input, y, x, patch);
			}

			multiply_rows<Shape>(run, weights, channels, output);
			output += Shape::kOutputs;
		}
	}
}

} // namespace engine
} // namespace motion
