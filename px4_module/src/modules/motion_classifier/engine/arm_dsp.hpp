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

/**
 * Which instructions the kernels may use. MOTION_ARM_DSP is 1 on Arm cores with the DSP extension (Cortex-M4, M7, M33,
 * 32-bit Cortex-A); everywhere else, and where the compiler does not optimise and leaves assembly too few registers,
 * the portable kernels run, which are the definition.
 */

#pragma once

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED) && !defined(__ARM_BIG_ENDIAN)
#define MOTION_ARM_DSP 1
#else
#define MOTION_ARM_DSP 0
#endif

/** For what must not become a call, with -Os either: it would put sums into memory. */
#define MOTION_ALWAYS_INLINE inline __attribute__((always_inline))

#if MOTION_ARM_DSP

#include <arm_acle.h>
#include <string.h>

namespace motion
{
namespace engine
{

/** Four bytes from any address. */
inline uint32_t load_word(const int8_t *from)
{
	uint32_t word;
	memcpy(&word, from, sizeof(word));
	return word;
}

/** Bytes 0 and 2 of x, sign-extended, added to the two halves of sums. */
inline uint32_t sxtab16(uint32_t sums, uint32_t x)
{
	return static_cast<uint32_t>(__sxtab16(static_cast<int16x2_t>(sums), static_cast<int8x4_t>(x)));
}

/** The same for bytes 1 and 3. Assembly, because GCC 12 rotates with an instruction of its own. */
inline uint32_t sxtab16_ror8(uint32_t sums, uint32_t x)
{
	uint32_t result;
	asm("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(sums), "r"(x));
	return result;
}

/** a * b / 2^32, halves up. Assembly, because GCC 12 does not find the instruction. */
inline int32_t smmulr(int32_t a, int32_t b)
{
	int32_t result;
	asm("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
	return result;
}

} // namespace engine
} // namespace motion

#endif
