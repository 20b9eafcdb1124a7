// SPDX-License-Identifier: BSD-3-Clause
//
// Instructions and stack of one call, measured without disturbing it. See docs/bench.md.

#pragma once

#include <stdint.h>

extern "C" {
/// Start the board's timer at zero, call, and return the timer's ticks. The overhead of a call is constant: calibrate.cpp
/// measures it.
uint32_t probe_ticks(void (*function)(void *), void *argument);

/// Bytes below the stack pointer that a call wrote to, found by painting the stack first.
uint32_t probe_stack(void (*function)(void *), void *argument);
}

/// Ticks since probe_ticks() began the call; to be read inside of it.
static inline uint32_t probe_now()
{
	uint32_t value;
	asm volatile("mov %0, #0x40000000\n\tldr %0, [%0, #4]" : "=&r"(value) :: "memory");
	return ~value;
}
