// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: return values and the check for finite numbers.

#pragma once

#define PX4_OK 0
#define PX4_ERROR (-1)

static inline constexpr bool PX4_ISFINITE(float x) { return __builtin_isfinite(x); }
static inline constexpr bool PX4_ISFINITE(double x) { return __builtin_isfinite(x); }
