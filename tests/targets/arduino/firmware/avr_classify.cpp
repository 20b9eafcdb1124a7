// SPDX-License-Identifier: BSD-3-Clause
//
// The signal path and the model on samples made of integers: prints each decision. For a PC and for an emulated AVR
// (simavr shows what its first serial port sends).

#include <stdint.h>
#include <stdio.h>

#if defined(__AVR__)
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#endif

#include "Engine.hpp"
#include "core/Pipeline.hpp"
#include "model/MotionSpec.hpp"

static void put(char letter)
{
#if defined(__AVR__)

	while (!(UCSR0A & (1 << UDRE0))) {}

	UDR0 = static_cast<uint8_t>(letter);
#else
	putchar(letter);
#endif
}

static void put_hex(uint32_t value)
{
	for (int shift = 28; shift >= 0; shift -= 4) {
		put("0123456789abcdef"[(value >> shift) & 15]);
	}

	put(' ');
}

static uint32_t state = 12345;

/// −1 to 1, exact in a float.
static float noise()
{
	state = state * 1664525u + 1013904223u;
	return static_cast<float>(static_cast<int16_t>(state >> 16)) / 32768.0f;
}

static Engine engine;
static motion::Pipeline<motion::MotionSpec, Engine> pipeline(engine);

int main()
{
#if defined(__AVR__)
	UCSR0B = 1 << TXEN0;
#endif
	int decisions = 0;

	for (uint32_t n = 0; decisions < 60; ++n) {
		const uint64_t time_us = 5000000ull + n * 10000ull;
		const float size = (n / 400) % 2 ? 4.0f : 0.5f;
		const float accel[3] = {size * noise(), size * noise(), size * noise() - 9.75f};
		const float gyro[3] = {noise(), noise(), noise()};

		if (n % 4 == 0) {
			pipeline.push_baro(time_us, 400.0f + static_cast<float>(n % 1000) / 64.0f);
		}

		pipeline.push_imu(time_us, accel, gyro, [&](const motion::Decision & decision) {
			++decisions;
			put('D');
			put(' ');
			put_hex(static_cast<uint32_t>(decision.end_us));
			put_hex(decision.confidence_q16);
			put_hex(static_cast<uint8_t>(decision.class_index));
			put_hex(decision.flags);

			for (uint32_t i = 0; i < decision.label_count; ++i) {
				put_hex(decision.probability[i]);
			}

			put('\n');
		});
	}

#if defined(__AVR__)
	put('\n');
	cli();
	sleep_mode(); // the emulator ends
#endif
	return 0;
}
