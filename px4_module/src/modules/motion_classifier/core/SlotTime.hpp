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
 * @file SlotTime.hpp
 *
 * Absolute time in slots of 1/rate s: slot k covers [k·T, (k+1)·T), exact in integers for every 64-bit time.
 */

#pragma once

#include <stdint.h>

namespace motion
{

struct Slot {
	uint64_t index;
	uint64_t end_us; ///< first microsecond of the next slot (wraps in the last second of 64-bit time)
};

template <class Spec>
struct SlotTime {
	static constexpr uint32_t US_PER_S = 1000000;

	static_assert(Spec::rate_hz >= 1 && Spec::rate_hz <= 1000, "32 bits must hold a second's slots in µs");

	/// Slot of a time: one 64-bit division.
	static Slot at(uint64_t time_us)
	{
		const uint64_t seconds = time_us / US_PER_S;
		const uint32_t rest = static_cast<uint32_t>(time_us - seconds * US_PER_S);
		const uint32_t within = rest * Spec::rate_hz / US_PER_S;
		Slot slot;
		slot.index = seconds * Spec::rate_hz + within;
		slot.end_us = seconds * US_PER_S + ceil_us(within + 1);
		return slot;
	}

	/// First microsecond of a slot.
	static uint64_t start_us(uint64_t index)
	{
		const uint64_t seconds = index / Spec::rate_hz;
		return seconds * US_PER_S + ceil_us(static_cast<uint32_t>(index - seconds * Spec::rate_hz));
	}

private:
	static uint32_t ceil_us(uint32_t slots)
	{
		return (slots * US_PER_S + Spec::rate_hz - 1) / Spec::rate_hz;
	}
};

} // namespace motion
