// SPDX-License-Identifier: BSD-3-Clause
//
// BMP280 (Bosch, BST-BMP280-DS001), and that part of a BME280: about 40 Hz, low-pass over 4 samples. It does not
// report new measurements: it is read no more often than the longest one takes (25.3 ms).

#pragma once

#include "BaroDriver.hpp"

namespace node
{

class Bmp280 final : public BaroDriver
{
public:
	static constexpr uint8_t ADDRESS = 0x76;

	explicit Bmp280(I2cBus &bus, uint8_t address = ADDRESS) : BaroDriver(10000, PERIOD_US), _device(bus, address) {}

	const char *name() const override { return "BMP280"; }

private:
	/// Sensor looks after three quarters of it.
	static constexpr uint32_t PERIOD_US = 34000;

	enum Register : uint8_t {
		CALIB00 = 0x88, ID = 0xd0, RESET = 0xe0, STATUS = 0xf3, CTRL_MEAS = 0xf4, CONFIG = 0xf5, PRESS_MSB = 0xf7
	};

	bool reset() override { return (_device.holds(ID, 0x58) || _device.holds(ID, 0x60)) && _device.write(RESET, 0xb6); }

	bool configure() override
	{
		uint8_t data[24];
		constexpr Setting settings[] = {
			{CONFIG, 0x08},    // half a millisecond between measurements, low-pass 4
			{CTRL_MEAS, 0x53}, // temperature twice, pressure eight times, over and over
		};

		if (!_device.read(CALIB00, data, sizeof(data)) || !_device.set(settings)) {
			return false;
		}

		for (uint32_t i = 0; i < 12; ++i) {
			_trim[i] = little_endian(data + 2 * i);
		}

		return static_cast<uint16_t>(_trim[3]) != 0; // a pressure is divided by it
	}

	Found read(float &pressure_pa, float &temperature_c) override
	{
		uint8_t data[6];

		if (!_device.read(PRESS_MSB, data, sizeof(data))) {
			return Found::Error;
		}

		const int32_t raw_pressure = twenty_bits(data);
		const int32_t raw_temperature = twenty_bits(data + 3);

		if (raw_pressure == NOT_MEASURED || raw_temperature == NOT_MEASURED) {
			return Found::Nothing;
		}

		const int32_t fine = fine_temperature(raw_temperature);
		temperature_c = static_cast<float>((fine * 5 + 128) >> 8) * 0.01f;
		pressure_pa = pressure(raw_pressure, fine);
		return pressure_pa > 0.0f ? Found::Sample : Found::Error;
	}

	static constexpr int32_t NOT_MEASURED = 0x80000;

	static int32_t twenty_bits(const uint8_t *data)
	{
		return (static_cast<int32_t>(data[0]) << 12) | (static_cast<int32_t>(data[1]) << 4) | (data[2] >> 4);
	}

	/// The data sheet's 3.11.3, with the trimming values dig_T1… and dig_P1… in _trim.
	int32_t fine_temperature(int32_t raw) const
	{
		const int32_t t1 = static_cast<uint16_t>(_trim[0]);
		const int32_t a = (((raw >> 3) - t1 * 2) * _trim[1]) >> 11;
		const int32_t b = (raw >> 4) - t1;
		return a + (((((b * b) >> 12) * _trim[2])) >> 14);
	}

	float pressure(int32_t raw, int32_t fine) const
	{
		const int64_t p1 = static_cast<uint16_t>(_trim[3]);
		const int16_t *const p = _trim + 2; // p[2] is dig_P2
		const int64_t a = static_cast<int64_t>(fine) - 128000;
		const int64_t b = a * a * p[6] + a * p[5] * 131072 + static_cast<int64_t>(p[4]) * (1LL << 35);
		const int64_t c = (((1LL << 47) + ((a * a * p[3]) >> 8) + a * p[2] * 4096) * p1) >> 33;

		if (c == 0) {
			return 0.0f;
		}

		const int64_t d = ((1048576 - static_cast<int64_t>(raw)) * (1LL << 31) - b) * 3125 / c;
		const int64_t e = (static_cast<int64_t>(p[9]) * (d >> 13) * (d >> 13)) >> 25;
		const int64_t f = (static_cast<int64_t>(p[8]) * d) >> 19;
		return static_cast<float>(((d + e + f) >> 8) + static_cast<int64_t>(p[7]) * 16) / 256.0f;
	}

	I2cDevice _device;
	int16_t _trim[12] {};
};

} // namespace node
