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

#include "MotionClassifier.hpp"

#include <px4_platform_common/log.h>
#include <string.h>

#if defined(MODULE_BASE_DESCRIPTOR)
ModuleBase::Descriptor MotionClassifier::desc{task_spawn, custom_command, print_usage};
#endif

MotionClassifier::MotionClassifier() :
	ModuleParams(nullptr),
	ScheduledWorkItem(MODULE_NAME, px4::wq_configurations::lp_default)
{
	// Advertised at once, so that the logger finds the topic when it starts.
	_motion_classification_pub.advertise();
}

MotionClassifier::~MotionClassifier()
{
	perf_free(_imu_interval_perf);
	perf_free(_baro_interval_perf);
	perf_free(_reset_lost_perf);
	perf_free(_reset_gap_perf);
	perf_free(_reset_backwards_perf);
	perf_free(_reset_non_finite_perf);
}

int MotionClassifier::task_spawn(int argc, char *argv[])
{
	MotionClassifier *instance = new MotionClassifier();

	if (instance == nullptr) {
		PX4_ERR("alloc failed");
		return PX4_ERROR;
	}

	if (!instance->init()) {
		delete instance;
		return PX4_ERROR;
	}

	return PX4_OK;
}

bool MotionClassifier::init()
{
	if (_engine.engine().problem()) {
		PX4_ERR("%s cannot run the model: %s", ENGINE_NAME, _engine.engine().problem());
		return false;
	}

	// Before anything is scheduled: Run() may end this object.
#if defined(MODULE_BASE_DESCRIPTOR)
	desc.object.store(this);
	desc.task_id = task_id_is_work_queue;
#else
	_object.store(this);
	_task_id = task_id_is_work_queue;
#endif

	update_limits();
	ScheduleOnInterval(BACKUP_INTERVAL);
	return true;
}

void MotionClassifier::Run()
{
	if (should_exit()) {
		unregister_callbacks();
		ScheduleClear();
#if defined(MODULE_BASE_DESCRIPTOR)
		exit_and_cleanup(desc);
#else
		exit_and_cleanup();
#endif
		return;
	}

	update_parameters();
	update_enabled();

	if (_enabled) {
		// The barometer first: its samples are the older ones.
		update_baro();
		update_imu();
		count_resets();
	}
}

void MotionClassifier::update_parameters()
{
	if (_parameter_update_sub.updated()) {
		parameter_update_s update;
		_parameter_update_sub.copy(&update);

		updateParams();
		update_limits();
	}
}

void MotionClassifier::update_enabled()
{
	const bool enable = _param_mcls_en.get();

	if (enable && !_enabled) {
		// What was heard before is of another time.
		_pipeline.restart();
		_in_sequence = false;
		_has_decision = false;
		_has_baro = false;
		_baro_changed_us = 0;
		_enabled = _sensor_combined_sub.registerCallback() && _vehicle_air_data_sub.registerCallback();

		if (!_enabled) {
			unregister_callbacks(); // and tried again
		}

	} else if (!enable && _enabled) {
		unregister_callbacks();
		_enabled = false;
	}
}

void MotionClassifier::unregister_callbacks()
{
	_sensor_combined_sub.unregisterCallback();
	_vehicle_air_data_sub.unregisterCallback();
}

void MotionClassifier::update_limits()
{
	motion::DecisionLimits limits = motion::DecisionFilter<Spec>::trained_limits();

	if (_param_mcls_enter.get() >= 0.f) {
		limits.enter_q16 = motion::threshold_q16(_param_mcls_enter.get());
	}

	if (_param_mcls_leave.get() >= 0.f) {
		limits.leave_q16 = motion::threshold_q16(_param_mcls_leave.get());
	}

	if (_param_mcls_hold.get() >= 0) {
		limits.hold_windows = static_cast<uint32_t>(_param_mcls_hold.get());
	}

	if (limits == _asked_limits) {
		return;
	}

	_asked_limits = limits;

	if (!limits.possible()) {
		mavlink_log_critical(&_mavlink_log_pub, "MCLS_ENTER, MCLS_LEAVE impossible: model's kept");
		limits = motion::DecisionFilter<Spec>::trained_limits();
	}

	_pipeline.set_limits(limits);
}

void MotionClassifier::update_baro()
{
	vehicle_air_data_s baro;

	while (_vehicle_air_data_sub.update(&baro)) {
		perf_count(_baro_interval_perf);

		// Not every driver has ever filled in the time of the sample.
		const bool sound = baro.timestamp_sample > 0 && baro.timestamp_sample <= baro.timestamp
				   && baro.timestamp - baro.timestamp_sample < 1_s;
		const uint64_t time_us = sound ? baro.timestamp_sample : baro.timestamp;

		if (!baro_changed(baro, time_us)) {
			_pipeline.push_baro(time_us, baro.baro_alt_meter);
		}
	}
}

bool MotionClassifier::baro_changed(const vehicle_air_data_s &baro, uint64_t time_us)
{
	if (_has_baro && (baro.baro_device_id != _baro_device_id || baro.calibration_count != _baro_calibration_count)) {
		_baro_changed_us = time_us;
	}

	_has_baro = true;
	_baro_device_id = baro.baro_device_id;
	_baro_calibration_count = baro.calibration_count;

	return _baro_changed_us > 0 && time_us >= _baro_changed_us && time_us - _baro_changed_us < BARO_PAUSE;
}

void MotionClassifier::update_imu()
{
	sensor_combined_s imu;

	while (_sensor_combined_sub.update(&imu)) {
		perf_count(_imu_interval_perf);

		const unsigned generation = _sensor_combined_sub.get_last_generation();

		if (_in_sequence && generation != _last_generation + 1) {
			_pipeline.restart();
			perf_count(_reset_lost_perf);
		}

		_last_generation = generation;
		_in_sequence = true;

		if (imu.accelerometer_timestamp_relative == sensor_combined_s::RELATIVE_TIMESTAMP_INVALID) {
			continue; // a sample of the gyroscope alone
		}

		_pipeline.push_imu(imu.timestamp, imu.accelerometer_m_s2, imu.gyro_rad,
		[this](const motion::Decision & decision) { decided(decision); });

		publish_debug_vect(imu.timestamp);
	}
}

void MotionClassifier::count_resets()
{
	const motion::Counters &counters = _pipeline.counters();
	perf_set_count(_reset_gap_perf, counters.reset_gap);
	perf_set_count(_reset_backwards_perf, counters.reset_backwards);
	perf_set_count(_reset_non_finite_perf, counters.reset_non_finite);
}

bool MotionClassifier::TimedEngine::invoke()
{
	const hrt_abstime start = hrt_absolute_time();
	perf_begin(_perf);
	const bool ok = _engine.invoke();
	perf_end(_perf);
	_elapsed_us = static_cast<uint32_t>(hrt_elapsed_time(&start));
	return ok;
}

void MotionClassifier::decided(const motion::Decision &decision)
{
	_decision = decision;
	_has_decision = true;

	motion_classification_s message{};
	message.timestamp_sample = decision.end_us;
	message.spec_hash = Spec::hash64;
	message.confidence = motion::confidence(decision);

	for (uint32_t i = 0; i < motion::MAX_LABELS; ++i) {
		message.probabilities[i] = motion::probability(decision, i);
	}

	message.inference_time = _engine.elapsed_us();
	message.class_index = decision.class_index;
	message.label_count = decision.label_count;
	message.flags = decision.flags;
	message.timestamp = hrt_absolute_time();
	_motion_classification_pub.publish(message);

	if (reports(MESSAGE_DEBUG_ARRAY)) {
		publish_debug_array(decision);
	}

	if (reports(MESSAGE_STATUS_TEXT)) {
		send_status_text(decision);
	}
}

void MotionClassifier::publish_debug_array(const motion::Decision &decision)
{
	static_assert(motion::REPORT_ARRAY_SIZE <= debug_array_s::ARRAY_SIZE, "debug_array is too short");

	debug_array_s message{};
	message.timestamp = decision.end_us;
	message.id = motion::REPORT_ARRAY_ID;
	strncpy(message.name, motion::REPORT_NAME, sizeof(message.name) - 1);
	motion::report_array<Spec>(decision, _engine.elapsed_us(), message.data);
	_debug_array_pub.publish(message);
}

void MotionClassifier::publish_debug_vect(uint64_t now_us)
{
	const int32_t rate_hz = _param_mcls_rate_out.get();

	if (!_has_decision || rate_hz <= 0 || !reports(MESSAGE_DEBUG_VECT)
	    || !_report_clock.due(_decision, now_us, static_cast<uint32_t>(rate_hz))) {
		return;
	}

	float xyz[3];
	motion::report_vector<Spec>(_decision, xyz);

	debug_vect_s message{};
	message.timestamp = _decision.end_us;
	strncpy(message.name, motion::REPORT_NAME, sizeof(message.name) - 1);
	message.x = xyz[0];
	message.y = xyz[1];
	message.z = xyz[2];
	_debug_vect_pub.publish(message);
}

void MotionClassifier::send_status_text(const motion::Decision &decision)
{
	using Notice = motion::TurbulenceNotice<Spec>;

	switch (_turbulence_notice.update(decision)) {
	case Notice::Text::Began:
		mavlink_log_warning(&_mavlink_log_pub, "Turbulence (%u %%)", Notice::percent(decision));
		break;

	case Notice::Text::Ended:
		mavlink_log_info(&_mavlink_log_pub, "Turbulence ended");
		break;

	case Notice::Text::None:
		break;
	}
}

extern "C" __EXPORT int motion_classifier_main(int argc, char *argv[])
{
#if defined(MODULE_BASE_DESCRIPTOR)
	return ModuleBase::main(MotionClassifier::desc, argc, argv);
#else
	return MotionClassifier::main(argc, argv);
#endif
}
