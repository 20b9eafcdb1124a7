// SPDX-License-Identifier: BSD-3-Clause
//
// Rows from standard input through the engine to standard output, on this computer.

#include <stdio.h>

#include "Engine.hpp"

extern Engine engine;
extern "C" bool motion_footprint();

int main()
{
	if (engine.problem()) {
		fprintf(stderr, "%s\n", engine.problem());
		return 1;
	}

	while (fread(engine.input(), Engine::kInputSize, 1, stdin) == 1) {
		if (!motion_footprint() || fwrite(engine.output(), Engine::kOutputSize, 1, stdout) != 1) {
			return 1;
		}
	}

	return 0;
}
