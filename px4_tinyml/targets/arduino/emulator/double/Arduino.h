// SPDX-License-Identifier: BSD-3-Clause
//
// Test double of the Arduino API, as much of it as the sensor node uses, for a bare Cortex-M4F on QEMU's MPS2 board.
// Its clock is that of the samples it is fed (SampleFeed.hpp): a minute's recording is a minute, however long it takes.

#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t micros();
uint32_t millis();

/// A serial port: one of the board's UARTs (Arm DUI 0479, "CMSDK APB UART").
class SerialDouble
{
public:
	constexpr explicit SerialDouble(uint32_t base) : _base(base) {}

	void begin(unsigned long)
	{
		reg(BAUD_DIVIDER) = 16; // the emulator does not wait for a line: the least it accepts
		reg(CONTROL) = 0xb;     // send, receive, interrupt on reception
	}

	explicit operator bool() const { return true; }

	/// Whether anything was to be sent, taken or not, since this was last asked.
	bool had_to_send()
	{
		const bool had = _had_to_send;
		_had_to_send = false;
		return had;
	}

	void clear_interrupt() { reg(INTERRUPT) = 2; }

	int available() const { return reg(STATE) & RECEIVED ? 1 : 0; }
	int read() { return available() ? static_cast<int>(reg(DATA) & 0xff) : -1; }

	/// As much as a real board's buffer has; write() takes less when the other side does not.
	int availableForWrite()
	{
		const bool full = reg(STATE) & FULL;
		_had_to_send = _had_to_send || full;
		return full ? 0 : 64;
	}

	size_t write(const uint8_t *data, size_t size)
	{
		size_t written = 0;
		_had_to_send = true;

		while (written < size && !(reg(STATE) & FULL)) {
			reg(DATA) = data[written++];
		}

		return written;
	}

private:
	enum Register : uint32_t { DATA = 0x00, STATE = 0x04, CONTROL = 0x08, INTERRUPT = 0x0c, BAUD_DIVIDER = 0x10 };
	enum State : uint32_t { FULL = 1, RECEIVED = 2 };

	volatile uint32_t &reg(Register offset) const { return *reinterpret_cast<volatile uint32_t *>(_base + offset); }

	uint32_t _base;
	bool _had_to_send{false};
};

extern SerialDouble Serial1; ///< TELEM: the emulator's second serial port
extern SerialDouble Serial;  ///< USB: the third

void setup();
void loop();
