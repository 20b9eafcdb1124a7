// SPDX-License-Identifier: BSD-3-Clause
//
// Test double of Arduino's EEPROM: memory that a restart of the board leaves alone.

#pragma once

#include <stdint.h>

class EepromDouble
{
public:
	uint8_t read(int address) const { return memory[address]; }
	void write(int address, uint8_t value) { memory[address] = value; }

	uint8_t memory[1024];
};

extern EepromDouble EEPROM;
