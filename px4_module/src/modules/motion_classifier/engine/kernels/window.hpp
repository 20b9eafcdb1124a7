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

namespace motion
{
namespace engine
{

/**
 * Channels of the input pixel under position (ky, kx) of the kernel when it computes output (y, x);
 * null where that is padding.
 */
template <class Shape>
inline const int8_t *window_tap(const int8_t *input, int y, int x, int ky, int kx)
{
	const int row = y * Shape::kStrideHeight - Shape::kPadTop + ky * Shape::kDilationHeight;
	const int column = x * Shape::kStrideWidth - Shape::kPadLeft + kx * Shape::kDilationWidth;

	if (Shape::kPadded && (row < 0 || row >= Shape::kInputHeight || column < 0 || column >= Shape::kInputWidth)) {
		return nullptr;
	}

	return input + (row * Shape::kInputWidth + column) * Shape::kInputChannels;
}

/** First channel under the kernel when it computes output (y, x). */
template <class Shape>
inline const int8_t *window_start(const int8_t *input, int y, int x)
{
	const int row = y * Shape::kStrideHeight - Shape::kPadTop;
	const int column = x * Shape::kStrideWidth - Shape::kPadLeft;
	return input + (row * Shape::kInputWidth + column) * Shape::kInputChannels;
}

/** Whether the kernel sees no padding when it computes output (y, x). */
template <class Shape>
inline bool window_is_inside(int y, int x)
{
	const int row = y * Shape::kStrideHeight - Shape::kPadTop;
	const int column = x * Shape::kStrideWidth - Shape::kPadLeft;
	return row >= 0 && row + (Shape::kKernelHeight - 1) * Shape::kDilationHeight < Shape::kInputHeight
	       && column >= 0 && column + (Shape::kKernelWidth - 1) * Shape::kDilationWidth < Shape::kInputWidth;
}

} // namespace engine
} // namespace motion
