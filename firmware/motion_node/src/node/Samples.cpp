// SPDX-License-Identifier: BSD-3-Clause

#include "Samples.hpp"

#include <math.h>

namespace node
{

float pressure_altitude_m(float pressure_pa)
{
	// Temperature at sea level over lapse rate; gas constant · lapse rate / gravity.
	return 44330.77f * (1.0f - powf(pressure_pa / 101325.0f, 0.1902632f));
}

} // namespace node
