// SPDX-License-Identifier: BSD-3-Clause
//
// Arduino's mbed core (Nano 33 BLE). Its Serial1 waits for every byte and its Serial for a host that reads, so the node
// talks to what is below them.

#pragma once

#include <USB/PluggableUSBSerial.h>
#include <drivers/BufferedSerial.h>
#include <drivers/FlashIAP.h>

#include "SendRing.hpp"

namespace node
{

static constexpr size_t SEND_BYTES = 1024;

inline mbed::BufferedSerial &telemetry_uart()
{
	static mbed::BufferedSerial uart(SERIAL1_TX, SERIAL1_RX, NODE_TELEMETRY_BAUD);
	return uart;
}

struct TelemetryLine {
	bool there() { return true; }

	size_t give(const uint8_t *data, size_t size)
	{
		const ssize_t taken = telemetry_uart().write(data, size);
		return taken > 0 ? static_cast<size_t>(taken) : 0;
	}
};

struct UsbLine {
	bool there() { return _SerialUSB.connected(); }

	size_t give(const uint8_t *data, size_t size)
	{
		uint32_t taken = 0;
		_SerialUSB.send_nb(const_cast<uint8_t *>(data), static_cast<uint32_t>(size), &taken);
		return taken;
	}
};

inline void begin_ports()
{
#if defined(TARGET_NRF52840)
	// micros() must count by the crystal. Without USB nothing else starts it, and time would be off by some percent.
	NRF_CLOCK->EVENTS_HFCLKSTARTED = 0;
	NRF_CLOCK->TASKS_HFCLKSTART = 1;
#endif
	telemetry_uart().set_blocking(false);
	_SerialUSB.begin(115200);
}

inline bool read_telemetry(uint8_t &byte) { return telemetry_uart().read(&byte, 1) == 1; }

inline bool read_usb(uint8_t &byte)
{
	if (_SerialUSB.available() <= 0) {
		return false;
	}

	byte = static_cast<uint8_t>(_SerialUSB.read());
	return true;
}

/// The last two pages of the flash, far behind any sketch. A page is erased every 32nd time: that takes 85 ms.
class BoardStorage final : public Storage
{
public:
	uint32_t blocks() override
	{
		if (!_ready && _flash.init() == 0) {
			_page = _flash.get_sector_size(_flash.get_flash_start() + _flash.get_flash_size() - 1);
			_start = _flash.get_flash_start() + _flash.get_flash_size() - PAGES * _page;
			_ready = true;
		}

		return _ready ? PAGES * _page / BLOCK_BYTES : 0;
	}

	bool read(uint32_t block, uint8_t *data) override
	{
		return _ready && _flash.read(data, _start + block * BLOCK_BYTES, BLOCK_BYTES) == 0;
	}

	bool write(uint32_t block, const uint8_t *data) override
	{
		const uint32_t address = _start + block * BLOCK_BYTES;
		return _ready && (address % _page != 0 || _flash.erase(address, _page) == 0)
		       && _flash.program(data, address, BLOCK_BYTES) == 0;
	}

private:
	static constexpr uint32_t PAGES = 2;

	mbed::FlashIAP _flash;
	uint32_t _start{0};
	uint32_t _page{0};
	bool _ready{false};
};

inline uint64_t hardware_id()
{
#if defined(TARGET_NRF52840)
	return (static_cast<uint64_t>(NRF_FICR->DEVICEID[1]) << 32) | NRF_FICR->DEVICEID[0];
#else
	return 0;
#endif
}

inline void restart_board() { NVIC_SystemReset(); }

} // namespace node
