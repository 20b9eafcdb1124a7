// SPDX-License-Identifier: BSD-3-Clause
//
// What InvenSense's IMUs have in common: a status, and acceleration and rate big-endian in one run of registers. Boards are
// marked with their axes: X forward is meant to be the board's front, Y its left, Z up.

#pragma once

#include "ImuDriver.hpp"

namespace node
{

class InvenSenseImu : public ImuDriver
{
protected:
	static constexpr uint8_t ADDRESS = 0x68;

	/// ±16 g and ±2000 °/s.
	InvenSenseImu(I2cBus &bus, uint8_t address, uint32_t interval_us)
		: ImuDriver(100000, interval_us, {STANDARD_GRAVITY_M_S2 / 2048.0f, RAD_PER_DEG / 16.4f}), _device(bus, address)
	{
	}

	/// The sample at `first`, if `status` has the data-ready bit. gyro_at: where the rates begin in its SIZE bytes.
	template <uint32_t SIZE>
	Found read_sample(uint8_t status, uint8_t first, uint32_t gyro_at, int16_t accel[3], int16_t gyro[3])
	{
		uint8_t ready;
		uint8_t data[SIZE];

		if (!_device.read(status, &ready, 1)) {
			return Found::Error;
		}

		if (!(ready & 0x01)) {
			return Found::Nothing;
		}

		if (!_device.read(first, data, sizeof(data))) {
			return Found::Error;
		}

		for (uint32_t i = 0; i < 3; ++i) {
			accel[i] = big_endian(data + 2 * i);
			gyro[i] = big_endian(data + gyro_at + 2 * i);
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
