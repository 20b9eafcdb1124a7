// Runs compiled models on rows, for tests/compiler/cpp.py: stdin to stdout, or file "in" to file "out" on a Cortex-M.

#pragma once

#include "engine/CompiledEngine.hpp"

#if defined(__arm__)

#include "semihosting.hpp"

struct Stream {
	semihosting::File in{"in", semihosting::File::Read};
	semihosting::File out{"out", semihosting::File::Write};

	bool read(void *data, size_t size) { return in.read(data, size) == size; }
	bool write(const void *data, size_t size)
	{
		out.write(data, size);
		return true;
	}
};

#else

#include <stdint.h>
#include <stdio.h>

struct Stream {
	bool read(void *data, size_t size) { return fread(data, 1, size, stdin) == size; }
	bool write(const void *data, size_t size) { return fwrite(data, 1, size, stdout) == size; }
};

#endif

/** Reads the number of rows and that many inputs; writes as many outputs. */
template <class Model>
bool drive(Stream &stream)
{
	static motion::engine::CompiledEngine<Model> engine;
	uint32_t rows;

	if (!stream.read(&rows, sizeof(rows))) {
		return false;
	}

	for (uint32_t row = 0; row < rows; row++) {
		if (!stream.read(engine.input(), engine.kInputSize) || !engine.invoke()
		    || !stream.write(engine.output(), engine.kOutputSize)) {
			return false;
		}
	}

	return true;
}
