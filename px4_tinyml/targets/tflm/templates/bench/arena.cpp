// SPDX-License-Identifier: BSD-3-Clause
//
// The smallest arena of the model, as a number: into the file "arena" on Cortex-M, else to standard output.

#include "least_arena.hpp"

#if defined(__arm__)

#include "semihosting.hpp"

namespace
{

void report(const void *data, size_t size) { semihosting::File("arena", semihosting::File::Write).write(data, size); }

} // namespace

#else

#include <stdio.h>

namespace
{

void report(const void *data, size_t size) { fwrite(data, size, 1, stdout); }

} // namespace

#endif

int main()
{
	alignas(16) static uint8_t memory[2 << 20];
	const uint32_t least = least_arena<motion::model::TflmModel>(memory, sizeof(memory));
	report(&least, sizeof(least));
	return 0;
}
