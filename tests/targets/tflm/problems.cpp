// SPDX-License-Identifier: BSD-3-Clause
//
// Every reason TflmEngine can give, one after the other, with the double. Exit code: the number of the first that is
// not as expected.

#include "engine/TflmEngine.hpp"

World world;

namespace
{

const int kShape[] = {1, 8};

struct SmallModel {
	static constexpr int kInputSize = 8;
	static constexpr int kOutputSize = 8;
	static constexpr int kArenaBytes = 64;
	static constexpr int kOperators = 2;

	static const uint8_t *data() { return nullptr; }
	static motion::engine::TflmTensor input() { return {kShape, 2, 0.5f, 3}; }
	static motion::engine::TflmTensor output() { return {kShape, 2, 0.25f, -128}; }
	static bool add_operators(tflite::MicroMutableOpResolver<kOperators> &) { return world.registers; }
};

using Engine = motion::engine::TflmEngine<SmallModel>;

World fine()
{
	World made = {};
	made.version = TFLITE_SCHEMA_VERSION;
	made.registers = true;
	made.unknown_operator = 2;
	made.needed_arena = 48;
	made.inputs = 1;
	made.dims[0] = made.dims[1] = {2, {1, 8}};
	made.ends[0].params = {0.5f, 3};
	made.ends[1].params = {0.25f, -128};
	return made;
}

/// Whether an engine started in `world` has a problem with these words in it, and is harmless.
bool reports(const char *words)
{
	Engine engine;
	memset(engine.input(), 1, Engine::kInputSize);
	return engine.problem() && strstr(engine.problem(), words) && !engine.invoke() && engine.output();
}

int check()
{
	world = fine();
	{
		Engine engine;

		if (engine.problem() || !engine.invoke() || engine.arena_used_bytes() != 48
		    || engine.output() != engine.input() + 16) {
			return 1;
		}

		world.invoked = kTfLiteError;

		if (engine.invoke()) {
			return 2;
		}
	}

	const struct {
		void (*spoil)();
		const char *words;
	} cases[] = {
		{[] { world.version = 4; }, "schema version"},
		{[] { world.registers = false; }, "could not be registered"},
		{[] { world.unknown_operator = 1; }, "not registered"},
		{[] { world.needed_arena = 65; }, "arena is too small"},
		{[] { world.inputs = 2; }, "one input"},
		{[] { world.ends[0].type = kTfLiteFloat32; }, "not int8"},
		{[] { world.ends[1].type = kTfLiteFloat32; }, "not int8"},
		{[] { world.dims[0].size = 1; }, "the input has another shape"},
		{[] { world.dims[1].data[1] = 7; }, "the output has another shape"},
		{[] { world.ends[0].params.scale = 0.51f; }, "the input has another scale or zero point"},
		{[] { world.ends[0].params.zero_point = 2; }, "the input has another scale or zero point"},
		{[] { world.ends[1].params.zero_point = 0; }, "the output has another scale or zero point"},
	};
	int number = 3;

	for (const auto &each : cases) {
		world = fine();
		each.spoil();

		if (!reports(each.words)) {
			return number;
		}

		++number;
	}

	return 0;
}

} // namespace

int main() { return check(); }
