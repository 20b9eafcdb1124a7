// SPDX-License-Identifier: BSD-3-Clause
//
// The smallest arena TensorFlow Lite Micro starts a model in.

#pragma once

#include "model/TflmModel.hpp"

/// In bytes, a multiple of 16; 0: all of the memory is too little. More than arena_used_bytes() where planning needs more
/// than the plan.
template <class Model>
uint32_t least_arena(uint8_t *memory, size_t size)
{
	tflite::MicroMutableOpResolver<Model::kOperators> resolver;
	Model::add_operators(resolver);
	size_t used = 0;

	auto starts = [&](size_t bytes) {
		tflite::MicroInterpreter interpreter(tflite::GetModel(Model::data()), resolver, memory, bytes);
		const bool ok = interpreter.AllocateTensors() == kTfLiteOk;
		used = interpreter.arena_used_bytes();
		return ok;
	};

	if (!starts(size)) {
		return 0;
	}

	size_t least = used / 16 * 16;

	while (!starts(least)) {
		least += 16;
	}

	return static_cast<uint32_t>(least);
}
