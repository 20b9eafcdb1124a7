/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The motion classifier as a C library: samples in, decisions out. One pipeline is used by one thread at a time.
 */

#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a structure or a function below changes. */
#define MOTION_ABI_VERSION 1

#define MOTION_MAX_LABELS 8
#define MOTION_UNCERTAIN (-1)

enum {
	MOTION_BARO_STALE = 1,       /* the altitude channel was left out of this window */
	MOTION_FLAG_UNCERTAIN = 2,   /* no class is above its threshold */
	MOTION_FIRST = 4             /* first decision after a start or a reset */
};

typedef struct motion_decision {
	uint64_t start_us;           /* the window, half-open */
	uint64_t end_us;
	uint32_t confidence_q16;     /* 65536 is 1 */
	int8_t class_index;          /* index of the label, or MOTION_UNCERTAIN */
	uint8_t flags;
	uint8_t label_count;
	uint8_t probability[MOTION_MAX_LABELS]; /* smoothed, in 1/256 */
} motion_decision;

typedef struct motion_counters {
	uint32_t decisions;
	uint32_t sparse;             /* windows with too many repeated slots: not classified */
	uint32_t engine_failures;
	uint32_t reset_non_finite;
	uint32_t reset_backwards;
	uint32_t reset_gap;
} motion_counters;

typedef struct motion_pipeline motion_pipeline;

/* Only these functions leave the library: two classifiers can then be in one program. */
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Called for every classified window, before its decision is made: the model's int8 input and output. */
typedef void (*motion_recorder)(void *context, const int8_t *input, const int8_t *output);

uint32_t motion_abi_version(void);
const char *motion_spec_hash(void);      /* SHA-256 of the pipeline spec, hex */
uint32_t motion_label_count(void);
const char *motion_label(int index);     /* "uncertain" for MOTION_UNCERTAIN */
uint32_t motion_input_size(void);        /* int8 values the model takes: window · channels */
uint32_t motion_max_decisions(void);     /* most decisions one sample can bring */

motion_pipeline *motion_create(void);    /* NULL when there is no memory */
const char *motion_problem(const motion_pipeline *pipeline); /* why the engine cannot run the model, or NULL */
void motion_destroy(motion_pipeline *pipeline);
void motion_set_recorder(motion_pipeline *pipeline, motion_recorder recorder, void *context);

/* Barometric altitude: µs, m. Deliver it before an IMU sample of the same time. */
void motion_push_baro(motion_pipeline *pipeline, uint64_t time_us, float altitude_m);

/* IMU sample: µs, m/s², rad/s, body FRD (a level vehicle at rest reads accel z = -9.81). Writes the decisions it
 * completed to `decisions`, which has room for motion_max_decisions(), and returns how many. */
uint32_t motion_push_imu(motion_pipeline *pipeline, uint64_t time_us, const float accel[3], const float gyro[3],
			 motion_decision *decisions);

motion_counters motion_get_counters(const motion_pipeline *pipeline);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif
