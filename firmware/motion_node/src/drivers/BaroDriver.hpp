// SPDX-License-Identifier: BSD-3-Clause
//
// A barometer.

#pragma once

#include "../node/Samples.hpp"
#include "I2cBus.hpp"
#include "Sensor.hpp"

namespace node
{

class BaroDriver : public Sensor
{
public:
	/// Do what is to be done now. True when there was a new sample; its time is now_us.
	bool poll(uint64_t now_us, BaroSample &sample)
	{
		if (!due(now_us) || !found(read(sample.pressure_pa, sample.temperature_c), now_us)) {
			return false;
		}

		sample.time_us = now_us;
		sample.altitude_m = pressure_altitude_m(sample.pressure_pa);
		return true;
	}

protected:
	using Sensor::Sensor;
	~BaroDriver() = default;

	virtual Found read(float &pressure_pa, float &temperature_c) = 0;
};

} // namespace node
