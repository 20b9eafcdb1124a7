// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: the high-resolution timer, on the simulated clock.

#pragma once

#include <inttypes.h>
#include <stdint.h>

typedef uint64_t hrt_abstime;

extern "C" hrt_abstime hrt_absolute_time();

/// µs since `then`; 0 when that is in the future.
static inline hrt_abstime hrt_elapsed_time(const hrt_abstime *then)
{
	const hrt_abstime now = hrt_absolute_time();
	return *then > now ? 0 : now - *then;
}

namespace time_literals
{
constexpr hrt_abstime operator""_s(unsigned long long seconds) { return seconds * 1000000ULL; }
constexpr hrt_abstime operator""_ms(unsigned long long milliseconds) { return milliseconds * 1000ULL; }
constexpr hrt_abstime operator""_us(unsigned long long microseconds) { return microseconds; }
} // namespace time_literals
