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
 * @file WindowBuffer.hpp
 *
 * Step 3 of the signal path: the last slots, ready to become the model's input.
 *
 * The IMU channels are kept as the int8 they will be (step 4 works on single values). Only the altitude waits
 * as float, because it is taken relative to the mean of its window.
 */

#pragma once

#include "InputQuantizer.hpp"

namespace motion
{

template <class Spec>
class WindowBuffer
{
public:
	/// Forget everything.
	void reset()
	{
		_size = 0;
		_repeated_count = 0;
		_not_stale = 0;
	}

	/// Append a slot: the six means, whether they are a repeat, and the altitude unless it is stale.
	void push(const float mean[], bool repeated, float altitude_m, bool stale)
	{
		const uint32_t at = _next;
		const uint8_t bit = static_cast<uint8_t>(1u << (at % 8));

		if (_size == Spec::window && (_repeated[at / 8] & bit)) {
			--_repeated_count;
		}

		if (repeated) {
			_repeated[at / 8] = static_cast<uint8_t>(_repeated[at / 8] | bit);
			++_repeated_count;

		} else {
			_repeated[at / 8] = static_cast<uint8_t>(_repeated[at / 8] & ~bit);
		}

		for (uint32_t channel = 0; channel != Spec::imu_channels; ++channel) {
			_imu[at][channel] = InputQuantizer<Spec>::quantize(channel, mean[Spec::imu_axis()[channel]]);
		}

		if (Spec::uses_altitude) {
			_altitude_m[at] = altitude_m;
		}

		_next = at + 1 < Spec::window ? at + 1 : 0;
		_size = _size < Spec::window ? _size + 1 : Spec::window;
		_not_stale = stale ? 0 : (_not_stale < Spec::window ? _not_stale + 1 : Spec::window);
	}

	/// As many slots as a window has.
	bool full() const { return _size == Spec::window; }

	/// Too many repeated slots to classify the full window.
	bool sparse() const { return _repeated_count > Spec::max_repeated_slots; }

	/// A slot of the full window had no barometer.
	bool baro_stale() const { return _not_stale < Spec::window; }

	/// Write the full window as the model's input: time-major int8 [window · channels].
	void write(int8_t *input) const
	{
		for (uint32_t i = 0; i < Spec::window; ++i) {
			memcpy(input + i * Spec::channels, _imu[position(i)], Spec::imu_channels);
		}

		if (Spec::uses_altitude) {
			write_altitude(input + Spec::imu_channels);
		}
	}

private:
	/// Position in the ring of the i-th slot, oldest first.
	uint32_t position(uint32_t i) const
	{
		const uint32_t at = _next + i;
		return at < Spec::window ? at : at - Spec::window;
	}

	void write_altitude(int8_t *input) const
	{
		const float first = _altitude_m[position(0)];
		float sum = 0.0f;

		for (uint32_t i = 0; i < Spec::window; ++i) {
			sum += _altitude_m[position(i)] - first;
		}

		const float mean = sum / static_cast<float>(Spec::window);

		for (uint32_t i = 0; i < Spec::window; ++i) {
			const float about_mean = baro_stale() ? 0.0f : (_altitude_m[position(i)] - first) - mean;
			input[i * Spec::channels] = InputQuantizer<Spec>::quantize(Spec::imu_channels, about_mean);
		}
	}

	// Arrays of no elements do not exist in C++: one stands in for none.
	int8_t _imu[Spec::window][Spec::imu_channels > 0 ? Spec::imu_channels : 1] {};
	float _altitude_m[Spec::uses_altitude ? Spec::window : 1] {};
	uint8_t _repeated[(Spec::window + 7) / 8] {};
	uint32_t _next{0};
	uint32_t _size{0};
	uint32_t _repeated_count{0};
	uint32_t _not_stale{0}; ///< how many of the newest slots in a row had a barometer
};

} // namespace motion
