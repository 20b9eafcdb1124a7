// SPDX-License-Identifier: BSD-3-Clause
//
// From reset to main() on a bare Cortex-M4F or M7, under an emulator with semihosting.

#include <stdint.h>

#include "semihosting.hpp"

extern "C" {
extern uint32_t stack_top, data_start, data_end, data_load, bss_start, bss_end;
typedef void (*Constructor)();
extern Constructor init_array_start, init_array_end;

int main();

[[noreturn]] void fault()
{
	semihosting::print("fault\n");
	semihosting::exit(1);
}

/// Instead of the C library's, which needs signals.
[[noreturn]] void abort()
{
	semihosting::print("abort\n");
	semihosting::exit(1);
}

[[noreturn]] void reset()
{
	// The floating-point unit is off after reset: CPACR, full access to coprocessors 10 and 11.
	*reinterpret_cast<volatile uint32_t *>(0xE000ED88) |= 0xFu << 20;
	asm volatile("dsb\n\tisb" ::: "memory");

	const uint32_t *from = &data_load;

	for (uint32_t *to = &data_start; to != &data_end;) {
		*to++ = *from++;
	}

	for (uint32_t *to = &bss_start; to != &bss_end;) {
		*to++ = 0;
	}

	for (Constructor *each = &init_array_start; each != &init_array_end; ++each) {
		(*each)();
	}

	semihosting::exit(main());
}

typedef void (*Handler)();

// Stack pointer, reset, and the faults; nothing here uses interrupts.
__attribute__((section(".vectors"), used)) const Handler vectors[16] = {
	reinterpret_cast<Handler>(&stack_top), reset, fault, fault, fault, fault, fault,
	fault, fault, fault, fault, fault, fault, fault, fault, fault,
};
}
