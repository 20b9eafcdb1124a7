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
 * @file BaroRing.hpp
 *
 * Step 2 of the signal path: the altitude of a slot, also when barometer messages are late.
 */

#pragma once

#include "Arithmetic.hpp"
#include "SlotTime.hpp"

namespace motion
{

template <class Spec>
class BaroRing
{
public:
	/// Take a barometric altitude in metres; one that is not finite or beyond ±100 km is ignored.
	void push(uint64_t time_us, float altitude_m)
	{
		if (!(altitude_m >= -MAX_ALTITUDE_M && altitude_m <= MAX_ALTITUDE_M)) {
			return;
		}

		const uint64_t slot = SlotTime<Spec>::at(time_us).index;

		if (_count > 0 && slot < _slot[_newest]) {
			_count = 0; // the clock ran backwards
		}

		if (_count == 0 || slot != _slot[_newest]) {
			_newest = _newest + 1 < SIZE ? _newest + 1 : 0;
			_count = _count < SIZE ? _count + 1 : SIZE;
			_slot[_newest] = slot;
		}

		_altitude_m[_newest] = altitude_m;
	}

	/// Altitude of a slot; false, and 0, where the barometer is stale.
	bool lookup(uint64_t slot, float &altitude_m) const
	{
		uint32_t at = _newest;

		for (uint32_t kept = 0; kept < _count; ++kept) {
			if (_slot[at] + Spec::baro_lag_slots <= slot) {
				const bool fresh = slot - _slot[at] <= Spec::baro_stale_slots;
				altitude_m = fresh ? _altitude_m[at] : 0.0f;
				return fresh;
			}

			at = at > 0 ? at - 1 : SIZE - 1;
		}

		altitude_m = 0.0f;
		return false;
	}

private:
	static constexpr uint32_t SIZE = Spec::baro_ring_slots;
	static constexpr float MAX_ALTITUDE_M = 100000.0f;

	uint64_t _slot[SIZE] {};
	float _altitude_m[SIZE] {};
	uint32_t _newest{0};
	uint32_t _count{0};
};

/// For a spec without the altitude channel: no memory, nothing to look up.
class NoBaro
{
public:
	void push(uint64_t, float) {}

	bool lookup(uint64_t, float &altitude_m) const
	{
		altitude_m = 0.0f;
		return true;
	}
};

} // namespace motion
