// SPDX-License-Identifier: BSD-3-Clause
//
// Test double of the sensors: samples with their times are read from the first serial port, and the board's clock follows
// them. px4_tinyml/targets/arduino/emulator/sample_records.py writes them. All little-endian, a letter first:
//
//	i time:u64 6 float	IMU: m/s², rad/s
//	a time:u64 3 float	barometer: Pa, °C, m
//	t time:u64		only time passes
//	p			answered with "p" when all before it has been taken
//	c			answered with "c" and the counts of Work
//
// A board that starts sends "r" and skips everything before the word START.

#pragma once

#include <string.h>

#include <Arduino.h>

namespace node_double
{

/// Instructions are ticks / 1.6 where the emulator counts them (-icount shift=6).
struct Work {
	uint64_t busy_ticks;  ///< of loops in which a sample or a byte was taken
	uint64_t busy_loops;
	uint64_t idle_ticks;  ///< of loops that found nothing to do
	uint64_t idle_loops;
	uint64_t longest_ticks;
	uint64_t stack_bytes; ///< the most that was ever used
};

class SampleFeed
{
public:
	struct Record {
		uint8_t kind; ///< 0: none
		uint64_t time_us;
		float values[6];
	};

	void begin();

	/// The next record when it is of this kind.
	bool take(uint8_t kind, Record &record);

	uint64_t clock_us() const { return _clock_us; }

	/// Samples taken so far.
	uint32_t taken() const { return _taken; }

	SerialDouble port{0x40004000};

	Work work{};

private:
	bool find_start();
	void fetch();
	void done(uint8_t kind);

	Record _record{};
	uint8_t _bytes[1 + sizeof(uint64_t) + 6 * sizeof(float)];
	size_t _used{0};
	uint64_t _clock_us{0};
	uint32_t _taken{0};
	bool _started{false};
};

extern SampleFeed feed;

} // namespace node_double
