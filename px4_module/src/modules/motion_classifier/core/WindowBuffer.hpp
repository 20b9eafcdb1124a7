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
 * Slots wait as float, because most channels are taken about the mean of their window.
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
			_slot[at][channel] = mean[Spec::imu_axis()[channel]];
		}

		if (Spec::uses_altitude) {
			_slot[at][Spec::channels - 1] = altitude_m;
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
		for (uint32_t channel = 0; channel < Spec::channels; ++channel) {
			const bool altitude = channel >= Spec::imu_channels;

			if (altitude && baro_stale()) {
				fill(input, channel, InputQuantizer<Spec>::quantize(channel, 0.0f));

			} else if (altitude || Spec::imu_about_mean) {
				write_about_mean(input, channel);

			} else {
				write_plain(input, channel);
			}
		}
	}

private:
	/// Position in the ring of the i-th slot, oldest first.
	uint32_t position(uint32_t i) const
	{
		const uint32_t at = _next + i;
		return at < Spec::window ? at : at - Spec::window;
	}

	static void fill(int8_t *input, uint32_t channel, int8_t value)
	{
		for (uint32_t i = 0; i < Spec::window; ++i) {
			input[i * Spec::channels + channel] = value;
		}
	}

	void write_plain(int8_t *input, uint32_t channel) const
	{
		for (uint32_t i = 0; i < Spec::window; ++i) {
			input[i * Spec::channels + channel] = InputQuantizer<Spec>::quantize(channel, _slot[position(i)][channel]);
		}
	}

	void write_about_mean(int8_t *input, uint32_t channel) const
	{
		const float first = _slot[position(0)][channel];
		float sum = 0.0f;

		for (uint32_t i = 0; i < Spec::window; ++i) {
			sum += _slot[position(i)][channel] - first;
		}

		const float mean = sum / static_cast<float>(Spec::window);

		for (uint32_t i = 0; i < Spec::window; ++i) {
			const float about_mean = (_slot[position(i)][channel] - first) - mean;
			input[i * Spec::channels + channel] = InputQuantizer<Spec>::quantize(channel, about_mean);
		}
	}

	float _slot[Spec::window][Spec::channels] {};
	uint8_t _repeated[(Spec::window + 7) / 8] {};
	uint32_t _next{0};
	uint32_t _size{0};
	uint32_t _repeated_count{0};
	uint32_t _not_stale{0}; ///< how many of the newest slots in a row had a barometer
};

} // namespace motion
