// Runs one of several compiled models on rows from stdin, for tests/engine/cpp.py.

#pragma once

#include <stdio.h>

#include "engine/CompiledEngine.hpp"

template <class Model>
int drive()
{
	static motion::engine::CompiledEngine<Model> engine;

	while (fread(engine.input(), 1, engine.kInputSize, stdin) == static_cast<size_t>(engine.kInputSize)) {
		if (!engine.invoke() || fwrite(engine.output(), 1, engine.kOutputSize, stdout) != static_cast<size_t>(engine.kOutputSize)) {
			return 1;
		}
	}

	return 0;
}
