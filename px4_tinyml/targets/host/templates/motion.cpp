// SPDX-License-Identifier: BSD-3-Clause
//
// The C interface of the motion core.

#include "motion.h"

#include <new>
#include <stddef.h>

#include "Engine.hpp"
#include "core/Pipeline.hpp"
#include "core/SameSpec.hpp"
#include "model/MotionSpec.hpp"

namespace
{

using motion::MotionSpec;

static_assert(motion::same_spec<MotionSpec, Model>(), "model/ holds parts of different trainings");

static_assert(sizeof(motion_decision) == sizeof(motion::Decision), "motion.h and core/Decision.hpp differ");
static_assert(offsetof(motion_decision, probability) == offsetof(motion::Decision, probability), "same");
static_assert(offsetof(motion_decision, confidence_q16) == offsetof(motion::Decision, confidence_q16), "same");
static_assert(sizeof(motion_counters) == sizeof(motion::Counters), "motion.h and core/Pipeline.hpp differ");

/// The engine, showing its input and output. The input is shown first: engines reuse its memory.
class RecordingEngine
{
public:
	const char *problem() const { return _engine.problem(); }
	int8_t *input() { return _engine.input(); }
	const int8_t *output() { return _engine.output(); }

	bool invoke()
	{
		if (!recorder) {
			return _engine.invoke();
		}

		int8_t input[MotionSpec::input_size];
		memcpy(input, _engine.input(), sizeof(input));

		if (!_engine.invoke()) {
			return false;
		}

		recorder(context, input, _engine.output());
		return true;
	}

	motion_recorder recorder{nullptr};
	void *context{nullptr};

private:
	Engine _engine;
};

} // namespace

struct motion_pipeline {
	RecordingEngine engine;
	motion::Pipeline<MotionSpec, RecordingEngine> pipeline{engine};
};

uint32_t motion_abi_version(void) { return MOTION_ABI_VERSION; }

const char *motion_spec_hash(void) { return MotionSpec::hash(); }

uint32_t motion_label_count(void) { return MotionSpec::labels; }

const char *motion_label(int index) { return MotionSpec::label(static_cast<uint32_t>(index)); }

uint32_t motion_input_size(void) { return MotionSpec::input_size; }

uint32_t motion_max_decisions(void) { return MotionSpec::max_gap_slots + 1; }

motion_pipeline *motion_create(void) { return new (std::nothrow) motion_pipeline; }

const char *motion_problem(const motion_pipeline *pipeline) { return pipeline->engine.problem(); }

void motion_destroy(motion_pipeline *pipeline) { delete pipeline; }

void motion_set_recorder(motion_pipeline *pipeline, motion_recorder recorder, void *context)
{
	pipeline->engine.recorder = recorder;
	pipeline->engine.context = context;
}

void motion_push_baro(motion_pipeline *pipeline, uint64_t time_us, float altitude_m)
{
	pipeline->pipeline.push_baro(time_us, altitude_m);
}

uint32_t motion_push_imu(motion_pipeline *pipeline, uint64_t time_us, const float accel[3], const float gyro[3],
			 motion_decision *decisions)
{
	uint32_t count = 0;
	pipeline->pipeline.push_imu(time_us, accel, gyro, [&](const motion::Decision & decision) {
		memcpy(&decisions[count++], &decision, sizeof(decision));
	});
	return count;
}

motion_counters motion_get_counters(const motion_pipeline *pipeline)
{
	motion_counters counters;
	memcpy(&counters, &pipeline->pipeline.counters(), sizeof(counters));
	return counters;
}
