// SPDX-License-Identifier: BSD-3-Clause
//
// What happens by itself: samples become decisions, and links, sensors and the autopilot are watched.

#include "Node.hpp"

#include <string.h>

namespace node
{

namespace
{

constexpr uint64_t IMU_SILENT_US = 500000;
constexpr uint64_t AUTOPILOT_LOST_US = 3000000;
/// Changes are kept together: writing may hold the board up.
constexpr uint64_t KEEP_AFTER_US = 200000;
constexpr uint64_t SIGNING_KEEP_US = 600000000;
/// Signing timestamps after a restart begin this much (10 µs) after the stored one. Less than the minute by which a
/// receiver accepts older ones, for it uses the newest it sees. Frames of the autopilot correct the rest.
constexpr uint64_t SIGNING_MARGIN = 30 * 100000;

constexpr int32_t q16(float probability) { return static_cast<int32_t>(probability * 65536.0f + 0.5f); }

} // namespace

Node::Node(Storage &storage, Port &telemetry, Port &usb, Clock clock)
	: _settings(storage), _engine(clock), _links{{telemetry, TELEMETRY, false}, {usb, USB, true}}
{
	for (Streams &streams : _streams) {
		streams.next_parameter = PARAMETERS;
	}
}

void Node::start(uint64_t hardware_id)
{
	_hardware_id = hardware_id;
	_settings.load();
	_component = static_cast<uint8_t>(_settings.whole(Parameter::Component));
	apply(Parameter::Rotation);
	apply(Parameter::Enter);
	apply(Parameter::Capture);

	restart_links(SIGNING_MARGIN);

	if (_engine.problem()) {
		report(MAV_SEVERITY_CRITICAL, _engine.problem());
	}
}

Identity Node::identity() const
{
	const uint8_t system = static_cast<uint8_t>(_settings.whole(Parameter::System));
	return {system ? system : _autopilot.known ? _autopilot.system : static_cast<uint8_t>(1), _component};
}

void Node::restart_links(uint64_t margin)
{
	for (Link &link : _links) {
		link.set_key(_settings.key(), _settings.signing_time() + margin);
	}
}

void Node::receive(uint8_t link, uint8_t byte, uint64_t now_us)
{
	_now_us = now_us;

	if (link == USB && _links[link].between_frames()) {
		console(static_cast<char>(byte));
	}

	if (_links[link].receive(byte)) {
		handle(link, now_us);
	}
}

/// For a serial monitor, where no MAVLink is spoken: a line "csv", "imu" or "off". Nothing of it is kept.
void Node::console(char letter)
{
	if (letter >= ' ' && letter <= '~') {
		const char text[2] = {letter, '\0'};
		_console.add(text);
		return;
	}

	const bool line = letter == '\r' || letter == '\n';

	if (!line) {
		// nothing that a person types

	} else if (strcmp(_console.text(), "csv") == 0) {
		set_capture(Capture::Csv);

	} else if (strcmp(_console.text(), "imu") == 0) {
		set_capture(Capture::Imu);

	} else if (strcmp(_console.text(), "off") == 0) {
		set_capture(Capture::Off);
	}

	_console.clear();
}

void Node::set_capture(Capture capture)
{
	_capture = capture;
	_csv.enable(capture == Capture::Csv);
}

void Node::imu(const ImuSample &sample)
{
	_last_imu_us = sample.time_us;
	_csv.push(sample, _links[USB]);

	float accel[3];
	float gyro[3];
	_rotation.apply(sample.accel_m_s2, accel);
	_rotation.apply(sample.gyro_rad_s, gyro);
	const ImuSample turned{sample.time_us, {accel[0], accel[1], accel[2]}, {gyro[0], gyro[1], gyro[2]}};
	capture(turned);
	_classifier.push_imu(turned.time_us, turned.accel_m_s2, turned.gyro_rad_s,
	[this](const motion::Decision & decision) { decided(decision); });
}

void Node::baro(const BaroSample &sample)
{
	_baro = sample;
	_has_baro = true;
	_classifier.push_baro(sample.time_us, sample.altitude_m);
}

void Node::decided(const motion::Decision &decision)
{
	_decision = decision;
	_decided = true;
	_inference_us = _engine.last_us();

	if (_settings.whole(Parameter::Messages) & MESSAGE_ARRAY) {
		for (uint8_t link = 0; link < LINKS; ++link) {
			if (_streams[link].array.interval_us >= 0) {
				send_array(link);
			}
		}
	}

	using Notice = motion::TurbulenceNotice<MotionSpec>;

	switch (_notice.update(decision)) {
	case Notice::Text::Began:
		if (_settings.whole(Parameter::Messages) & MESSAGE_TEXT) {
			Line<Text::SIZE> line;
			line.add("Turbulence (").add(static_cast<uint32_t>(Notice::percent(decision))).add(" %)");
			report(MAV_SEVERITY_WARNING, line.text());
		}

		break;

	case Notice::Text::Ended:
		if (_settings.whole(Parameter::Messages) & MESSAGE_TEXT) {
			report(MAV_SEVERITY_INFO, "Turbulence ended");
		}

		break;

	case Notice::Text::None:
		break;
	}
}

void Node::report(uint8_t severity, const char *text, uint8_t links) { _texts.put(severity, links, text); }

void Node::step(uint64_t now_us)
{
	_now_us = now_us;
	watch_imu(now_us);
	watch_autopilot(now_us);
	keep_settings(now_us);

	if (now_us - _load_us >= 1000000) {
		const uint64_t permille = static_cast<uint64_t>(_busy_us) * 1000 / (now_us - _load_us);
		_load_permille = static_cast<uint16_t>(permille < 1000 ? permille : 1000);
		_busy_us = 0;
		_load_us = now_us;
	}

	for (uint8_t link = 0; link < LINKS; ++link) {
		send_due(link, now_us);
	}
}

void Node::watch_imu(uint64_t now_us)
{
	const bool silent = now_us > _last_imu_us + IMU_SILENT_US;

	if (silent != _imu_silent) {
		_imu_silent = silent;
		silent ? report(MAV_SEVERITY_ERROR, "IMU silent") : report(MAV_SEVERITY_NOTICE, "IMU is back");
	}
}

void Node::watch_autopilot(uint64_t now_us)
{
	if (_autopilot.present && now_us > _autopilot.heard_us + AUTOPILOT_LOST_US) {
		_autopilot.present = false;
		_refused = _links[TELEMETRY].counters().refused;
	}

	// Bytes arrive, but no frame that is accepted.
	const bool refused = !_autopilot.present && _links[TELEMETRY].counters().refused - _refused >= 10;

	if (refused && !_told_signing) {
		_told_signing = true;
		report(MAV_SEVERITY_WARNING, "Signing: what arrives has not this node's key");
	}
}

void Node::keep_settings(uint64_t now_us)
{
	if (_settings.key() && now_us - _signing_saved_us >= SIGNING_KEEP_US) {
		_signing_saved_us = now_us;
		uint64_t newest = _settings.signing_time();

		for (const Link &link : _links) {
			newest = link.signing_time() > newest ? link.signing_time() : newest;
		}

		_settings.set_signing_time(newest);
		_changed_us = now_us - KEEP_AFTER_US;
	}

	if (_settings.changed() && now_us - _changed_us >= KEEP_AFTER_US && !_settings.save()) {
		report(MAV_SEVERITY_WARNING, "Settings could not be kept");
	}
}

void Node::apply(Parameter parameter)
{
	switch (parameter) {
	case Parameter::Rotation:
		_rotation.set(static_cast<uint32_t>(_settings.whole(Parameter::Rotation)));
		_classifier.restart();
		break;

	case Parameter::Enter:
	case Parameter::Leave:
	case Parameter::Hold:
		apply_limits();
		break;

	case Parameter::Capture:
		set_capture(static_cast<Capture>(_settings.whole(Parameter::Capture)));
		break;

	default: // looked at when needed; MN_COMPID from the next start on
		break;
	}
}

void Node::apply_limits()
{
	motion::DecisionLimits limits = motion::DecisionFilter<MotionSpec>::trained_limits();
	const float enter = _settings.value(Parameter::Enter);
	const float leave = _settings.value(Parameter::Leave);
	const int32_t hold = _settings.whole(Parameter::Hold);

	if (enter >= 0.0f) {
		limits.enter_q16 = q16(enter);
	}

	if (leave >= 0.0f) {
		limits.leave_q16 = q16(leave);
	}

	if (hold >= 0) {
		limits.hold_windows = static_cast<uint32_t>(hold);
	}

	if (!limits.possible()) {
		report(MAV_SEVERITY_WARNING, "MN_LEAVE is above MN_ENTER: not used");
		limits = motion::DecisionFilter<MotionSpec>::trained_limits();
	}

	_classifier.set_limits(limits);
}

} // namespace node
