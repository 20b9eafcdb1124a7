// SPDX-License-Identifier: BSD-3-Clause
//
// Test double of a board's sensors, in the sketch's src/board: samples of a recording.

#pragma once

#include <SampleFeed.hpp>

#include "../node/Samples.hpp"

namespace node
{

class Sensors
{
public:
	void begin() { node_double::feed.begin(); }

	bool poll(uint64_t, ImuSample &sample)
	{
		if (!node_double::feed.take('i', _record)) {
			return false;
		}

		sample.time_us = _record.time_us;

		for (int axis = 0; axis < 3; ++axis) {
			sample.accel_m_s2[axis] = _record.values[axis];
			sample.gyro_rad_s[axis] = _record.values[3 + axis];
		}

		return true;
	}

	bool poll(uint64_t, BaroSample &sample)
	{
		if (!node_double::feed.take('a', _record)) {
			return false;
		}

		sample = BaroSample{_record.time_us, _record.values[0], _record.values[1], _record.values[2]};
		return true;
	}

private:
	node_double::SampleFeed::Record _record{};
};

} // namespace node
