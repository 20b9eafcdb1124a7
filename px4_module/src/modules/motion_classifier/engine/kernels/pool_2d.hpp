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
#include "window.hpp"

namespace motion
{
namespace engine
{

/** MAX_POOL_2D: padding is left out. */
template <class Shape>
inline void max_pool_2d(const int8_t *input, int8_t *output)
{
	for (int y = 0; y < Shape::kOutputHeight; y++) {
		for (int x = 0; x < Shape::kOutputWidth; x++) {
			for (int c = 0; c < Shape::kInputChannels; c++) {
				int32_t largest = INT8_MIN;

				for (int ky = 0; ky < Shape::kKernelHeight; ky++) {
					for (int kx = 0; kx < Shape::kKernelWidth; kx++) {
						const int8_t *seen = window_tap<Shape>(input, y, x, ky, kx);

						if (seen && seen[c] > largest) {
							largest = seen[c];
						}
					}
				}

				*output++ = static_cast<int8_t>(clamp(largest, Shape::kMinimum, Shape::kMaximum));
			}
		}
	}
}

/** AVERAGE_POOL_2D: padding is left out of sum and count; halves away from zero. */
template <class Shape>
inline void average_pool_2d(const int8_t *input, int8_t *output)
{
	for (int y = 0; y < Shape::kOutputHeight; y++) {
		for (int x = 0; x < Shape::kOutputWidth; x++) {
			for (int c = 0; c < Shape::kInputChannels; c++) {
				int32_t sum = 0;
				int32_t count = 0;

				for (int ky = 0; ky < Shape::kKernelHeight; ky++) {
					for (int kx = 0; kx < Shape::kKernelWidth; kx++) {
						const int8_t *seen = window_tap<Shape>(input, y, x, ky, kx);

						if (seen) {
							sum += seen[c];
							count++;
						}
					}
				}

				const int32_t half = count / 2;
				const int32_t average = (sum > 0 ? sum + half : sum - half) / count;
				*output++ = static_cast<int8_t>(clamp(average, Shape::kMinimum, Shape::kMaximum));
			}
		}
	}
}

} // namespace engine
} // namespace motion
