// SPDX-License-Identifier: BSD-3-Clause
//
// Rows of the file "inputs" through the engine: "outputs", and "ticks" of each invoke() (with MOTION_LAYERS: the timer
// after each layer instead), and in "stack" the bytes of stack it needs.

#include "Engine.hpp"
#include "probe.hpp"
#include "semihosting.hpp"

#if defined(MOTION_LAYERS)
volatile uint32_t motion_layer_ticks[MOTION_LAYERS];
uint32_t motion_layer;
#endif

namespace
{

Engine engine;

void invoke(void *)
{
	if (!engine.invoke()) {
		semihosting::fail("the engine has failed");
	}
}

} // namespace

int main()
{
	if (engine.problem()) {
		semihosting::fail(engine.problem());
	}

	semihosting::File inputs("inputs", semihosting::File::Read);
	semihosting::File outputs("outputs", semihosting::File::Write);
	semihosting::File ticks("ticks", semihosting::File::Write);
	static int8_t row[Engine::kInputSize];

	while (inputs.read(row, sizeof(row)) == sizeof(row)) {
		memcpy(engine.input(), row, sizeof(row));
		const uint32_t total = probe_ticks(invoke, nullptr);
		outputs.write(engine.output(), Engine::kOutputSize);
#if defined(MOTION_LAYERS)
		ticks.write(const_cast<uint32_t *>(motion_layer_ticks), sizeof(motion_layer_ticks));
#endif
		ticks.write(&total, sizeof(total));
	}

	memcpy(engine.input(), row, sizeof(row));
	const uint32_t stack = probe_stack(invoke, nullptr);
	semihosting::File("stack", semihosting::File::Write).write(&stack, sizeof(stack));
	return 0;
}
