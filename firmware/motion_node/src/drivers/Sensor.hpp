// SPDX-License-Identifier: BSD-3-Clause
//
// Starts, watches and restarts a sensor without ever waiting: poll() is called often and does one
// small step (but for the BMI270, whose configuration takes a library a second). A sensor that does not answer, or has
// nothing new for too long, is reset.

#pragma once

#include <stdint.h>

namespace node
{

class Sensor
{
public:
	virtual const char *name() const = 0;

	/// It is there and measures.
	bool running() const { return _state == State::Running; }

	/// How often it was started: more than once means that it was lost.
	uint32_t starts() const { return _starts; }

	/// Bus errors since the start.
	uint32_t errors() const { return _errors; }

	/// Reset it at the next poll().
	void restart()
	{
		_state = State::Absent;
		_next_us = 0;
	}

protected:
	/// What a read() found.
	enum class Found : uint8_t { Sample, Nothing, Error };

	/// reset_us: how long a reset takes. period_us: time between samples.
	Sensor(uint32_t reset_us, uint32_t period_us) : _reset_us(reset_us), _period_us(period_us) {}
	~Sensor() = default;

	/// Is it this sensor? Then reset it.
	virtual bool reset() = 0;

	/// After the reset: settings, and whether they have arrived.
	virtual bool configure() = 0;

	/// True when read() is to be called now.
	bool due(uint64_t now_us)
	{
		if (now_us < _next_us) {
			return false;
		}

		switch (_state) {
		case State::Absent:
			enter(reset() ? State::Resetting : State::Absent, now_us + _reset_us, now_us);
			return false;

		case State::Resetting:
			if (configure()) {
				++_starts;
				_sampled_us = now_us;
				_errors_in_a_row = 0;
				enter(State::Running, now_us, now_us);

			} else {
				enter(State::Absent, now_us, now_us);
			}

			return false;

		case State::Running:
			return true;
		}

		return false;
	}

	/// Take what read() found; true when it is a sample.
	bool found(Found what, uint64_t now_us)
	{
		switch (what) {
		case Found::Sample:
			_errors_in_a_row = 0;
			_sampled_us = now_us;
			_next_us = now_us + _period_us * 3 / 4; // nothing new before: leaves the bus alone
			return true;

		case Found::Nothing:
			_next_us = now_us + _period_us / 16;
			break;

		case Found::Error:
			++_errors;
			++_errors_in_a_row;
			_next_us = now_us + _period_us / 4;
			break;
		}

		if (_errors_in_a_row >= ERRORS || now_us - _sampled_us > SILENT_US) {
			restart();
		}

		return false;
	}

private:
	enum class State : uint8_t { Absent, Resetting, Running };

	static constexpr uint32_t ERRORS = 10;
	static constexpr uint32_t SILENT_US = 200000;
	static constexpr uint32_t RETRY_US = 500000;

	void enter(State state, uint64_t next_us, uint64_t now_us)
	{
		_next_us = state == State::Absent ? now_us + RETRY_US : next_us;
		_state = state;
	}

	const uint32_t _reset_us;
	const uint32_t _period_us;
	uint64_t _next_us{0};
	uint64_t _sampled_us{0};
	uint32_t _starts{0};
	uint32_t _errors{0};
	uint32_t _errors_in_a_row{0};
	State _state{State::Absent};
};

} // namespace node
