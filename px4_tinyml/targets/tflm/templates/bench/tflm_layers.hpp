// SPDX-License-Identifier: BSD-3-Clause
//
// Included before everything else (-include) with MOTION_LAYERS = number of operators: every operator's invoke() is then
// called by way of the timer. Two instructions of each count are the jump.

#pragma once

#ifndef __ASSEMBLER__

#include "probe.hpp"
#include "tensorflow/lite/micro/micro_common.h"

extern "C" {
extern volatile uint32_t motion_layer_ticks[MOTION_LAYERS];
extern uint32_t motion_layer;
}

struct MotionCall {
	TfLiteContext *context;
	TfLiteNode *node;
	TfLiteStatus(*invoke)(TfLiteContext *, TfLiteNode *);
};

__attribute__((naked)) inline void motion_jump(void *)
{
	asm volatile("ldm r0, {r0, r1, r2}\n\tbx r2");
}

/// Position: of a registration; the operators that share it run one after the other, in the order of the model.
template <int Position>
TFLMRegistration motion_timed(TFLMRegistration registration)
{
	static TfLiteStatus(*invoke)(TfLiteContext *, TfLiteNode *);
	invoke = registration.invoke;
	registration.invoke = [](TfLiteContext * context, TfLiteNode * node) {
		static_assert(sizeof(MotionCall) == 12, "as motion_jump() takes it apart");
		MotionCall call = {context, node, invoke};
		motion_layer_ticks[motion_layer++ % MOTION_LAYERS] = probe_ticks(motion_jump, &call);
		return kTfLiteOk;  // a failure would show in the outputs, which are compared
	};
	return registration;
}

#define MOTION_REGISTRATION(position, registration) motion_timed<position>(registration)

#endif // __ASSEMBLER__
