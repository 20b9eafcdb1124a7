/****************************************************************************
 *
 *   Copyright (c) 2026 px4-tinyml contributors. All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 *
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the documentation
 *    and/or other materials provided with the distribution.
 *
 * 3. Neither the name of the copyright holder nor the names of its
 *    contributors may be used to endorse or promote products derived from
 *    this software without specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS"
 * AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE
 * IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 *
 ****************************************************************************/

/**
 * Runs a model with TensorFlow Lite Micro (model/TflmModel.hpp, docs/tflm.md). To be used like CompiledEngine, and:
 *
 *	TflmEngine<model::TflmModel> engine;
 *	engine.problem();		// nullptr, or why the model cannot run: then every invoke() is false
 *	engine.arena_used_bytes();	// of kArenaBytes
 *
 * One engine is one model: nothing is freed, and the arena is part of the object.
 */

#pragma once

// A build without TensorFlow Lite Micro may include this file: it is empty there.
#if defined(MOTION_ENGINE_TFLM)

#include <new>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace motion
{
namespace engine
{

/** What the rest of the firmware was generated for: int8, this shape, this quantization. */
struct TflmTensor {
	const int *shape;
	int rank;
	float scale;
	int zero_point;
};

template <class Model>
class TflmEngine
{
public:
	static constexpr int kInputSize = Model::kInputSize;
	static constexpr int kOutputSize = Model::kOutputSize;

	TflmEngine() : _problem(start()) {}
	TflmEngine(const TflmEngine &) = delete;
	TflmEngine &operator=(const TflmEngine &) = delete;

	/** Write it before every invoke(): the memory planner reuses it for other tensors. */
	int8_t *input() { return _input; }

	bool invoke() { return _problem == nullptr && _interpreter->Invoke() == kTfLiteOk; }

	const int8_t *output() const { return _output; }

	/** Why the model cannot run; nullptr: it can. */
	const char *problem() const { return _problem; }

	/** 0 when the interpreter was not made. */
	size_t arena_used_bytes() const { return _interpreter ? _interpreter->arena_used_bytes() : 0; }

private:
	static_assert(Model::kArenaBytes >= kInputSize && Model::kArenaBytes >= kOutputSize, "no arena holds this model");

	using Resolver = tflite::MicroMutableOpResolver<Model::kOperators>;
	using Interpreter = tflite::MicroInterpreter;

	const char *start()
	{
		const tflite::Model *const model = tflite::GetModel(Model::data());

		if (model->version() != TFLITE_SCHEMA_VERSION) {
			return "the model's schema version is not TensorFlow Lite Micro's";
		}

		Resolver &resolver = *new (_resolver_memory) Resolver;

		if (!Model::add_operators(resolver)) {
			return "an operator could not be registered";
		}

		for (const tflite::OperatorCode *code : *model->operator_codes()) {
			// A pointer to TFLMRegistration; before 2023, and in Arduino's library, to TfLiteRegistration.
			decltype(resolver.FindOp(tflite::BuiltinOperator_ADD)) registration = nullptr;

			if (tflite::GetRegistrationFromOpCode(code, resolver, &registration) != kTfLiteOk) {
				return "the model has an operator that is not registered";
			}
		}

		_interpreter = new (_interpreter_memory) Interpreter(model, resolver, _arena, sizeof(_arena));

		if (_interpreter->AllocateTensors() != kTfLiteOk) {
			return "the arena is too small, or a kernel refuses the model";
		}

		if (_interpreter->inputs_size() != 1 || _interpreter->outputs_size() != 1) {
			return "the model has not one input and one output";
		}

		const TfLiteTensor &in = *_interpreter->input(0);
		const TfLiteTensor &out = *_interpreter->output(0);

		if (in.type != kTfLiteInt8 || out.type != kTfLiteInt8) {
			return "input or output is not int8";
		}

		if (!same_shape(in, Model::input())) {
			return "the input has another shape";
		}

		if (!same_shape(out, Model::output())) {
			return "the output has another shape";
		}

		if (!same_quantization(in, Model::input())) {
			return "the input has another scale or zero point";
		}

		if (!same_quantization(out, Model::output())) {
			return "the output has another scale or zero point";
		}

		_input = in.data.int8;
		_output = out.data.int8;
		return nullptr;
	}

	static bool same_shape(const TfLiteTensor &found, const TflmTensor &expected)
	{
		bool same = found.dims->size == expected.rank;

		for (int i = 0; same && i < expected.rank; ++i) {
			same = found.dims->data[i] == expected.shape[i];
		}

		return same;
	}

	static bool same_quantization(const TfLiteTensor &found, const TflmTensor &expected)
	{
		// Bit for bit: both were written from the same file.
		return memcmp(&found.params.scale, &expected.scale, sizeof(float)) == 0
		       && found.params.zero_point == expected.zero_point;
	}

	alignas(16) uint8_t _arena[Model::kArenaBytes] {};
	// Never destroyed: they own nothing outside of this object, and a global engine needs no atexit() this way.
	alignas(Resolver) uint8_t _resolver_memory[sizeof(Resolver)];
	alignas(Interpreter) uint8_t _interpreter_memory[sizeof(Interpreter)];
	Interpreter *_interpreter{nullptr};
	// Valid memory even when there is a problem.
	int8_t *_input{reinterpret_cast<int8_t *>(_arena)};
	const int8_t *_output{reinterpret_cast<const int8_t *>(_arena)};
	const char *_problem;
};

template <class Model> constexpr int TflmEngine<Model>::kInputSize;
template <class Model> constexpr int TflmEngine<Model>::kOutputSize;

} // namespace engine
} // namespace motion

#endif // MOTION_ENGINE_TFLM
