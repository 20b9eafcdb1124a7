// SPDX-License-Identifier: BSD-3-Clause
//
// The rest of the platform: printing, performance counters, parameters, texts to the ground.

#include "Host.hpp"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <drivers/drv_hrt.h>
#include <lib/perf/perf_counter.h>
#include <px4_platform_common/log.h>
#include <px4_platform_common/module_params.h>
#include <systemlib/mavlink_log.h>
#include <uORB/topics/mavlink_log.h>

// ---- printing

void px4_log_modulename(int level, const char *module, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	px4_log_raw(level, "[%s] %s\n", module, text);
}

void px4_log_raw(int, const char *format, ...)
{
	char text[4096]; // the description of a module is one line
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	px4_host::print(text);
}

// ---- performance counters

struct perf_ctr_header {
	const char *name;
	perf_counter_type type;
	uint64_t events;
	uint64_t total_us;
	uint64_t begun_us; ///< of an elapsed time: 0 when none is being taken; of an interval: the last event
};

perf_counter_t perf_alloc(enum perf_counter_type type, const char *name)
{
	// Counted as the module's: PX4 allocates it too, and the module must free it.
	return new perf_ctr_header{name, type, 0, 0, 0};
}

void perf_free(perf_counter_t handle) { delete handle; }

void perf_count(perf_counter_t handle)
{
	if (!handle) {
		return;
	}

	if (handle->type == PC_INTERVAL) {
		handle->total_us += handle->begun_us != 0 ? hrt_absolute_time() - handle->begun_us : 0;
		handle->begun_us = hrt_absolute_time();
	}

	++handle->events;
}

void perf_begin(perf_counter_t handle)
{
	if (handle) {
		handle->begun_us = hrt_absolute_time();
	}
}

void perf_end(perf_counter_t handle)
{
	if (handle && handle->begun_us != 0) {
		handle->total_us += hrt_absolute_time() - handle->begun_us;
		++handle->events;
		handle->begun_us = 0;
	}
}

void perf_set_count(perf_counter_t handle, uint64_t count)
{
	if (handle) {
		handle->events = count;
	}
}

void perf_print_counter(perf_counter_t handle)
{
	if (handle) {
		px4_log_raw(_PX4_LOG_LEVEL_INFO, "%s: %" PRIu64 " events, %" PRIu64 "us\n", handle->name, handle->events,
			    handle->total_us);
	}
}

// ---- parameters

int param_get(param_t handle, void *value)
{
	memcpy(value, &px4_host::parameters[handle].value, sizeof(px4_host::Value));
	return 0;
}

int param_set(param_t handle, const void *value)
{
	if (handle >= px4_host::parameter_count) {
		return -1;
	}

	memcpy(&px4_host::parameters[handle].value, value, sizeof(px4_host::Value));
	return 0;
}

// ---- texts to the ground

void mavlink_vasprintf(int severity, orb_advert_t *publication, const char *format, ...)
{
	if (!publication || !format) {
		return;
	}

	mavlink_log_s message{};
	message.timestamp = hrt_absolute_time();
	message.severity = static_cast<uint8_t>(severity);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message.text, sizeof(message.text), format, arguments);
	va_end(arguments);

	if (*publication) {
		orb_publish(ORB_ID(mavlink_log), *publication, &message);

	} else {
		*publication = orb_advertise(ORB_ID(mavlink_log), &message);
	}
}
