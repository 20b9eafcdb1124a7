// SPDX-License-Identifier: BSD-3-Clause
//
// BMI270 of the Nano 33 BLE Sense Rev2 (Bosch, BST-BMI270-DS000): 200 Hz, ±16 g, ±2000 °/s.
//
// The library Arduino_BMI270_BMM150 loads the 8 KB of configuration it cannot do without; the rest is done here, for
// the library has 100 Hz and ±4 g fixed.

#pragma once

#include "../node/CsvCapture.hpp"
#include "ImuDriver.hpp"

namespace node
{

class Bmi270 final : public ImuDriver
{
public:
	static constexpr uint8_t ADDRESS = 0x68;

	/// load: brings the sensor's configuration into it (the library's begin()); true when it could.
	Bmi270(I2cBus &bus, bool (*load)(), uint8_t address = ADDRESS)
		: ImuDriver(2000, 1000000 / 200, {STANDARD_GRAVITY_M_S2 / 2048.0f, RAD_PER_DEG / 16.384f}),
		  _device(bus, address), _load(load)
	{
	}

	const char *name() const override { return "BMI270"; }

private:
	enum Register : uint8_t {
		CHIP_ID = 0x00, STATUS = 0x03, DATA_8 = 0x0c, INTERNAL_STATUS = 0x21, FEAT_PAGE = 0x2f, GYR_CAS = 0x3c,
		ACC_CONF = 0x40, ACC_RANGE = 0x41, GYR_CONF = 0x42, GYR_RANGE = 0x43, PWR_CONF = 0x7c, PWR_CTRL = 0x7d, CMD = 0x7e
	};

	bool reset() override { return _device.holds(CHIP_ID, 0x24) && _device.write(CMD, 0xb6); }

	bool configure() override
	{
		uint8_t status = 0;
		uint8_t factor = 0;
		constexpr Setting settings[] = {
			{PWR_CONF, 0x02},  // not asleep between samples
			{ACC_CONF, 0xa9},  // 200 Hz, low-pass 80 Hz
			{ACC_RANGE, 0x03}, // 16 g
			{GYR_CONF, 0xa9},  // 200 Hz, low-pass 75 Hz
			{GYR_RANGE, 0x00}, // 2000 °/s
			{PWR_CTRL, 0x0e},  // accelerometer, gyroscope, temperature
		};

		if (!_load() || !_device.read(INTERNAL_STATUS, &status, 1) || (status & 0x0f) != 0x01 || !_device.set(settings)
		    || !_device.write(FEAT_PAGE, 0) || !_device.read(GYR_CAS, &factor, 1)) {
			return false;
		}

		// Seven bits with a sign: how much of z is in x, in 1/512.
		_factor_zx = static_cast<int32_t>(factor & 0x7f) - ((factor & 0x40) ? 128 : 0);
		return true;
	}

	Found read(int16_t accel[3], int16_t gyro[3]) override
	{
		uint8_t status;
		uint8_t data[12];

		if (!_device.read(STATUS, &status, 1)) {
			return Found::Error;
		}

		if ((status & 0xc0) != 0xc0) {
			return Found::Nothing;
		}

		if (!_device.read(DATA_8, data, sizeof(data))) {
			return Found::Error;
		}

		for (uint32_t i = 0; i < 3; ++i) {
			accel[i] = little_endian(data + 2 * i);
			gyro[i] = little_endian(data + 6 + 2 * i);
		}

		const int32_t x = gyro[0] - _factor_zx * gyro[2] / 512;
		gyro[0] = static_cast<int16_t>(x > 32767 ? 32767 : x < -32768 ? -32768 : x);
		return Found::Sample;
	}

	/// By way of the library's axes, which are those of the Rev1: x is −y of the sensor, y is −x.
	void to_frd(const int16_t counts[3], float unit, float frd[3]) const override
	{
		const float library[3] = {-static_cast<float>(counts[1]), -static_cast<float>(counts[0]), static_cast<float>(counts[2])};

		for (uint32_t i = 0; i < 3; ++i) {
			frd[i] = library[i] * unit * BOARD_TO_FRD[i];
		}
	}

	I2cDevice _device;
	bool (*const _load)();
	int32_t _factor_zx{0};
};

} // namespace node
