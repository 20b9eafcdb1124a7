// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: performance counters. Their event counts are recorded at the end (Host.hpp).

#pragma once

#include <stdint.h>

enum perf_counter_type {
	PC_COUNT,    ///< how often something happened
	PC_ELAPSED,  ///< how long it took
	PC_INTERVAL  ///< how far apart it was
};

struct perf_ctr_header;
typedef struct perf_ctr_header *perf_counter_t;

extern "C" {
perf_counter_t perf_alloc(enum perf_counter_type type, const char *name);
void perf_free(perf_counter_t handle);
void perf_count(perf_counter_t handle);
void perf_begin(perf_counter_t handle);
void perf_end(perf_counter_t handle);
void perf_set_count(perf_counter_t handle, uint64_t count);
void perf_print_counter(perf_counter_t handle);
}
