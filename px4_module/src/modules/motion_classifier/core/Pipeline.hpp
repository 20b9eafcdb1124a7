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
 * @file Pipeline.hpp
 *
 * The whole signal path, from samples to decisions (docs/signal_path.md).
 *
 *	static Engine engine;
 *	static motion::Pipeline<MotionSpec, Engine> pipeline(engine);
 *	pipeline.push_baro(time_us, altitude_m);
 *	pipeline.push_imu(time_us, accel, gyro, [](const motion::Decision &decision) { ... });
 */

#pragma once

#include "BaroRing.hpp"
#include "DecisionFilter.hpp"
#include "SlotAverager.hpp"
#include "WindowBuffer.hpp"

namespace motion
{

/// What happened since the start; the counts wrap.
struct Counters {
	uint32_t decisions;
	uint32_t sparse;            ///< windows with too many repeated slots
	uint32_t engine_failures;   ///< windows the engine could not compute
	uint32_t reset_non_finite;
	uint32_t reset_backwards;
	uint32_t reset_gap;
};

template <bool Condition, class Then, class Else> struct Choose { using type = Then; };
template <class Then, class Else> struct Choose<false, Then, Else> { using type = Else; };

/**
 * Spec: constants of the signal path (generated). Engine: `int8_t *input()`, `bool invoke()`,
 * `const int8_t *output()`; the input is written before every invoke().
 */
template <class Spec, class Engine>
class Pipeline
{
public:
	explicit Pipeline(Engine &model_engine) : _engine(model_engine) {}

	/// A barometric altitude: time µs, metres (only its changes matter).
	void push_baro(uint64_t time_us, float altitude_m) { _baro.push(time_us, altitude_m); }

	/// An IMU sample: time µs, m/s², rad/s, FRD. Calls on_decision(const Decision &) for each window it completed:
	/// seldom more than none or one, but filling a gap can complete several.
	template <class OnDecision>
	void push_imu(uint64_t time_us, const float accel[3], const float gyro[3], OnDecision &&on_decision)
	{
		const SlotEvent event = _slots.push(time_us, accel, gyro);

		for (uint32_t i = 0; i < event.slots; ++i) {
			Decision decision;

			if (emit(event.first + i, i > 0, decision)) {
				on_decision(static_cast<const Decision &>(decision));
			}
		}

		if (event.reset != ResetCause::None) {
			reset(event.reset);
		}
	}

	/// Samples were lost on the way here: what was collected and decided is forgotten, the barometer is not.
	void restart()
	{
		_slots.restart();
		forget();
	}

	/// Thresholds other than the model's; the window is kept.
	void set_limits(const DecisionLimits &limits) { _filter.set_limits(limits); }

	const DecisionLimits &limits() const { return _filter.limits(); }

	const Counters &counters() const { return _counters; }

private:
	/// Append a slot; true when that completed a window and it was classified.
	bool emit(uint64_t slot, bool repeated, Decision &decision)
	{
		float altitude_m;
		const bool fresh = _baro.lookup(slot, altitude_m);
		_window.push(_slots.mean(), repeated, altitude_m, !fresh);

		if (!_window.full() || (slot + 1) % Spec::hop != 0) {
			return false;
		}

		if (_window.sparse()) {
			++_counters.sparse;
			return false;
		}

		_window.write(_engine.input());

		if (!_engine.invoke()) {
			++_counters.engine_failures;
			return false;
		}

		_filter.update(_engine.output(), _window.baro_stale(), decision);
		decision.start_us = SlotTime<Spec>::start_us(slot + 1 - Spec::window);
		decision.end_us = SlotTime<Spec>::start_us(slot + 1);
		++_counters.decisions;
		return true;
	}

	void forget()
	{
		_window.reset();
		_filter.reset();
	}

	/// Forget the window and the decision, not the barometer.
	void reset(ResetCause cause)
	{
		forget();

		switch (cause) {
		case ResetCause::NonFinite:
			++_counters.reset_non_finite;
			break;

		case ResetCause::Backwards:
			++_counters.reset_backwards;
			break;

		case ResetCause::Gap:
			++_counters.reset_gap;
			break;

		case ResetCause::None:
			break;
		}
	}

	Engine &_engine;
	SlotAverager<Spec> _slots;
	typename Choose<Spec::uses_altitude, BaroRing<Spec>, NoBaro>::type _baro;
	WindowBuffer<Spec> _window;
	DecisionFilter<Spec> _filter;
	Counters _counters{};
};

} // namespace motion
