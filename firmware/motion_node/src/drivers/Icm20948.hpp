// SPDX-License-Identifier: BSD-3-Clause
//
// ICM-20948 (TDK InvenSense, DS-000189): 225 Hz, ±16 g, ±2000 °/s.

#pragma once

#include "InvenSenseImu.hpp"

namespace node
{

class Icm20948 final : public InvenSenseImu
{
public:
	using InvenSenseImu::ADDRESS;

	explicit Icm20948(I2cBus &bus, uint8_t address = ADDRESS)
		: InvenSenseImu(bus, address, 1000000 / 225)
	{
	}

	const char *name() const override { return "ICM-20948"; }

private:
	enum Register : uint8_t {
		REG_BANK_SEL = 0x7f,
		// bank 0
		WHO_AM_I = 0x00, PWR_MGMT_1 = 0x06, PWR_MGMT_2 = 0x07, INT_ENABLE_1 = 0x11, INT_STATUS_1 = 0x1a, ACCEL_XOUT_H = 0x2d,
		// bank 2
		GYRO_SMPLRT_DIV = 0x00, GYRO_CONFIG_1 = 0x01, ACCEL_SMPLRT_DIV_1 = 0x10, ACCEL_SMPLRT_DIV_2 = 0x11, ACCEL_CONFIG = 0x14
	};

	bool bank(uint8_t number) { return _device.write(REG_BANK_SEL, static_cast<uint8_t>(number << 4)); }

	bool reset() override { return bank(0) && _device.holds(WHO_AM_I, 0xea) && _device.write(PWR_MGMT_1, 0x80); }

	bool configure() override
	{
		constexpr Setting awake[] = {
			{PWR_MGMT_1, 0x01},   // best clock there is
			{PWR_MGMT_2, 0x00},   // all axes
			{INT_ENABLE_1, 0x01}, // data-ready interrupt
		};
		constexpr Setting rates[] = {
			{GYRO_SMPLRT_DIV, 4}, // 1125 Hz / 5
			{GYRO_CONFIG_1, 0x1f}, // 2000 °/s, low-pass 51 Hz
			{ACCEL_SMPLRT_DIV_1, 0},
			{ACCEL_SMPLRT_DIV_2, 4},
			{ACCEL_CONFIG, 0x1f}, // 16 g, low-pass 50 Hz
		};
		return bank(0) && _device.set(awake) && bank(2) && _device.set(rates) && bank(0);
	}

	Found read(int16_t accel[3], int16_t gyro[3]) override
	{
		return read_sample<12>(INT_STATUS_1, ACCEL_XOUT_H, 6, accel, gyro);
	}
};

} // namespace node
