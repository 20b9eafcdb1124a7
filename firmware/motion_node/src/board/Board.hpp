// SPDX-License-Identifier: BSD-3-Clause
//
// What the node needs of a board: a clock, two serial ports, memory, a restart, a serial number.

#pragma once

#include <Arduino.h>

#include "../BoardConfig.hpp"

#ifndef NODE_TELEMETRY_BAUD
#define NODE_TELEMETRY_BAUD 57600 // as PX4's TELEM ports have it: SER_TEL2_BAUD
#endif

#if defined(ARDUINO_ARCH_MBED)
#include "MbedBoard.hpp"
#else
#include "StreamBoard.hpp"
#endif

namespace node
{

/// µs since the start, without the wrap of micros(). To be called at least every 71 minutes.
inline uint64_t board_time_us()
{
	static uint64_t time_us = 0;
	const uint32_t passed = static_cast<uint32_t>(micros()) - static_cast<uint32_t>(time_us);

	// Some cores' micros() steps back by a little now and then: that is no wrap.
	if (passed < UINT32_MAX - 1000000) {
		time_us += passed;
	}

	return time_us;
}

inline uint32_t board_clock_us() { return static_cast<uint32_t>(micros()); }

} // namespace node
