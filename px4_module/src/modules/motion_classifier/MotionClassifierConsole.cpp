/****************************************************************************
 *
 *   Copyright (c) 2026 px4-tinyml contributors. All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions
 * are met:
 *
 * 1. Redistributions of source code must retain the above copyright
 *    notice, this list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright
 *    notice, this list of conditions and the following disclaimer in
 *    the documentation and/or other materials provided with the
 *    distribution.
 * 3. Neither the name px4-tinyml nor the names of its contributors may be
 *    used to endorse or promote products derived from this software
 *    without specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS
 * "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT
 * LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS
 * FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE
 * COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT,
 * INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING,
 * BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS
 * OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED
 * AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT
 * LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN
 * ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
 * POSSIBILITY OF SUCH DAMAGE.
 *
 ****************************************************************************/

/**
 * @file MotionClassifierConsole.cpp
 *
 * Output on the console: state, self-test, usage.
 */

#include "MotionClassifier.hpp"

#include "core/SelfTest.hpp"
#include "model/GoldenVectors.hpp"

#include <inttypes.h>
#include <px4_platform_common/log.h>
#include <string.h>

int MotionClassifier::custom_command(int argc, char *argv[])
{
	if (strcmp(argv[0], "selftest") == 0) {
		return selftest();
	}

	return print_usage("unknown command");
}

int MotionClassifier::selftest()
{
	using SelfTest = motion::SelfTest<Spec, Engine, motion::model::GoldenVectors>;

	// A second classifier, for as long as it takes: one that is running is not disturbed.
	SelfTest *test = new SelfTest();

	if (test == nullptr) {
		PX4_ERR("alloc failed");
		return PX4_ERROR;
	}

	const motion::SelfTestResult result = test->run();
	delete test;

	if (result.problem) {
		PX4_ERR("selftest failed: engine %s cannot run the model: %s", ENGINE_NAME, result.problem);
		return PX4_ERROR;
	}

	if (result.what) {
		PX4_ERR("selftest failed: %s %" PRIu32 ": %s is %" PRId64 ", expected %" PRId64, result.what, result.number,
			result.field, result.found, result.expected);
		return PX4_ERROR;
	}

	PX4_INFO("selftest ok: %d model vectors and %d decisions, engine %s", SelfTest::VECTORS, SelfTest::DECISIONS,
		 ENGINE_NAME);
	return PX4_OK;
}

int MotionClassifier::print_status()
{
	const motion::Counters &counters = _pipeline.counters();
	const motion::DecisionLimits &limits = _pipeline.limits();

	const char *state = !_param_mcls_en.get() ? "idle (MCLS_EN is 0)" : (_enabled ? "running" : "starting");

	PX4_INFO("%s, spec %.16s, model %.16s", state, Spec::hash(), motion::model::GoldenVectors::model_sha256());
	PX4_INFO("engine %s, arena %u of %u B, module %u B", ENGINE_NAME,
		 static_cast<unsigned>(_engine.engine().arena_used_bytes()), static_cast<unsigned>(Model::kArenaBytes),
		 static_cast<unsigned>(sizeof(*this)));
	PX4_INFO("window %.2f s, a decision every %.2f s", static_cast<double>(Spec::window) / static_cast<double>(Spec::rate_hz),
		 static_cast<double>(Spec::hop) / static_cast<double>(Spec::rate_hz));
	PX4_INFO("thresholds: enter %.3f, leave %.3f, hold %" PRIu32 " windows%s", static_cast<double>(limits.enter_q16) / 65536.0,
		 static_cast<double>(limits.leave_q16) / 65536.0, limits.hold_windows,
		 limits == _asked_limits ? "" : " (the parameters' are impossible)");

	if (_has_decision) {
		PX4_INFO("last decision: %s, confidence %.2f, flags %u, window ended %.1f s ago, inference %" PRIu32 " us",
			 Spec::label(static_cast<uint32_t>(_decision.class_index)), static_cast<double>(motion::confidence(_decision)),
			 _decision.flags, static_cast<double>(hrt_elapsed_time(&_decision.end_us)) / 1e6, _engine.elapsed_us());

		for (uint32_t i = 0; i < Spec::labels; ++i) {
			PX4_INFO("  %-20s %.2f", Spec::label(i), static_cast<double>(motion::probability(_decision, i)));
		}

	} else {
		PX4_INFO("no decision yet");
	}

	PX4_INFO("decisions %" PRIu32 ", windows too sparse %" PRIu32 ", engine failures %" PRIu32, counters.decisions,
		 counters.sparse, counters.engine_failures);

	_engine.print();
	perf_print_counter(_imu_interval_perf);
	perf_print_counter(_baro_interval_perf);
	perf_print_counter(_reset_lost_perf);
	perf_print_counter(_reset_gap_perf);
	perf_print_counter(_reset_backwards_perf);
	perf_print_counter(_reset_non_finite_perf);
	return 0;
}

int MotionClassifier::print_usage(const char *reason)
{
	if (reason) {
		PX4_WARN("%s\n", reason);
	}

	PRINT_MODULE_DESCRIPTION(
		R"DESCR_STR(
### Description
Classifies the motion of air and vehicle (turbulence, climb, descend, level, or the classes of another model) from
IMU and barometer, with a small int8 neural network.

### Implementation
Samples of sensor_combined are averaged over 20 ms slots. Every 0.64 s the last 2.56 s of slots are classified
(defaults; `status` shows the values of the model). Probabilities are smoothed. A class is entered above one
threshold and left below another.

Lost samples, gaps, NaN and a clock that runs backwards reset the window and are counted. Without a barometer
the network decides from the IMU alone and sets a flag. Runs on the lp_default work queue, on every sample.

Each decision is published as motion_classification, and as debug_vect and debug_array with the name MOTION, which
MAVLink sends. A STATUSTEXT reports when turbulence begins and ends.

The module is generated, with the model in it, by px4-tinyml: `px4-tinyml generate px4`.

### Examples
Start it and show its decisions:
$ motion_classifier start
$ motion_classifier status
$ listener motion_classification

Compare this processor's results with the tested ones, bit for bit:
$ motion_classifier selftest

Report turbulence earlier (takes effect in flight):
$ param set MCLS_ENTER 0.5
)DESCR_STR");

	PRINT_MODULE_USAGE_NAME("motion_classifier", "estimator");
	PRINT_MODULE_USAGE_COMMAND("start");
	PRINT_MODULE_USAGE_COMMAND_DESCR("selftest", "Run the golden vectors on this target (whether started or not)");
	PRINT_MODULE_USAGE_DEFAULT_COMMANDS();

	return 0;
}
