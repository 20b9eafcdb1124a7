// SPDX-License-Identifier: BSD-3-Clause
//
// MPU-6050 (InvenSense, RM-MPU-6000A-00): 200 Hz, ±16 g, ±2000 °/s.

#pragma once

#include "InvenSenseImu.hpp"

namespace node
{

class Mpu6050 final : public InvenSenseImu
{
public:
	using InvenSenseImu::ADDRESS;

	explicit Mpu6050(I2cBus &bus, uint8_t address = ADDRESS)
		: InvenSenseImu(bus, address, 1000000 / 200)
	{
	}

	const char *name() const override { return "MPU-6050"; }

private:
	enum Register : uint8_t {
		SMPLRT_DIV = 0x19, CONFIG = 0x1a, GYRO_CONFIG = 0x1b, ACCEL_CONFIG = 0x1c, INT_ENABLE = 0x38, INT_STATUS = 0x3a,
		ACCEL_XOUT_H = 0x3b, PWR_MGMT_1 = 0x6b, WHO_AM_I = 0x75
	};

	bool reset() override { return _device.holds(WHO_AM_I, 0x68) && _device.write(PWR_MGMT_1, 0x80); }

	bool configure() override
	{
		constexpr Setting settings[] = {
			{PWR_MGMT_1, 0x01},   // awake, clocked by the gyroscope
			{SMPLRT_DIV, 4},      // 1 kHz / 5
			{CONFIG, 0x02},       // low-pass 94 and 98 Hz
			{GYRO_CONFIG, 0x18},  // 2000 °/s
			{ACCEL_CONFIG, 0x18}, // 16 g
			{INT_ENABLE, 0x01},   // data-ready interrupt
		};
		return _device.set(settings);
	}

	Found read(int16_t accel[3], int16_t gyro[3]) override
	{
		return read_sample<14>(INT_STATUS, ACCEL_XOUT_H, 8, accel, gyro); // the temperature is between them
	}
};

} // namespace node
