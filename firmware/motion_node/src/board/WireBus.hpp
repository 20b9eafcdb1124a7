// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <Wire.h>

#include "../drivers/I2cBus.hpp"

namespace node
{

class WireBus final : public I2cBus
{
public:
	static constexpr uint32_t CLOCK_HZ = 400000;

	explicit WireBus(TwoWire &wire) : _wire(wire) {}

	void begin()
	{
		_wire.begin();
		_wire.setClock(CLOCK_HZ);
#if defined(WIRE_HAS_TIMEOUT)
		_wire.setWireTimeout(3000, true); // AVR: a bus that is stuck must not stop the node
#endif
	}

	bool read(uint8_t address, uint8_t first_register, uint8_t *data, size_t size) override
	{
		_wire.beginTransmission(address);
		_wire.write(first_register);

		if (_wire.endTransmission(false) != 0) {
			return false;
		}

		if (_wire.requestFrom(address, static_cast<uint8_t>(size)) != size) {
			return false;
		}

		for (size_t i = 0; i < size; ++i) {
			data[i] = static_cast<uint8_t>(_wire.read());
		}

		return true;
	}

	bool write(uint8_t address, uint8_t to_register, uint8_t value) override
	{
		_wire.beginTransmission(address);
		_wire.write(to_register);
		_wire.write(value);
		return _wire.endTransmission() == 0;
	}

private:
	TwoWire &_wire;
};

} // namespace node
