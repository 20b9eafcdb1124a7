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
 * @file Report.hpp
 *
 * Decisions as MAVLink: DEBUG_VECT, DEBUG_FLOAT_ARRAY and STATUSTEXT. The companion computer sends the same
 * (px4_tinyml/classify/mavlink_report.py).
 */

#pragma once

#include "Decision.hpp"

namespace motion
{

/// Name of both debug messages, and the id of the array.
static constexpr char REPORT_NAME[] = "MOTION";
static constexpr uint16_t REPORT_ARRAY_ID = 77;
static constexpr uint32_t REPORT_ARRAY_SIZE = 16; ///< values that are used, the rest of the message is 0
static constexpr uint32_t REPORT_PROBABILITIES = 8; ///< the first one's index in the array

/// Confidence from 0 to 1, exact.
inline float confidence(const Decision &decision) { return static_cast<float>(decision.confidence_q16) / 65536.0f; }

/// Smoothed probability of a class from 0 to 1, exact.
inline float probability(const Decision &decision, uint32_t index)
{
	return static_cast<float>(decision.probability[index]) / 256.0f;
}

/// x, y and z of DEBUG_VECT: class index (−1 is uncertain), confidence, probability of turbulence (0 if there is no such class).
template <class Spec>
void report_vector(const Decision &decision, float xyz[3])
{
	xyz[0] = static_cast<float>(decision.class_index);
	xyz[1] = confidence(decision);
	xyz[2] = Spec::turbulence >= 0 ? probability(decision, static_cast<uint32_t>(Spec::turbulence)) : 0.0f;
}

/// Data of DEBUG_FLOAT_ARRAY, REPORT_ARRAY_SIZE values.
template <class Spec>
void report_array(const Decision &decision, uint32_t inference_us, float *data)
{
	data[0] = static_cast<float>(decision.class_index);
	data[1] = confidence(decision);
	data[2] = static_cast<float>(decision.flags);
	data[3] = static_cast<float>(Spec::hash24);
	data[4] = static_cast<float>(inference_us);
	data[5] = 0.0f;
	data[6] = 0.0f;
	data[7] = 0.0f;

	for (uint32_t i = 0; i < MAX_LABELS; ++i) {
		data[REPORT_PROBABILITIES + i] = probability(decision, i);
	}
}

/// When to repeat the last decision: at a steady rate of sample time, and no longer than a window after it.
template <class Spec>
class ReportClock
{
public:
	/// True when it is time; rate 0 is never.
	bool due(const Decision &decision, uint64_t now_us, uint32_t rate_hz)
	{
		// Before the decision: the clock ran backwards since.
		if (rate_hz == 0 || now_us < decision.end_us || now_us - decision.end_us > WINDOW_US) {
			return false;
		}

		const bool backwards = now_us < _last_us;

		if (_started && !backwards && now_us - _last_us < US_PER_S / rate_hz) {
			return false;
		}

		_started = true;
		_last_us = now_us;
		return true;
	}

private:
	static constexpr uint32_t US_PER_S = 1000000;
	static constexpr uint64_t WINDOW_US = static_cast<uint64_t>(Spec::window) * US_PER_S / Spec::rate_hz;

	uint64_t _last_us{0};
	bool _started{false};
};

/// Texts for a person when turbulence begins or ends: once each, at most one in ten seconds.
template <class Spec>
class TurbulenceNotice
{
public:
	enum class Text : uint8_t { None, Began, Ended };

	/// Take every decision. Began is "Turbulence (<percent()> %)", a warning; Ended "Turbulence ended", an information.
	Text update(const Decision &decision)
	{
		if (Spec::turbulence < 0 || decision.class_index == UNCERTAIN) {
			return Text::None; // the last text still holds
		}

		const bool turbulent = decision.class_index == Spec::turbulence;
		const bool too_soon = _any && decision.end_us >= _last_us && decision.end_us - _last_us < QUIET_US;

		if (turbulent == _reported || too_soon) {
			return Text::None;
		}

		_reported = turbulent;
		_any = true;
		_last_us = decision.end_us;
		return turbulent ? Text::Began : Text::Ended;
	}

	/// Confidence in percent, rounded.
	static unsigned percent(const Decision &decision)
	{
		return static_cast<unsigned>((decision.confidence_q16 * 100u + 32768u) >> 16);
	}

private:
	static constexpr uint32_t QUIET_US = 10000000;

	uint64_t _last_us{0};
	bool _reported{false}; ///< the last text was Began
	bool _any{false};
};

} // namespace motion
