// SPDX-License-Identifier: BSD-3-Clause
//
// Counts what is allocated, with new or malloc (the linker sends malloc here: --wrap), to show that nothing is
// in flight and that nothing leaks.

#include "Host.hpp"

#include <stdlib.h>

#include <new>

namespace
{

uint64_t count;
int64_t blocks;
int pauses;

void *counted(void *block)
{
	if (pauses == 0 && block) {
		++count;
		++blocks;
	}

	return block;
}

} // namespace

extern "C" {
void *__real_malloc(size_t size);
void *__real_calloc(size_t number, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);

void *__wrap_malloc(size_t size) { return counted(__real_malloc(size)); }
void *__wrap_calloc(size_t number, size_t size) { return counted(__real_calloc(number, size)); }

void *__wrap_realloc(void *block, size_t size)
{
	if (!block) {
		return counted(__real_realloc(block, size));
	}

	count += pauses == 0;
	return __real_realloc(block, size);
}

void __wrap_free(void *block)
{
	if (pauses == 0 && block) {
		--blocks;
	}

	__real_free(block);
}
}

void *operator new (size_t size, const std::nothrow_t &) noexcept { return __wrap_malloc(size ? size : 1); }
void *operator new[](size_t size, const std::nothrow_t &) noexcept { return __wrap_malloc(size ? size : 1); }

// Without exceptions there is nothing to throw: out of memory ends the program.
void *operator new (size_t size)
{
	void *const block = __wrap_malloc(size ? size : 1);

	if (!block) {
		abort();
	}

	return block;
}

void *operator new[](size_t size) { return operator new (size); }
void operator delete (void *block) noexcept { __wrap_free(block); }
void operator delete[](void *block) noexcept { __wrap_free(block); }
void operator delete (void *block, size_t) noexcept { __wrap_free(block); }
void operator delete[](void *block, size_t) noexcept { __wrap_free(block); }

namespace px4_host
{

Pause::Pause() { ++pauses; }
Pause::~Pause() { --pauses; }

uint64_t allocations() { return count; }
int64_t allocated_blocks() { return blocks; }

} // namespace px4_host
