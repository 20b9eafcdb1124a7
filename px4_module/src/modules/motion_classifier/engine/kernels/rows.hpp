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
 * Rows of weights times one run of input bytes: what FULLY_CONNECTED, CONV_2D and depthwise_lines.hpp are made of.
 *
 * Two rows share each 16-bit weight, 256 * high + low. Over a run of inputs x, all exact,
 *
 *	packed = sum(weight * x)	low = sum(low byte of weight * x)	high = (packed - low) / 256
 *
 * so that an Arm core with the DSP extension never widens the high row: three instructions for four products. The
 * weights are in the order in which such a core widens four input bytes, 0 2 1 3. px4_tinyml/compiler/ops/rows.py packs
 * them. A run is filled up to whole words with weights of zero: up to three bytes behind it are read, and do not count.
 */

#pragma once

#include <stdint.h>

#include "../arm_dsp.hpp"
#include "../fixed_point.hpp"

namespace motion
{
namespace engine
{

/** Sums over a run for the two rows of a pair; the high one is taken from `packed` block by block. */
struct PairSums {
	int32_t packed{0};
	int32_t low{0};
	int32_t doubled_high{0};

	MOTION_ALWAYS_INLINE void take_high()
	{
		doubled_high += (packed - low) >> 7;
		packed = low;
	}
};

#if MOTION_ARM_DSP

/** A widened word of input times a word of weights, which is then widened in place. */
#define MOTION_PRODUCTS(weight, x, packed, low) \
	"smlad " packed ", " weight ", " x ", " packed "\n\t" \
	"sxtb16 " weight ", " weight "\n\t" \
	"smlad " low ", " weight ", " x ", " low "\n\t"

/** One word of input times two pairs of rows: 16 instructions for 16 products. */
#define MOTION_TWO_PAIRS \
	"ldr r10, [r0], #4\n\t" \
	"ldmia r1!, {r4, r5, r6, r8}\n\t" \
	"sxtb16 r9, r10\n\t" \
	"sxtb16 r10, r10, ror #8\n\t" \
	MOTION_PRODUCTS("r4", "r9", "r2", "r3") \
	MOTION_PRODUCTS("r5", "r9", "r12", "lr") \
	MOTION_PRODUCTS("r6", "r10", "r2", "r3") \
	MOTION_PRODUCTS("r8", "r10", "r12", "lr")

/** One word of input times one pair: 10 instructions for 8 products. */
#define MOTION_ONE_PAIR \
	"ldr r10, [r0], #4\n\t" \
	"ldmia r1!, {r4, r5}\n\t" \
	"sxtb16 r9, r10\n\t" \
	"sxtb16 r10, r10, ror #8\n\t" \
	MOTION_PRODUCTS("r4", "r9", "r2", "r3") \
	MOTION_PRODUCTS("r5", "r10", "r2", "r3")

/** Four words at a time, then the rest; short runs without a loop. */
#define MOTION_WORDS(step) \
	".if %c[loops]\n" \
	"1:\n\t" \
	".rept 4\n\t" step ".endr\n\t" \
	"ldr r4, %[end]\n\t" \
	"cmp r0, r4\n\t" \
	"bne 1b\n\t" \
	".endif\n\t" \
	".rept %c[rest]\n\t" step ".endr"

constexpr int word_loops(int words) { return words > 12 ? words / 4 : 0; }

/**
 * Adds the products of kWords * 4 input bytes to the sums of two pairs of rows. Assembly, because it takes twelve
 * registers: compilers (GCC 12) spill, load weight by weight, or find no registers at all, so each has its own here.
 * r7 and r11 are left for frame pointers.
 */
template <int kWords>
MOTION_ALWAYS_INLINE void add_products(const int8_t *&input, const int16_t *&weights, PairSums &first, PairSums &second)
{
	constexpr int kLoops = word_loops(kWords);
	const int8_t *const end = input + 16 * kLoops;
	register const int8_t *x asm("r0") = input;
	register const int16_t *w asm("r1") = weights;
	register int32_t packed0 asm("r2") = first.packed;
	register int32_t low0 asm("r3") = first.low;
	register int32_t packed1 asm("r12") = second.packed;
	register int32_t low1 asm("lr") = second.low;
	asm volatile(MOTION_WORDS(MOTION_TWO_PAIRS)
		     : "+r"(x), "+r"(w), "+r"(packed0), "+r"(low0), "+r"(packed1), "+r"(low1)
		     : [end] "m"(end), [loops] "i"(kLoops), [rest] "i"(kWords - 4 * kLoops)
		     : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
	input = x;
	weights = w;
	first.packed = packed0;
	first.low = low0;
	second.packed = packed1;
	second.low = low1;
}

/** The same for one pair. */
template <int kWords>
MOTION_ALWAYS_INLINE void add_products(const int8_t *&input, const int16_t *&weights, PairSums &sums)
{
	constexpr int kLoops = word_loops(kWords);
	const int8_t *const end = input + 16 * kLoops;
	register const int8_t *x asm("r0") = input;
	register const int16_t *w asm("r1") = weights;
	register int32_t packed asm("r2") = sums.packed;
	register int32_t low asm("r3") = sums.low;
	asm volatile(MOTION_WORDS(MOTION_ONE_PAIR)
		     : "+r"(x), "+r"(w), "+r"(packed), "+r"(low)
		     : [end] "m"(end), [loops] "i"(kLoops), [rest] "i"(kWords - 4 * kLoops)
		     : "r4", "r5", "r9", "r10", "cc", "memory");
	input = x;
	weights = w;
	sums.packed = packed;
	sums.low = low;
}

#undef MOTION_WORDS
#undef MOTION_ONE_PAIR
#undef MOTION_TWO_PAIRS
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
MOTION_ALWAYS_INLINE void add_products(const int8_t *&input, const int16_t *&weights, PairSums &first, PairSums &second)
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
MOTION_ALWAYS_INLINE void add_products(const int8_t *&input, const int16_t *&weights, PairSums &sums)
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
MOTION_ALWAYS_INLINE void add_block(const int8_t *&input, const int16_t *&weights, PairSums &first, PairSums &second)
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
