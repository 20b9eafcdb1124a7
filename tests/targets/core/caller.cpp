// SPDX-License-Identifier: BSD-3-Clause
//
// A caller that scales raw values in line: the products must not be fused with the sums.

#include "core/SlotAverager.hpp"
#include "model/MotionSpec.hpp"

#include <stdio.h>

static motion::SlotAverager<motion::MotionSpec> slots;

int main(int argc, char **)
{
	const float scale = 0.1f * static_cast<float>(argc);

	for (int i = 0; i < 4000; ++i) {
		float accel[3];
		const float gyro[3] = {};

		for (int axis = 0; axis < 3; ++axis) {
			accel[axis] = static_cast<float>((i * 7919 + axis) % 1000) * scale;
		}

		if (slots.push(static_cast<uint64_t>(i) * 1000, accel, gyro).slots) {
			printf("%a %a %a\n", static_cast<double>(slots.mean()[0]), static_cast<double>(slots.mean()[1]),
			       static_cast<double>(slots.mean()[2]));
		}
	}
}
