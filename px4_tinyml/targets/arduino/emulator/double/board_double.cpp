// SPDX-License-Identifier: BSD-3-Clause
//
// Test double of an Arduino board: what its core has, around setup() and loop() of the sketch.

#include <Arduino.h>
#include <EEPROM.h>

#include "SampleFeed.hpp"

SerialDouble Serial1{0x40005000};
SerialDouble Serial{0x40006000};
__attribute__((section(".noinit"))) EepromDouble EEPROM;

uint32_t micros() { return static_cast<uint32_t>(node_double::feed.clock_us()); }
uint32_t millis() { return static_cast<uint32_t>(node_double::feed.clock_us() / 1000); }

namespace node_double
{

SampleFeed feed;

uint32_t stack_used();

static constexpr char START[] = "MOTNFEED";
static constexpr size_t START_SIZE = sizeof(START) - 1;

void SampleFeed::begin()
{
	const uint8_t ready = 'r';
	port.begin(0);
	port.write(&ready, 1);
}

bool SampleFeed::take(uint8_t kind, Record &record)
{
	fetch();

	if (_record.kind != kind) {
		return false;
	}

	record = _record;
	_record.kind = 0;
	++_taken;
	return true;
}

bool SampleFeed::find_start()
{
	while (!_started && port.available()) {
		const uint8_t byte = static_cast<uint8_t>(port.read());
		_used = byte == START[_used] ? _used + 1 : byte == START[0] ? 1 : 0;
		_started = _used == START_SIZE;

		if (_started) {
			_used = 0;
		}
	}

	return _started;
}

void SampleFeed::fetch()
{
	static constexpr size_t TIME_SIZE = 1 + sizeof(uint64_t);

	while (_record.kind == 0 && find_start() && port.available()) {
		_bytes[_used++] = static_cast<uint8_t>(port.read());
		const uint8_t kind = _bytes[0];
		const size_t size = kind == 'i' ? TIME_SIZE + 6 * sizeof(float)
				    : kind == 'a' ? TIME_SIZE + 3 * sizeof(float) : kind == 't' ? TIME_SIZE : 1;

		if (_used < size) {
			continue;
		}

		_used = 0;

		if (size == 1) {
			done(kind);
			continue;
		}

		memcpy(&_record.time_us, _bytes + 1, sizeof(uint64_t));
		memcpy(_record.values, _bytes + TIME_SIZE, size - TIME_SIZE);

		// A recording's clock may run backwards, a board's never does.
		if (_record.time_us > _clock_us) {
			_clock_us = _record.time_us;
		}

		_record.kind = kind == 't' ? 0 : kind;
	}
}

void SampleFeed::done(uint8_t kind)
{
	port.write(&kind, 1);

	if (kind == 'c') {
		work.stack_bytes = stack_used();
		port.write(reinterpret_cast<const uint8_t *>(&work), sizeof(work));
	}
}

} // namespace node_double

extern "C" uint32_t noinit_end, stack_top;

namespace
{

constexpr uint32_t PAINT = 0xdeadbeef;

/// Everything between the variables and what is used of the stack already.
void paint_stack()
{
	const uint32_t *const used = static_cast<uint32_t *>(__builtin_frame_address(0)) - 16;

	for (volatile uint32_t *word = &noinit_end; word < used; ++word) {
		*word = PAINT;
	}
}

/// CMSDK timer 0, which counts down 25 million times a second of the emulator's time.
volatile uint32_t *const timer = reinterpret_cast<volatile uint32_t *>(0x40000000);

uint32_t ticks() { return ~timer[1]; }

/// The three ports' receive interrupts. They only end a wait: no handler runs.
constexpr uint32_t INTERRUPTS = 1u << 0 | 1u << 2 | 1u << 4;
volatile uint32_t *const interrupt_enable = reinterpret_cast<volatile uint32_t *>(0xe000e100);
volatile uint32_t *const interrupt_clear = reinterpret_cast<volatile uint32_t *>(0xe000e280);

/// A real board polls; an emulated one would keep the computer busy with it. Only received bytes end the wait, so it
/// does not wait while bytes are to be sent.
void wait_for_a_byte()
{
	SerialDouble *const ports[3] = {&node_double::feed.port, &Serial1, &Serial};
	bool quiet = true;

	for (SerialDouble *port : ports) {
		quiet = !port->had_to_send() && quiet;
		port->clear_interrupt();
	}

	*interrupt_clear = INTERRUPTS;

	for (const SerialDouble *port : ports) {
		quiet = quiet && !port->available();
	}

	if (quiet) {
		asm volatile("dsb\n\twfi" ::: "memory");
	}
}

} // namespace

uint32_t node_double::stack_used()
{
	const volatile uint32_t *word = &noinit_end;

	while (*word == PAINT) {
		++word;
	}

	return static_cast<uint32_t>(&stack_top - word) * sizeof(uint32_t);
}

int main()
{
	paint_stack();
	timer[2] = 0xffffffff;
	timer[1] = 0xffffffff;
	timer[0] = 1;
	asm volatile("cpsid i");
	*interrupt_enable = INTERRUPTS;
	setup();

	for (;;) {
		using node_double::feed;
		const uint32_t taken = feed.taken();
		const uint32_t start = ticks();
		loop();
		const uint32_t spent = ticks() - start;
		const bool busy = feed.taken() != taken;
		(busy ? feed.work.busy_ticks : feed.work.idle_ticks) += spent;
		++(busy ? feed.work.busy_loops : feed.work.idle_loops);

		if (busy && spent > feed.work.longest_ticks) {
			feed.work.longest_ticks = spent;
		}

		if (!busy) {
			wait_for_a_byte();
		}
	}
}
