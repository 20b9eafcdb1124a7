// SPDX-License-Identifier: BSD-3-Clause
//
// The whole pipeline as a program without a runtime would hold it.

#include "core/Pipeline.hpp"
#include "core/SameSpec.hpp"
#include "engine/CompiledEngine.hpp"
#include "model/CompiledModel.hpp"

using Engine = motion::engine::CompiledEngine<motion::model::CompiledModel>;

Engine engine;
motion::Pipeline<motion::MotionSpec, Engine> pipeline(engine);
int8_t last;

void sample(uint64_t time_us, const float *accel, const float *gyro)
{
	pipeline.push_baro(time_us, accel[0]);
	pipeline.push_imu(time_us, accel, gyro, [](const motion::Decision & decision) { last = decision.class_index; });
}
