// SPDX-License-Identifier: BSD-3-Clause
//
// Included before everything else (-include) with MOTION_LAYERS = number of operators: the generated model then notes the
// timer after each layer. Three instructions of the hook run before the timer is read; reading and keeping it are two.

#pragma once

#ifndef __ASSEMBLER__

#include <stdint.h>

extern "C" {
extern volatile uint32_t motion_layer_ticks[MOTION_LAYERS];
}

#define MOTION_LAYER(position) \
	{ \
		uint32_t place, value; \
		asm volatile("movw %0, #:lower16:(motion_layer_ticks + 4 * " #position ")\n\t" \
			     "movt %0, #:upper16:(motion_layer_ticks + 4 * " #position ")\n\t" \
			     "mov.w %1, #0x40000000\n\t" \
			     "ldr %1, [%1, #4]\n\t" \
			     "str %1, [%0]" : "=&r"(place), "=&r"(value) :: "memory"); \
	}

#endif // __ASSEMBLER__
