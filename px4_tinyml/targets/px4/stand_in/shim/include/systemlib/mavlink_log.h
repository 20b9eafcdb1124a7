// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: texts for the ground station, published as mavlink_log and printed.

#pragma once

#include <px4_platform_common/log.h>
#include <uORB/uORB.h>

// Without a format attribute, as in PX4.
extern "C" void mavlink_vasprintf(int severity, orb_advert_t *publication, const char *format, ...);

#define _MSG_PRIO_INFO 6
#define _MSG_PRIO_WARNING 4
#define _MSG_PRIO_CRITICAL 2

// A semicolon at the end, as in PX4: `if (x) mavlink_log_info(…); else …` must not compile here either.
#define mavlink_log_info(PUB, TEXT, ...) \
	do { mavlink_vasprintf(_MSG_PRIO_INFO, PUB, TEXT, ##__VA_ARGS__); PX4_INFO(TEXT, ##__VA_ARGS__); } while (0);
#define mavlink_log_warning(PUB, TEXT, ...) \
	do { mavlink_vasprintf(_MSG_PRIO_WARNING, PUB, TEXT, ##__VA_ARGS__); PX4_WARN(TEXT, ##__VA_ARGS__); } while (0);
#define mavlink_log_critical(PUB, TEXT, ...) \
	do { mavlink_vasprintf(_MSG_PRIO_CRITICAL, PUB, TEXT, ##__VA_ARGS__); PX4_WARN(TEXT, ##__VA_ARGS__); } while (0);
