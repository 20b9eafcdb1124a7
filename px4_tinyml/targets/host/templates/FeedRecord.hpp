// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <stdint.h>

/// One record of a binary feed: little-endian, 40 bytes.
struct FeedRecord {
	static constexpr uint32_t VERSION = 1;

	uint64_t time_us;
	uint32_t kind;  ///< 0: IMU, values are ax ay az gx gy gz; 1: barometer, values[0] is the altitude
	float values[6];
	uint32_t zero;
};

static_assert(sizeof(FeedRecord) == 40, "the binary format has no padding");
