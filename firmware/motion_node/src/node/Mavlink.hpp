// SPDX-License-Identifier: BSD-3-Clause
//
// The MAVLink headers that `px4-tinyml generate arduino` makes (mavgen), with the settings they are to be used with.

#pragma once

// Generated code is not ours to clean of warnings.
#if defined(__GNUC__)
#pragma GCC system_header
#endif

// Buffers of its channel functions: they are not used here, every Link has its own.
#define MAVLINK_COMM_NUM_BUFFERS 1
#define MAVLINK_NO_CONVERSION_HELPERS
// Other systems and components a signed link hears; each takes 9 bytes.
#define MAVLINK_MAX_SIGNING_STREAMS 8

#include <stddef.h>

#include "../mavlink/node/mavlink.h"
