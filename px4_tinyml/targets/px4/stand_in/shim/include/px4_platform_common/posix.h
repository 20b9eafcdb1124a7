// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: sleeping moves the simulated clock.

#pragma once

#include <stdint.h>
#include <unistd.h>

#include <px4_platform_common/defines.h>

extern "C" int px4_usleep(useconds_t duration_us);
