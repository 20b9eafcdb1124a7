// SPDX-License-Identifier: BSD-3-Clause
//
// The board's clock with a test double of micros(): a number on standard input, the time on standard output.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NODE_NO_EEPROM
#include "board/Board.hpp"

static uint32_t ticks;

uint32_t micros() { return ticks; }

SerialDouble Serial1{0};
SerialDouble Serial{0};

int main()
{
	char line[40];

	while (fgets(line, sizeof(line), stdin)) {
		ticks = static_cast<uint32_t>(strtoul(line, nullptr, 10));
		printf("%" PRIu64 "\n", node::board_time_us());
	}
}
