// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: console messages. Everything printed is recorded (Host.hpp).

#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include <px4_platform_common/defines.h>

#define _PX4_LOG_LEVEL_INFO 1
#define _PX4_LOG_LEVEL_WARN 2
#define _PX4_LOG_LEVEL_ERROR 3

extern "C" {
void px4_log_modulename(int level, const char *module, const char *format, ...) __attribute__((format(printf, 3, 4)));
void px4_log_raw(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
}

#define PX4_INFO(FMT, ...) px4_log_modulename(_PX4_LOG_LEVEL_INFO, MODULE_NAME, FMT, ##__VA_ARGS__)
#define PX4_WARN(FMT, ...) px4_log_modulename(_PX4_LOG_LEVEL_WARN, MODULE_NAME, FMT, ##__VA_ARGS__)
#define PX4_ERR(FMT, ...) px4_log_modulename(_PX4_LOG_LEVEL_ERROR, MODULE_NAME, FMT, ##__VA_ARGS__)
#define PX4_INFO_RAW(FMT, ...) px4_log_raw(_PX4_LOG_LEVEL_INFO, FMT, ##__VA_ARGS__)
