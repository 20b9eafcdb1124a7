// SPDX-License-Identifier: BSD-3-Clause
//
// The generated model behind the shared core, with the time an inference takes.

#pragma once

#include "../BoardConfig.hpp"
#include "../Engine.hpp"
#include "../core/Pipeline.hpp"
#include "../core/SameSpec.hpp"
#include "../model/MotionSpec.hpp"

namespace node
{

using motion::MotionSpec;

static_assert(motion::same_spec<MotionSpec, Model>(), "model/ holds parts of different trainings");

/// The board's clock, µs, wrapping; nullptr where inference is not timed.
using Clock = uint32_t (*)();

class TimedEngine
{
public:
	explicit TimedEngine(Clock clock) : _clock(clock) {}

	const char *problem() const { return _engine.problem(); }
	int8_t *input() { return _engine.input(); }
	const int8_t *output() const { return _engine.output(); }

	bool invoke()
	{
		const uint32_t start = _clock ? _clock() : 0;
		const bool ok = _engine.invoke();
		_last_us = _clock ? _clock() - start : 0;
		return ok;
	}

	uint32_t last_us() const { return _last_us; }

private:
	Engine _engine;
	Clock _clock;
	uint32_t _last_us{0};
};

using Classifier = motion::Pipeline<MotionSpec, TimedEngine>;

} // namespace node
