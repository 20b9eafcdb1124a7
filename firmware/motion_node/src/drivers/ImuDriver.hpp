// SPDX-License-Identifier: BSD-3-Clause
//
// An accelerometer and gyroscope.

#pragma once

#include "../node/Samples.hpp"
#include "I2cBus.hpp"
#include "Sensor.hpp"

namespace node
{

class ImuDriver : public Sensor
{
public:
	/// Do what is to be done now. True when there was a new sample; its time is now_us, when it was found ready.
	bool poll(uint64_t now_us, ImuSample &sample)
	{
		if (!due(now_us)) {
			return false;
		}

		int16_t accel[3];
		int16_t gyro[3];

		if (!found(read(accel, gyro), now_us)) {
			return false;
		}

		sample.time_us = now_us;
		to_frd(accel, _units.accel_m_s2, sample.accel_m_s2);
		to_frd(gyro, _units.gyro_rad_s, sample.gyro_rad_s);
		return true;
	}

protected:
	static constexpr float STANDARD_GRAVITY_M_S2 = 9.80665f;
	static constexpr float RAD_PER_DEG = 0.017453292519943295f;

	/// What one count of each sensor is.
	struct Units {
		float accel_m_s2;
		float gyro_rad_s;
	};

	ImuDriver(uint32_t reset_us, uint32_t period_us, const Units &units) : Sensor(reset_us, period_us), _units(units) {}
	~ImuDriver() = default;

	/// Counts along the sensor's own axes, when there are new ones.
	virtual Found read(int16_t accel[3], int16_t gyro[3]) = 0;

	/// The sensor's axes into forward, right, down of the board.
	virtual void to_frd(const int16_t counts[3], float unit, float frd[3]) const = 0;

private:
	const Units _units;
};

} // namespace node
