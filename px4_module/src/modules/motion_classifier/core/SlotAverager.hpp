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
 * @file SlotAverager.hpp
 *
 * Step 1 of the signal path: IMU samples at any rate become float means over absolute slots.
 */

#pragma once

#include "Arithmetic.hpp"
#include "SlotTime.hpp"

namespace motion
{

static constexpr uint32_t IMU_AXES = 6; ///< ax ay az gx gy gz

enum class ResetCause : uint8_t { None, NonFinite, Backwards, Gap };

/// Result of one sample: first the slots to emit (the later ones are repeats), then a reset.
struct SlotEvent {
	uint64_t first;   ///< index of the first slot to emit
	uint32_t slots;   ///< 0: none; 1: the one that was closed; more: and that many less one repeats of it
	ResetCause reset; ///< after emitting, drop everything collected so far
};

template <class Spec>
class SlotAverager
{
public:
	/// Take a sample: time µs, specific force m/s², rate rad/s, FRD. The means of an emitted slot are in mean().
	MOTION_NOINLINE SlotEvent push(uint64_t time_us, const float accel[3], const float gyro[3])
	{
		const float sample[IMU_AXES] = {accel[0], accel[1], accel[2], gyro[0], gyro[1], gyro[2]};
		SlotEvent event{0, 0, ResetCause::None};

		for (uint32_t axis = 0; axis < IMU_AXES; ++axis) {
			if (!is_plausible(sample[axis])) {
				_open = false;
				event.reset = ResetCause::NonFinite;
				return event;
			}
		}

		if (_has_last && time_us < _last_us) {
			_open = false;
			event.reset = ResetCause::Backwards;
		}

		_last_us = time_us;
		_has_last = true;

		if (!_open) {
			begin(SlotTime<Spec>::at(time_us), true);

		} else if (time_us >= _slot.end_us) {
			const Slot next = SlotTime<Spec>::at(time_us);

			if (next.index != _slot.index) {
				event = close(next);
			}
		}

		for (uint32_t axis = 0; axis < IMU_AXES; ++axis) {
			_sum[axis] += sample[axis];
		}

		++_count;
		return event;
	}

	/// Forget the open slot, not the time of the last sample.
	void restart() { _open = false; }

	/// Means of the last closed slot, ax ay az gx gy gz.
	const float *mean() const { return _mean; }

private:
	SlotEvent close(const Slot &next)
	{
		const uint64_t missing = next.index - _slot.index - 1;
		const bool gap = missing > Spec::max_gap_slots;
		SlotEvent event{_slot.index, 0, gap ? ResetCause::Gap : ResetCause::None};

		if (!_partial) {
			for (uint32_t axis = 0; axis < IMU_AXES; ++axis) {
				_mean[axis] = _sum[axis] / static_cast<float>(_count);
			}

			event.slots = gap ? 1 : 1 + static_cast<uint32_t>(missing);
		}

		// Still nothing whole behind the sample when a partial slot is followed by a hole.
		begin(next, gap || (_partial && missing > 0));
		return event;
	}

	void begin(const Slot &slot, bool partial)
	{
		_slot = slot;
		_open = true;
		_partial = partial;
		_count = 0;

		for (uint32_t axis = 0; axis < IMU_AXES; ++axis) {
			_sum[axis] = 0.0f;
		}
	}

	Slot _slot{0, 0};
	uint64_t _last_us{0};
	float _sum[IMU_AXES] {};
	float _mean[IMU_AXES] {};
	uint32_t _count{0};
	bool _open{false};
	bool _partial{false};
	bool _has_last{false};
};

} // namespace motion
