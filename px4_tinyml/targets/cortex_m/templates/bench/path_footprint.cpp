// SPDX-License-Identifier: BSD-3-Clause
//
// The whole classifier, signal path and engine, and nothing else: linked with this as the only root, never run.

#include "core/Pipeline.hpp"
#include "Engine.hpp"
#include "model/MotionSpec.hpp"

Engine engine;
motion::Pipeline<motion::MotionSpec, Engine> pipeline(engine);
motion::Decision last;

extern "C" void motion_footprint(uint64_t time_us, const float *values, float altitude_m)
{
	pipeline.push_baro(time_us, altitude_m);
	pipeline.push_imu(time_us, values, values + 3, [](const motion::Decision & decision) { last = decision; });
}
