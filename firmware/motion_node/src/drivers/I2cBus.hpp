// SPDX-License-Identifier: BSD-3-Clause
//
// The bus sensors hang on: the board has one, tests have a double.

#pragma once

#include <stddef.h>
#include <stdint.h>

namespace node
{

class I2cBus
{
public:
	/// Read size bytes from a register on; false when the device did not answer.
	virtual bool read(uint8_t address, uint8_t first_register, uint8_t *data, size_t size) = 0;

	virtual bool write(uint8_t address, uint8_t to_register, uint8_t value) = 0;

protected:
	~I2cBus() = default;
};

/// A register and what to write to it.
struct Setting {
	uint8_t address;
	uint8_t value;
};

/// One sensor's registers.
class I2cDevice
{
public:
	I2cDevice(I2cBus &bus, uint8_t address) : _bus(bus), _address(address) {}

	bool read(uint8_t first_register, uint8_t *data, size_t size) { return _bus.read(_address, first_register, data, size); }

	bool write(uint8_t to_register, uint8_t value) { return _bus.write(_address, to_register, value); }

	bool holds(uint8_t in_register, uint8_t value)
	{
		uint8_t found = 0;
		return read(in_register, &found, 1) && found == value;
	}

	/// Write all, and read them back: a sensor that lost a byte would measure in other units.
	template <size_t Count>
	bool set(const Setting(&settings)[Count])
	{
		for (const Setting &setting : settings) {
			if (!write(setting.address, setting.value) || !holds(setting.address, setting.value)) {
				return false;
			}
		}

		return true;
	}

private:
	I2cBus &_bus;
	const uint8_t _address;
};

inline int16_t signed_word(uint8_t high, uint8_t low)
{
	return static_cast<int16_t>(static_cast<uint16_t>(static_cast<uint16_t>(high) << 8) | low);
}

inline int16_t little_endian(const uint8_t *data) { return signed_word(data[1], data[0]); }
inline int16_t big_endian(const uint8_t *data) { return signed_word(data[0], data[1]); }

} // namespace node
