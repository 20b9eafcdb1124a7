// SPDX-License-Identifier: BSD-3-Clause
//
// A double of the few parts of TensorFlow Lite Micro that engine/TflmEngine.hpp touches. A test sets `world`, which is
// what the double answers.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <vector>

#define TFLITE_SCHEMA_VERSION (3)

enum TfLiteStatus { kTfLiteOk, kTfLiteError };
enum TfLiteType { kTfLiteInt8, kTfLiteFloat32 };

struct TfLiteIntArray {
	int size;
	int data[4];
};

struct TfLiteTensor {
	TfLiteType type;
	union {
		int8_t *int8;
	} data;
	TfLiteIntArray *dims;
	struct {
		float scale;
		int32_t zero_point;
	} params;
};

struct TFLMRegistration {
	int builtin;
};

struct World {
	uint32_t version;
	bool registers;
	size_t unknown_operator; ///< position in the model's list, or past its end
	size_t needed_arena;
	size_t inputs;
	TfLiteIntArray dims[2];
	TfLiteTensor ends[2];
	TfLiteStatus invoked;
};

extern World world;

namespace tflite
{

struct OperatorCode {
	size_t position;
};

struct Model {
	uint32_t version() const { return world.version; }
	const std::vector<const OperatorCode *> *operator_codes() const
	{
		static const OperatorCode codes[2] = {{0}, {1}};
		static const std::vector<const OperatorCode *> all = {&codes[0], &codes[1]};
		return &all;
	}
};

inline const Model *GetModel(const void *)
{
	static const Model model{};
	return &model;
}

enum BuiltinOperator { BuiltinOperator_ADD };

class MicroOpResolver
{
public:
	virtual ~MicroOpResolver() = default;
	const TFLMRegistration *FindOp(BuiltinOperator) const { return nullptr; }
};

template <unsigned int Count>
class MicroMutableOpResolver : public MicroOpResolver {};

inline TfLiteStatus GetRegistrationFromOpCode(const OperatorCode *code, const MicroOpResolver &,
		const TFLMRegistration **)
{
	return code->position == world.unknown_operator ? kTfLiteError : kTfLiteOk;
}

class MicroInterpreter
{
public:
	MicroInterpreter(const Model *, const MicroOpResolver &, uint8_t *arena, size_t size) : _arena(arena), _size(size) {}

	TfLiteStatus AllocateTensors() { return _size < world.needed_arena ? kTfLiteError : kTfLiteOk; }
	size_t inputs_size() const { return world.inputs; }
	size_t outputs_size() const { return 1; }
	TfLiteTensor *input(size_t) { return end(0); }
	TfLiteTensor *output(size_t) { return end(1); }
	TfLiteStatus Invoke() { return world.invoked; }
	size_t arena_used_bytes() const { return world.needed_arena; }

private:
	TfLiteTensor *end(int which)
	{
		world.ends[which].dims = &world.dims[which];
		world.ends[which].data.int8 = reinterpret_cast<int8_t *>(_arena) + 16 * which;
		return &world.ends[which];
	}

	uint8_t *_arena;
	size_t _size;
};

} // namespace tflite
