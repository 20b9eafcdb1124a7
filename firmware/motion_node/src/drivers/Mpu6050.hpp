// SPDX-License-Identifier: BSD-3-Clause
//
// MPU-6050 (InvenSense, RM-MPU-6000A-00): 200 Hz, ±16 g, ±2000 °/s. Boards are marked with its axes: X forward is meant
// to be the board's front, Y its left, Z up.

#pragma once

#include "ImuDriver.hpp"

namespace node
{

class Mpu6050 final : public ImuDriver
{
public:
	static constexpr uint8_t ADDRESS = 0x68;

	explicit Mpu6050(I2cBus &bus, uint8_t address = ADDRESS)
		: ImuDriver(100000, 1000000 / 200, {STANDARD_GRAVITY_M_S2 / 2048.0f, RAD_PER_DEG / 16.4f}), _device(bus, address)
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
			{INT_ENABLE, 0x01},   // tells when data are ready
		};
		return _device.set(settings);
	}

	Found read(int16_t accel[3], int16_t gyro[3]) override
	{
		uint8_t status;
		uint8_t data[14]; // accelerations, temperature, rates

		if (!_device.read(INT_STATUS, &status, 1)) {
			return Found::Error;
		}

		if (!(status & 0x01)) {
			return Found::Nothing;
		}

		if (!_device.read(ACCEL_XOUT_H, data, sizeof(data))) {
			return Found::Error;
		}

		for (uint32_t i = 0; i < 3; ++i) {
			accel[i] = big_endian(data + 2 * i);
			gyro[i] = big_endian(data + 8 + 2 * i);
		}

		return Found::Sample;
	}

	void to_frd(const int16_t counts[3], float unit, float frd[3]) const override
	{
		frd[0] = static_cast<float>(counts[0]) * unit;
		frd[1] = -static_cast<float>(counts[1]) * unit;
		frd[2] = -static_cast<float>(counts[2]) * unit;
	}

	I2cDevice _device;
};

} // namespace node
