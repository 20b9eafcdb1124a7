// SPDX-License-Identifier: BSD-3-Clause
//
// LSM9DS1 of the Nano 33 BLE Sense Rev1 (ST, DocID025715): 238 Hz, ±16 g, ±2000 °/s.
//
// Not by way of the library Arduino_LSM9DS1 (1.1.1): it has 119 Hz and ±4 g fixed, which a multicopter's vibration
// exceeds, and scales rates by 2000/32768 where the data sheet has 70 m°/s a count.

#pragma once

#include "../node/CsvCapture.hpp"
#include "ImuDriver.hpp"

namespace node
{

class Lsm9ds1 final : public ImuDriver
{
public:
	static constexpr uint8_t ADDRESS = 0x6b;

	explicit Lsm9ds1(I2cBus &bus, uint8_t address = ADDRESS)
		: ImuDriver(10000, 1000000 / 238, {0.000732f * STANDARD_GRAVITY_M_S2, 0.070f * RAD_PER_DEG}), _device(bus, address)
	{
	}

	const char *name() const override { return "LSM9DS1"; }

private:
	enum Register : uint8_t {
		WHO_AM_I = 0x0f, CTRL_REG1_G = 0x10, STATUS_REG = 0x17, OUT_X_L_G = 0x18, CTRL_REG6_XL = 0x20, CTRL_REG8 = 0x22,
		OUT_X_L_XL = 0x28
	};

	bool reset() override { return _device.holds(WHO_AM_I, 0x68) && _device.write(CTRL_REG8, 0x05); }

	bool configure() override
	{
		constexpr Setting settings[] = {
			{CTRL_REG8, 0x44},    // a sample's bytes belong together; addresses count up
			{CTRL_REG1_G, 0x9a},  // 238 Hz, 2000 °/s, low-pass 63 Hz
			{CTRL_REG6_XL, 0x88}, // 238 Hz, 16 g, low-pass 105 Hz
		};
		return _device.set(settings);
	}

	Found read(int16_t accel[3], int16_t gyro[3]) override
	{
		uint8_t status;
		uint8_t rates[6];
		uint8_t forces[6];

		if (!_device.read(STATUS_REG, &status, 1)) {
			return Found::Error;
		}

		if ((status & 0x03) != 0x03) {
			return Found::Nothing;
		}

		if (!_device.read(OUT_X_L_G, rates, sizeof(rates)) || !_device.read(OUT_X_L_XL, forces, sizeof(forces))) {
			return Found::Error;
		}

		for (uint32_t i = 0; i < 3; ++i) {
			gyro[i] = little_endian(rates + 2 * i);
			accel[i] = little_endian(forces + 2 * i);
		}

		return Found::Sample;
	}

	void to_frd(const int16_t counts[3], float unit, float frd[3]) const override
	{
		for (uint32_t i = 0; i < 3; ++i) {
			frd[i] = static_cast<float>(counts[i]) * unit * BOARD_TO_FRD[i];
		}
	}

	I2cDevice _device;
};

} // namespace node
