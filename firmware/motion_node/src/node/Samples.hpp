// SPDX-License-Identifier: BSD-3-Clause
//
// What sensors give.

#pragma once

#include <stdint.h>

namespace node
{

/// Axes forward, right and down of the board; a board at rest, level, reads accel z −9.81. Time: when it was read.
struct ImuSample {
	uint64_t time_us;
	float accel_m_s2[3];
	float gyro_rad_s[3];
};

/// altitude_m: pressure altitude, of which only changes matter.
struct BaroSample {
	uint64_t time_us;
	float pressure_pa;
	float temperature_c;
	float altitude_m;
};

/// Altitude of a pressure in the standard atmosphere (ICAO, up to 11 km), m.
float pressure_altitude_m(float pressure_pa);

} // namespace node
