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

namespace motion
{
namespace engine
{

/**
 * DEPTHWISE_CONV_2D with a kernel of one row (filters over time): the values of one channel are put side by side once,
 * and each position is then a run of them times the kOutputs filters of that channel. Packed weights, see rows.hpp,
 * kChannelWeights of them for each input channel. Writes outputs of a channel at all positions before it reads the next.
 */
template <class Shape, class AnyChannel>
inline void depthwise_lines(const int8_t *input, const int16_t *weights, const AnyChannel *channels, int8_t *output)
{
	// Padding (the zero point) before and after, and what the last run needs to be whole words.
	constexpr int kLine = (Shape::kOutputWidth - 1) * Shape::kStrideWidth + Shape::kWords * 4;
	constexpr int kSeen = Shape::kInputWidth < kLine - Shape::kPadLeft ? Shape::kInputWidth : kLine - Shape::kPadLeft;
	int8_t line[kLine];

	for (int i = 0; i < kLine; i++) {
		line[i] = static_cast<int8_t>(Shape::kInputZeroPoint);
	}

	for (int y = 0; y < Shape::kOutputHeight; y++) {
		const int8_t *row = input + y * Shape::kStrideHeight * Shape::kInputWidth * Shape::kInputChannels;

		for (int c = 0; c < Shape::kInputChannels; c++) {
			for (int i = 0; i < kSeen; i++) {
				line[Shape::kPadLeft + i] = row[i * Shape::kInputChannels + c];
			}

			for (int x = 0; x < Shape::kOutputWidth; x++) {
				multiply_rows<Shape>(line + x * Shape::kStrideWidth, weights + c * Shape::kChannelWeights,
						     channels + c * Shape::kOutputs,
						     output + (y * Shape::kOutputWidth + x) * Shape::kOutputChannels
						     + c * Shape::kOutputs);
			}
		}
	}
}

} // namespace engine
} // namespace motion
