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

/** Adds four products, each to a sum of its own. */
MOTION_ALWAYS_INLINE void add_four_products(const int8_t *x, const int8_t *weights, int32_t (&sums)[4])
{
#if MOTION_ARM_DSP
	const uint32_t four_x = load_word(x);
	const uint32_t four_weights = load_word(weights);
	const int16x2_t even_x = static_cast<int16x2_t>(sxtab16(0, four_x));
	const int16x2_t even_weights = static_cast<int16x2_t>(sxtab16(0, four_weights));
	const int16x2_t odd_x = static_cast<int16x2_t>(sxtab16_ror8(0, four_x));
	const int16x2_t odd_weights = static_cast<int16x2_t>(sxtab16_ror8(0, four_weights));
	sums[0] = __smlabb(even_x, even_weights, sums[0]);
	sums[1] = __smlabb(odd_x, odd_weights, sums[1]);
	sums[2] = __smlatt(even_x, even_weights, sums[2]);
	sums[3] = __smlatt(odd_x, odd_weights, sums[3]);
#else

	for (int i = 0; i < 4; i++) {
		sums[i] += x[i] * weights[i];
	}

#endif
}

/**
 * DEPTHWISE_CONV_2D: weights[kernel height][kernel width][kPaddedOutputs], four channels at a time. kOutputChannels is a
 * multiple of kInputChannels, kPaddedOutputs the next multiple of four: up to three bytes behind the input are read.
 */
template <class Shape, class AnyChannel>
inline void depthwise_conv_2d(const int8_t *input, const int8_t *weights, const AnyChannel *channels, int8_t *output)
{
	constexpr int kDepthMultiplier = Shape::kOutputChannels / Shape::kInputChannels;
	constexpr int8_t kZero = static_cast<int8_t>(Shape::kInputZeroPoint);
	const int8_t kOutside[4] = {kZero, kZero, kZero, kZero};

	for (int y = 0; y < Shape::kOutputHeight; y++) {
		for (int x = 0; x < Shape::kOutputWidth; x++) {
			for (int o = 0; o < Shape::kOutputChannels; o += 4) {
				const int count = Shape::kOutputChannels - o < 4 ? Shape::kOutputChannels - o : 4;
				const int8_t *w = weights + o;
				int32_t sums[4] {};

				for (int ky = 0; ky < Shape::kKernelHeight; ky++) {
					for (int kx = 0; kx < Shape::kKernelWidth; kx++) {
						const int8_t *seen = window_tap<Shape>(input, y, x, ky, kx);

						if (kDepthMultiplier == 1) {
							add_four_products(seen ? seen + o : kOutside, w, sums);

						} else {
							int8_t four[4] = {kZero, kZero, kZero, kZero};

							for (int i = 0; seen && i < 4; i++) {
								four[i] = seen[(o + i) / kDepthMultiplier];
							}

							add_four_products(four, w, sums);
						}

						w += Shape::kPaddedOutputs;
					}
				}

				const int32_t doubled[4] = {2 * sums[0], 2 * sums[1], 2 * sums[2], 2 * sums[3]};
				requantize_four<Shape>(doubled, count, channels + o, output);
				output += count;
			}
		}
	}
}

} // namespace engine
} // namespace motion
