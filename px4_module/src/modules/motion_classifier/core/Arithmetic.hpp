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
 * @file Arithmetic.hpp
 *
 * The few operations whose result must not depend on the compiler, its options or the C library
 * (docs/signal_path.md). Every target computes the same bits as the NumPy reference.
 */

#pragma once

#include <float.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error "motion core: compile with -fno-unsafe-math-optimizations (and without -ffast-math): sums and means would change"
#endif

#if FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2
#error "motion core: float must be evaluated as float (on x86 use -mfpmath=sse)"
#endif

// A product computed by the caller (raw * scale) must be rounded before it is added to a sum. Inlined into the
// caller, the compiler could fuse the two into one multiply-add, which is allowed by default (-ffp-contract=fast).
#if defined(__GNUC__)
#define MOTION_NOINLINE __attribute__((noinline))
#else
#define MOTION_NOINLINE
#endif

namespace motion
{

inline uint32_t float_bits(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/// At most ±10 000, so neither infinite nor NaN: no sum or difference of such values can overflow.
inline bool is_plausible(float value)
{
	return (float_bits(value) & 0x7fffffffu) <= 0x461c4000u; // the bits of 10 000
}

// A value the optimiser cannot see through: a product in it is rounded before anything is added to it.
#if !defined(__GNUC__) || defined(MOTION_INTEGER_ROUNDING)
// none
#elif defined(__SSE2_MATH__)
#define MOTION_ROUNDED(value) __asm__("" : "+x"(value))
#elif defined(__aarch64__)
#define MOTION_ROUNDED(value) __asm__("" : "+w"(value))
#elif defined(__ARM_FP) && (__ARM_FP & 4) && !defined(__SOFTFP__)
#define MOTION_ROUNDED(value) __asm__("" : "+t"(value))
#endif

/// The nearest whole number, halves to even, saturated at ±512. Not rintf(): it is not to be had everywhere.
inline int32_t round_half_even(float value)
{
	value = value < 512.0f ? value : 512.0f;
	value = value > -512.0f ? value : -512.0f;
#if defined(MOTION_ROUNDED)
	// Above 2²³ a float has no fraction: the addition rounds, and the low bits of the sum are the whole number.
	MOTION_ROUNDED(value);
	value += 12582912.0f; // 1.5 · 2²³
	return static_cast<int32_t>(float_bits(value)) - 0x4b400000;
#else
	// The same in integers: elsewhere the addition could be fused with the product that made the value.
	const uint32_t bits = float_bits(value);
	const uint32_t exponent = (bits >> 23) & 0xffu;
	uint32_t magnitude = 0;

	if (exponent >= 127u - 1u) {
		const uint32_t mantissa = (bits & 0x7fffffu) | 0x800000u;
		const uint32_t shift = 127u + 23u - exponent; // 14…24 bits after the point
		const uint32_t half = uint32_t{1} << (shift - 1);
		const uint32_t rest = mantissa & ((half << 1) - 1);
		magnitude = mantissa >> shift;

		if (rest > half || (rest == half && (magnitude & 1u))) {
			++magnitude;
		}
	}

	return (bits >> 31) ? -static_cast<int32_t>(magnitude) : static_cast<int32_t>(magnitude);
#endif
}

} // namespace motion
