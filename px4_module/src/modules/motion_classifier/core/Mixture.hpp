/****************************************************************************
 *
 *   Copyright (c) 2026 px4-tinyml contributors. All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions
 * are met:
 *
 * 1. Redistributions of source code must retain the above copyright
 *    notice, this list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright
 *    notice, this list of conditions and the following disclaimer in
 *    the documentation and/or other materials provided with the
 *    distribution.
 * 3. Neither the name px4-tinyml nor the names of its contributors may be
 *    used to endorse or promote products derived from this software
 *    without specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS
 * "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT
 * LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS
 * FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE
 * COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT,
 * INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING,
 * BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS
 * OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED
 * AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT
 * LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN
 * ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
 * POSSIBILITY OF SUCH DAMAGE.
 *
 ****************************************************************************/

/**
 * @file Mixture.hpp
 *
 * An input for the model's self-test, made of two golden vectors and noise instead of being stored.
 */

#pragma once

#include <stdint.h>

namespace motion
{

struct Mixture {
	uint8_t first;  ///< number of a golden vector
	uint8_t second;
	uint8_t weight; ///< of the second one, in 1/64
	uint8_t noise;  ///< its amplitude, in 1/64 of the full scale
	uint32_t seed;

	void write(const int8_t *a, const int8_t *b, int8_t *input, uint32_t size) const
	{
		uint32_t state = seed;

		for (uint32_t i = 0; i < size; ++i) {
			state = state * 1664525u + 1013904223u; // Numerical Recipes' generator
			const int32_t random = static_cast<int32_t>(state >> 24) - 128;
			const int32_t mixed = (a[i] * (64 - weight) + b[i] * weight + random * noise) >> 6;
			input[i] = static_cast<int8_t>(mixed < -128 ? -128 : (mixed > 127 ? 127 : mixed));
		}
	}
};

} // namespace motion
