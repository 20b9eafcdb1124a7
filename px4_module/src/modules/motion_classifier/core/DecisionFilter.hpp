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
 * @file DecisionFilter.hpp
 *
 * Step 5 of the signal path: smoothing, thresholds with hysteresis and a minimum hold, in integers.
 */

#pragma once

#include "Decision.hpp"

namespace motion
{

/// What turns probabilities into classes; 65536 is a probability of 1.
struct DecisionLimits {
	int32_t enter_q16;
	int32_t leave_q16;
	uint32_t hold_windows;

	/// Whether a filter can work with them: a class that is entered must not be left at once.
	bool possible() const { return leave_q16 >= 0 && leave_q16 <= enter_q16 && enter_q16 < 65536; }

	bool operator==(const DecisionLimits &other) const
	{
		return enter_q16 == other.enter_q16 && leave_q16 == other.leave_q16 && hold_windows == other.hold_windows;
	}
};

/// A probability of 0 to 1 in these units; more is as impossible as 1.
inline int32_t threshold_q16(float probability)
{
	return probability < 1.0f ? static_cast<int32_t>(probability * 65536.0f + 0.5f) : 65536;
}

template <class Spec>
class DecisionFilter
{
public:
	/// The limits the model was trained with.
	static constexpr DecisionLimits trained_limits() { return {Spec::enter_q16, Spec::leave_q16, Spec::hold_windows}; }

	/// Forget all: the next decision is a first one.
	void reset() { _started = false; }

	/// Other limits than the model's, from the next window on; nothing is forgotten.
	void set_limits(const DecisionLimits &limits) { _limits = limits; }

	const DecisionLimits &limits() const { return _limits; }

	/// Take the model's output (int8, scale 1/256, zero point −128) and fill everything but the times.
	void update(const int8_t *output, bool baro_stale, Decision &decision)
	{
		const bool first = !_started;

		if (first) {
			_started = true;
			_class = UNCERTAIN;
		}

		for (uint32_t i = 0; i < Spec::labels; ++i) {
			const int32_t p = (int32_t{output[i]} + 128) * 256;

			// >> of a negative number rounds down on every compiler this is built with (checked below).
			_smoothed[i] = first ? p : _smoothed[i] + (((p - _smoothed[i]) * Spec::smoothing_q8) >> 8);
		}

		step(best());

		const uint32_t reported = _class == UNCERTAIN ? best() : static_cast<uint32_t>(_class);
		decision.class_index = _class;
		decision.confidence_q16 = static_cast<uint32_t>(_smoothed[reported]);
		decision.flags = static_cast<uint8_t>((baro_stale ? FLAG_BARO_STALE : 0)
						      | (_class == UNCERTAIN ? FLAG_UNCERTAIN : 0)
						      | (first ? FLAG_FIRST : 0));
		decision.label_count = Spec::labels;

		for (uint32_t i = 0; i < MAX_LABELS; ++i) {
			decision.probability[i] = i < Spec::labels ? static_cast<uint8_t>(_smoothed[i] >> 8) : 0;
		}
	}

private:
	static_assert((-3 >> 1) == -2, "arithmetic shift of negative numbers");
	static_assert(Spec::labels >= 2 && Spec::labels <= MAX_LABELS, "2…8 labels");

	uint32_t best() const
	{
		uint32_t index = 0;

		for (uint32_t i = 1; i < Spec::labels; ++i) {
			if (_smoothed[i] > _smoothed[index]) {
				index = i;
			}
		}

		return index;
	}

	void step(uint32_t likely)
	{
		if (_class == UNCERTAIN) {
			if (_smoothed[likely] >= _limits.enter_q16) {
				enter(likely);
			}

			return;
		}

		if (_age < UINT32_MAX) {
			++_age; // all windows since: the hold may be made longer in flight
		}

		if (_age < _limits.hold_windows) {
			return;
		}

		if (static_cast<int8_t>(likely) != _class && _smoothed[likely] >= _limits.enter_q16) {
			enter(likely);

		} else if (_smoothed[_class] < _limits.leave_q16) {
			_class = UNCERTAIN;
		}
	}

	void enter(uint32_t index)
	{
		_class = static_cast<int8_t>(index);
		_age = 0;
	}

	DecisionLimits _limits{trained_limits()};
	int32_t _smoothed[MAX_LABELS] {};
	uint32_t _age{0};
	int8_t _class{UNCERTAIN};
	bool _started{false};
};

} // namespace motion
