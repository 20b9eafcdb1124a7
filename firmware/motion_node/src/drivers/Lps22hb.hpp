// SPDX-License-Identifier: BSD-3-Clause
//
// LPS22HB of both Nano 33 BLE Sense (ST, DocID027083): 75 Hz, low-pass 8 Hz.
//
// Not by way of the library Arduino_LPS22HB (1.0.2): it waits for a measurement, reads a byte at a time, and has no
// low-pass.

#pragma once

#include "BaroDriver.hpp"

namespace node
{

class Lps22hb final : public BaroDriver
{
public:
	static constexpr uint8_t ADDRESS = 0x5c;

	explicit Lps22hb(I2cBus &bus, uint8_t address = ADDRESS) : BaroDriver(10000, 1000000 / 75), _device(bus, address) {}

	const char *name() const override { return "LPS22HB"; }

private:
	enum Register : uint8_t { WHO_AM_I = 0x0f, CTRL_REG1 = 0x10, CTRL_REG2 = 0x11, STATUS = 0x27, PRESS_OUT_XL = 0x28 };

	bool reset() override { return _device.holds(WHO_AM_I, 0xb1) && _device.write(CTRL_REG2, 0x04); }

	bool configure() override
	{
		constexpr Setting settings[] = {
			{CTRL_REG2, 0x10}, // addresses count up
			{CTRL_REG1, 0x5a}, // 75 Hz, low-pass at a ninth of it, a sample's bytes belong together
		};
		return _device.set(settings);
	}

	Found read(float &pressure_pa, float &temperature_c) override
	{
		uint8_t status;
		uint8_t data[5]; // pressure, temperature

		if (!_device.read(STATUS, &status, 1)) {
			return Found::Error;
		}

		if (!(status & 0x01)) {
			return Found::Nothing;
		}

		if (!_device.read(PRESS_OUT_XL, data, sizeof(data))) {
			return Found::Error;
		}

		const uint32_t counts = data[0] | (static_cast<uint32_t>(data[1]) << 8) | (static_cast<uint32_t>(data[2]) << 16);
		pressure_pa = static_cast<float>(counts) * (100.0f / 4096.0f);
		temperature_c = static_cast<float>(little_endian(data + 3)) * 0.01f;
		return Found::Sample;
	}

	I2cDevice _device;
};

} // namespace node
