// SPDX-License-Identifier: BSD-3-Clause
//
// Boards whose Serial and Serial1 have availableForWrite(): AVR, ESP32, RP2040, Teensy, and the
// emulated one.

#pragma once

#include "SendRing.hpp"

#if defined(ARDUINO_ARCH_AVR)
#include <avr/wdt.h>
#endif
#if !defined(NODE_NO_EEPROM)
#include <EEPROM.h>
#endif

namespace node
{

#if defined(ARDUINO_ARCH_AVR)
static constexpr size_t SEND_BYTES = 384; // the longest frame and a little
#else
static constexpr size_t SEND_BYTES = 1024;
#endif

template <class Stream>
size_t give_some(Stream &stream, const uint8_t *data, size_t size)
{
	const int room = stream.availableForWrite();
	const size_t some = room <= 0 ? 0 : size < static_cast<size_t>(room) ? size : static_cast<size_t>(room);
	return some ? stream.write(data, some) : 0;
}

template <class Stream>
bool read_some(Stream &stream, uint8_t &byte)
{
	if (stream.available() <= 0) {
		return false;
	}

	byte = static_cast<uint8_t>(stream.read());
	return true;
}

struct TelemetryLine {
	bool there() { return true; }
	size_t give(const uint8_t *data, size_t size) { return give_some(Serial1, data, size); }
};

struct UsbLine {
	bool there() { return static_cast<bool>(Serial); }
	size_t give(const uint8_t *data, size_t size) { return give_some(Serial, data, size); }
};

inline void begin_ports()
{
	Serial1.begin(NODE_TELEMETRY_BAUD);
	Serial.begin(115200);
}

inline bool read_telemetry(uint8_t &byte) { return read_some(Serial1, byte); }
inline bool read_usb(uint8_t &byte) { return read_some(Serial, byte); }

#if defined(NODE_NO_EEPROM)

/// A board that keeps nothing.
class BoardStorage final : public Storage
{
public:
	uint32_t blocks() override { return 0; }
	bool read(uint32_t, uint8_t *) override { return false; }
	bool write(uint32_t, const uint8_t *) override { return false; }
};

#else

/// The first kilobyte of the EEPROM, or of what the board's EEPROM library makes of its flash.
class BoardStorage final : public Storage
{
public:
	uint32_t blocks() override
	{
#if defined(ARDUINO_ARCH_ESP32) || defined(ARDUINO_ARCH_RP2040)

		if (!_begun) {
			EEPROM.begin(BLOCKS * BLOCK_BYTES);
			_begun = true;
		}

#endif
		return BLOCKS;
	}

	bool read(uint32_t block, uint8_t *data) override
	{
		for (size_t i = 0; i < BLOCK_BYTES; ++i) {
			data[i] = EEPROM.read(static_cast<int>(block * BLOCK_BYTES + i));
		}

		return true;
	}

	bool write(uint32_t block, const uint8_t *data) override
	{
		for (size_t i = 0; i < BLOCK_BYTES; ++i) {
			const int address = static_cast<int>(block * BLOCK_BYTES + i);

			if (EEPROM.read(address) != data[i]) {
				EEPROM.write(address, data[i]);
			}
		}

#if defined(ARDUINO_ARCH_ESP32) || defined(ARDUINO_ARCH_RP2040)
		return EEPROM.commit();
#else
		return true;
#endif
	}

private:
	static constexpr uint32_t BLOCKS = 8;
	bool _begun{false};
};

#endif

inline uint64_t hardware_id()
{
#if defined(ARDUINO_ARCH_ESP32)
	return ESP.getEfuseMac();
#else
	return 0;
#endif
}

inline void restart_board()
{
#if defined(ARDUINO_ARCH_AVR)
	wdt_enable(WDTO_15MS);

	for (;;) {}

#elif defined(ARDUINO_ARCH_ESP32)
	ESP.restart();
#elif defined(ARDUINO_ARCH_RP2040)
	rp2040.reboot();
#elif defined(__arm__)
	*reinterpret_cast<volatile uint32_t *>(0xe000ed0c) = 0x05fa0004; // SCB AIRCR: SYSRESETREQ

	for (;;) {}

#endif
}

} // namespace node
