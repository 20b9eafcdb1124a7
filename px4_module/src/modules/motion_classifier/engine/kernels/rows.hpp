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
 * Rows of weights times one run of input bytes: what FULLY_CONNECTED and CONV_2D are made of.
 *
 * Two rows share each 16-bit weight, 256 * high + low. Over a run of inputs x, all exact,
 *
 *	packed = sum(weight * x)	low = sum(low byte of weight * x)	high = (packed - low) / 256
 *
 * so that an Arm core with the DSP extension never widens the high row: three instructions for four products. The
 * weights are in the order in which such a core widens four input bytes, 0 2 1 3. px4_tinyml/generate/layout.py packs
 * them. A run is filled up to whole words with weights of zero: up to three bytes behind it are read, and do not count.
 */

#pragma once

#include <stdint.h>

#include "engine/arm_dsp.hpp"
#include "engine/fixed_point.hpp"

namespace motion
{
namespace engine
{

/** Sums over a run for the two rows of a pair; the high one is taken from `packed` block by block. */
struct PairSums {
	int32_t packed{0};
	int32_t low{0};
	int32_t doubled_high{0};

	void take_high()
	{
		doubled_high += (packed - low) >> 7;
		packed = low;
	}
};

#if MOTION_ARM_DSP

constexpr int kUnrolledWords = 12;

/** One word of input, widened to xa and xb, times a pair of rows. The weight is widened in place. */
#define MOTION_PRODUCTS(weight, x, pair) \
	"smlad %[packed" #pair "], " #weight ", %[" #x "], %[packed" #pair "]\n\t" \
	"sxtb16 " #weight ", " #weight "\n\t" \
	"smlad %[low" #pair "], " #weight ", %[" #x "], %[low" #pair "]\n\t"

#define MOTION_WIDEN_INPUT \
	"ldr %[xb], [%[x]], #4\n\t" \
	"sxtb16 %[xa], %[xb]\n\t" \
	"sxtb16 %[xb], %[xb], ror #8\n\t"

#define MOTION_TWO_PAIRS \
	MOTION_WIDEN_INPUT \
	"ldmia %[w]!, {r4, r5, r6, r8}\n\t" \
	MOTION_PRODUCTS(r4, xa, 0) \
	MOTION_PRODUCTS(r5, xa, 1) \
	MOTION_PRODUCTS(r6, xb, 0) \
	MOTION_PRODUCTS(r8, xb, 1)

#define MOTION_ONE_PAIR \
	MOTION_WIDEN_INPUT \
	"ldmia %[w]!, {r4, r5}\n\t" \
	MOTION_PRODUCTS(r4, xa, 0) \
	MOTION_PRODUCTS(r5, xb, 0)

/** Four words at a time, then the rest of them; short runs without a loop. */
#define MOTION_ALL_WORDS(step) \
	".if %c[loops]\n\t" \
	"1:\n\t" \
	".rept 4\n\t" step ".endr\n\t" \
	"cmp %[x], %[end]\n\t" \
	"bne 1b\n\t" \
	".endif\n\t" \
	".rept %c[rest]\n\t" step ".endr\n\t"

/**
 * Adds the products of kWords * 4 input bytes to the sums of two pairs of rows: 16 instructions for 16 products.
 * Assembly, because it needs 13 of the 14 registers and compilers (GCC 12) spill, or load weight by weight.
 */
template <int kWords>
inline void add_products(const int8_t *&input, const int16_t *&weights, PairSums &first, PairSums &second)
{
	constexpr int kLoops = kWords > kUnrolledWords ? kWords / 4 : 0;
	uint32_t xa, xb;
	const int8_t *end = input + kLoops * 16;
	asm volatile(MOTION_ALL_WORDS(MOTION_TWO_PAIRS)
		     : [x] "+r"(input), [w] "+r"(weights), [xa] "=&r"(xa), [xb] "=&r"(xb),
		     [packed0] "+r"(first.packed), [low0] "+r"(first.low),
		     [packed1] "+r"(second.packed), [low1] "+r"(second.low)
		     : [end] "r"(end), [loops] "i"(kLoops), [rest] "i"(kWords - 4 * kLoops)
		     : "r4", "r5", "r6", "r8", "cc", "memory");
}

/** The same for one pair: 10 instructions for 8 products. */
template <int kWords>
inline void add_products(const int8_t *&input, const int16_t *&weights, PairSums &sums)
{
	constexpr int kLoops = kWords > kUnrolledWords ? kWords / 4 : 0;
	uint32_t xa, xb;
	const int8_t *end = input + kLoops * 16;
	asm volatile(MOTION_ALL_WORDS(MOTION_ONE_PAIR)
		     : [x] "+r"(input), [w] "+r"(weights), [xa] "=&r"(xa), [xb] "=&r"(xb),
		     [packed0] "+r"(sums.packed), [low0] "+r"(sums.low)
		     : [end] "r"(end), [loops] "i"(kLoops), [rest] "i"(kWords - 4 * kLoops)
		     : "r4", "r5", "cc", "memory");
}

#undef MOTION_ALL_WORDS
#undef MOTION_ONE_PAIR
#undef MOTION_TWO_PAIRS
#undef MOTION_WIDEN_INPUT
#undef MOTION_PRODUCTS

#else

/** Adds the products of two input bytes to the sums of a pair of rows. */
inline void add_two_products(int32_t a, int32_t b, const int16_t *weights, PairSums &sums)
{
	sums.packed += weights[0] * a + weights[1] * b;
	sums.low += static_cast<int8_t>(weights[0]) * a + static_cast<int8_t>(weights[1]) * b;
}

/** Adds the products of kWords * 4 input bytes to the sums of two pairs of rows. This is the definition. */
template <int kWords>
inline void add_products(const int8_t *&input, const int16_t *&weights, PairSums &first, PairSums &second)
{
	for (int word = 0; word < kWords; word++) {
		add_two_products(input[0], input[2], weights, first);
		add_two_products(input[0], input[2], weights + 2, second);
		add_two_products(input[1], input[3], weights + 4, first);
		add_two_products(input[1], input[3], weights + 6, second);
		input += 4;
		weights += 8;
	}
}

/** The same for one pair. */
template <int kWords>
inline void add_products(const int8_t *&input, const int16_t *&weights, PairSums &sums)
{
	for (int word = 0; word < kWords; word++) {
		add_two_products(input[0], input[2], weights, sums);
		add_two_products(input[1], input[3], weights + 2, sums);
		input += 4;
		weights += 4;
	}
}

#endif

/** Adds the products of a block of words and takes the high sums. */
template <int kWords, int kPairs>
inline void add_block(const int8_t *&input, const int16_t *&weights, PairSums &first, PairSums &second)
{
	if (kPairs == 2) {
		add_products<kWords>(input, weights, first, second);
		second.take_high();

	} else {
		add_products<kWords>(input, weights, first);
	}

	first.take_high();
}

/** kCount rows, of one or two pairs; returns the weights of the rows that follow. */
template <class Shape, int kCount, class AnyChannel>
inline const int16_t *few_rows(const int8_t *input, const int16_t *weights, const AnyChannel *channels, int8_t *output)
{
	constexpr int kPairs = kCount > Shape::kRowsPerPair ? 2 : 1;
	constexpr int kRest = Shape::kWords % Shape::kBlockWords;
	PairSums first;
	PairSums second;

	// The high sum of a pair has 24 bits: where a run is too long for that, it is summed in blocks.
	for (int block = 0; block < Shape::kWords / Shape::kBlockWords; block++) {
		add_block<Shape::kBlockWords, kPairs>(input, weights, first, second);
	}

	if (kRest > 0) {
		add_block<kRest, kPairs>(input, weights, first, second);
	}

	const int32_t doubled[] = {
		2 * first.low,
		Shape::kRowsPerPair == 2 ? first.doubled_high : 2 * second.low,
		2 * second.low,
		second.doubled_high
	};
	requantize_four<Shape>(doubled, kCount, channels, output);
	return weights;
}

/** Every row of Shape times one run: Shape::kOutputs bytes. */
template <class Shape, class AnyChannel>
inline void multiply_rows(const int8_t *input, const int16_t *weights, const AnyChannel *channels, int8_t *output)
{
	constexpr int kGroup = 2 * Shape::kRowsPerPair;
	constexpr int kRest = Shape::kOutputs % kGroup;

	for (int group = 0; group < Shape::kOutputs / kGroup; group++) {
		weights = few_rows<Shape, kGroup>(input, weights, channels, output);
		channels += kGroup;
		output += kGroup;
	}

	if (kRest > 0) {
		few_rows<Shape, kRest == 0 ? 1 : kRest>(input, weights, channels, output);
	}
}

} // namespace engine
} // namespace motion
