// SPDX-License-Identifier: BSD-3-Clause
//
// Messages that the node sends.

#include "Node.hpp"

#include <string.h>

namespace node
{

namespace
{

constexpr uint32_t HEARTBEAT_US = 1000000;
/// A decision is repeated no longer than a window after it: so long it describes.
constexpr uint64_t WINDOW_US = static_cast<uint64_t>(MotionSpec::window) * 1000000 / MotionSpec::rate_hz;

constexpr uint64_t SLOT_US = 1000000 / MotionSpec::rate_hz;

constexpr uint32_t SENSORS = MAV_SYS_STATUS_SENSOR_3D_GYRO | MAV_SYS_STATUS_SENSOR_3D_ACCEL;
constexpr uint32_t BAROMETER = MAV_SYS_STATUS_SENSOR_ABSOLUTE_PRESSURE;

constexpr uint16_t IMU_FIELDS = 0x3f;     // HIGHRES_IMU_UPDATED_FLAGS: accelerations and rates
constexpr uint16_t BARO_FIELDS = 0x1a00;  // pressure, pressure altitude, temperature

template <size_t Size>
void copy_name(char (&name)[Size])
{
	static_assert(sizeof(motion::REPORT_NAME) <= Size, "the name does not fit");
	memcpy(name, motion::REPORT_NAME, sizeof(motion::REPORT_NAME));
}

uint16_t counted(uint32_t count) { return static_cast<uint16_t>(count < 0xffff ? count : 0xffff); }

} // namespace

bool Node::send(uint8_t link, uint32_t message_id, const void *payload)
{
	// Text and frames would not mix.
	return !(link == USB && _csv.enabled()) && _links[link].send(identity(), message_id, payload);
}

bool Node::due(Stream &stream, uint64_t now_us, uint32_t default_us)
{
	const uint64_t interval_us = stream.interval_us ? static_cast<uint64_t>(stream.interval_us) : default_us;

	if (stream.interval_us < 0 || interval_us == 0 || now_us - stream.last_us < interval_us) {
		return false;
	}

	stream.last_us = now_us;
	return true;
}

void Node::send_due(uint8_t link, uint64_t now_us)
{
	if (link == 0 && now_us - _heartbeat_us >= HEARTBEAT_US) {
		_heartbeat_us = now_us;

		for (uint8_t each = 0; each < LINKS; ++each) {
			send_heartbeat(each);
		}
	}

	Streams &streams = _streams[link];
	const int32_t rate_hz = _settings.whole(Parameter::Rate);
	const bool wanted = _settings.whole(Parameter::Messages) & MESSAGE_VECTOR;
	const bool fresh = _decided && now_us <= _decision.end_us + WINDOW_US;

	if (wanted && fresh && due(streams.vector, now_us, rate_hz ? 1000000u / static_cast<uint32_t>(rate_hz) : 0)) {
		send_vector(link);
	}

	if (_autopilot.present && _autopilot.link == link && _autopilot_clock.request_due(now_us)) {
		send_timesync(link, now_us);
	}

	// What can wait is sent when there is room, a message at a time.
	if (!_links[link].ready()) {
		return;
	}

	if (Text *const text = _texts.pending(link)) {
		mavlink_statustext_t message{};
		message.severity = text->severity;
		memcpy(message.text, text->text, sizeof(text->text));
		text->links &= static_cast<uint8_t>(~(1u << link));
		send(link, MAVLINK_MSG_ID_STATUSTEXT, &message);

	} else if (streams.next_parameter < PARAMETERS) {
		send_parameter(link, streams.next_parameter++);
	}
}

void Node::send_heartbeat(uint8_t link)
{
	mavlink_heartbeat_t message{};
	message.type = MAV_TYPE_IMU;
	message.autopilot = MAV_AUTOPILOT_INVALID;
	message.mavlink_version = 3;
	message.system_status = _imu_silent || _engine.problem() ? MAV_STATE_CRITICAL
				: _decided ? MAV_STATE_ACTIVE : MAV_STATE_BOOT;
	send(link, MAVLINK_MSG_ID_HEARTBEAT, &message);
}

void Node::send_vector(uint8_t link)
{
	float xyz[3];
	motion::report_vector<MotionSpec>(_decision, xyz);
	mavlink_debug_vect_t message{};
	message.time_usec = _autopilot_clock.to_autopilot(_decision.end_us);
	message.x = xyz[0];
	message.y = xyz[1];
	message.z = xyz[2];
	copy_name(message.name);
	send(link, MAVLINK_MSG_ID_DEBUG_VECT, &message);
}

void Node::send_array(uint8_t link)
{
	mavlink_debug_float_array_t message{};
	message.time_usec = _autopilot_clock.to_autopilot(_decision.end_us);
	message.array_id = motion::REPORT_ARRAY_ID;
	copy_name(message.name);
	float data[motion::REPORT_ARRAY_SIZE];
	motion::report_array<MotionSpec>(_decision, _inference_us, data);
	memcpy(message.data, data, sizeof(data));
	send(link, MAVLINK_MSG_ID_DEBUG_FLOAT_ARRAY, &message);
}

bool Node::capturing(uint8_t link) const
{
	const int32_t interval_us = _streams[link].imu.interval_us;
	const bool by_setting = link == USB && _capture == Capture::Imu;
	return interval_us > 0 || (interval_us == 0 && by_setting);
}

void Node::capture(const ImuSample &sample)
{
	const motion::SlotEvent event = _capture_slots.push(sample.time_us, sample.accel_m_s2, sample.gyro_rad_s);

	if (event.slots == 0) {
		return;
	}

	// The slot's mean, stamped in its middle: who reads the recording gets the very windows that this board sees.
	using Time = motion::SlotTime<MotionSpec>;
	const float *const mean = _capture_slots.mean();
	mavlink_highres_imu_t &message = _imu_message;
	message = mavlink_highres_imu_t{};
	message.time_usec = (Time::start_us(event.first) + Time::start_us(event.first + 1)) / 2;
	message.xacc = mean[0];
	message.yacc = mean[1];
	message.zacc = mean[2];
	message.xgyro = mean[3];
	message.ygyro = mean[4];
	message.zgyro = mean[5];
	message.fields_updated = IMU_FIELDS;

	if (_has_baro) {
		message.abs_pressure = _baro.pressure_pa / 100.0f;
		message.pressure_alt = _baro.altitude_m;
		message.temperature = _baro.temperature_c;
		message.fields_updated |= BARO_FIELDS;
		_has_baro = false;
	}

	_has_imu = true;

	for (uint8_t link = 0; link < LINKS; ++link) {
		Stream &stream = _streams[link].imu;
		const uint64_t since_us = message.time_usec - stream.last_us;

		if (capturing(link) && since_us + SLOT_US / 2 >= static_cast<uint64_t>(stream.interval_us)) {
			stream.last_us = message.time_usec;
			send_imu(link);
		}
	}
}

void Node::send_imu(uint8_t link) { send(link, MAVLINK_MSG_ID_HIGHRES_IMU, &_imu_message); }

void Node::send_timesync(uint8_t link, uint64_t now_us)
{
	mavlink_timesync_t message{};
	message.ts1 = _autopilot_clock.request(now_us);
	send(link, MAVLINK_MSG_ID_TIMESYNC, &message);
}

void Node::send_system_status(uint8_t link)
{
	const motion::Counters &motion = _classifier.counters();
	const uint32_t barometer = MotionSpec::uses_altitude ? BAROMETER : 0;
	mavlink_sys_status_t message{};
	message.onboard_control_sensors_present = SENSORS | barometer;
	message.onboard_control_sensors_enabled = SENSORS | barometer;
	message.onboard_control_sensors_health = (_imu_silent ? 0 : SENSORS)
			| (_decided && (_decision.flags & motion::FLAG_BARO_STALE) ? 0 : barometer);
	message.load = _load_permille;
	message.voltage_battery = 0xffff; // not known
	message.current_battery = -1;
	message.battery_remaining = -1;
	uint32_t sent = 0, dropped = 0, bad = 0;

	for (const Link &each : _links) {
		sent += each.counters().sent;
		dropped += each.counters().dropped;
		bad += each.counters().bad_crc + each.counters().refused;
	}

	const uint64_t all = static_cast<uint64_t>(sent) + dropped;
	message.drop_rate_comm = all ? static_cast<uint16_t>(static_cast<uint64_t>(dropped) * 10000 / all) : 0;
	message.errors_comm = counted(bad);
	message.errors_count1 = counted(dropped);
	message.errors_count2 = counted(motion.reset_gap + motion.reset_backwards + motion.reset_non_finite);
	message.errors_count3 = counted(motion.sparse + motion.engine_failures);
	message.errors_count4 = counted(_settings.failures());
	send(link, MAVLINK_MSG_ID_SYS_STATUS, &message);
}

void Node::send_version(uint8_t link)
{
	const bool c_cast = _autopilot.type == MAV_AUTOPILOT_ARDUPILOTMEGA;
	mavlink_autopilot_version_t message{};
	message.capabilities = MAV_PROTOCOL_CAPABILITY_MAVLINK2
			       | (c_cast ? MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_C_CAST : MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_BYTEWISE);
	message.flight_sw_version = VERSION << 8;
	message.uid = _hardware_id;
	const char *const hash = MotionSpec::hash();

	for (uint32_t i = 0; i < sizeof(message.flight_custom_version); ++i) {
		uint32_t byte = 0;

		for (uint32_t digit = 2 * i; digit < 2 * i + 2; ++digit) {
			byte = byte * 16 + static_cast<uint32_t>(hash[digit] <= '9' ? hash[digit] - '0' : hash[digit] - 'a' + 10);
		}

		message.flight_custom_version[i] = static_cast<uint8_t>(byte);
	}

	send(link, MAVLINK_MSG_ID_AUTOPILOT_VERSION, &message);
}

void Node::send_parameter(uint8_t link, uint32_t index)
{
	const ParameterInfo &info = Settings::info(index);
	mavlink_param_value_t message{};
	memcpy(message.param_id, info.name, strlen(info.name));
	message.param_type = info.whole ? MAV_PARAM_TYPE_INT32 : MAV_PARAM_TYPE_REAL32;
	message.param_count = PARAMETERS;
	message.param_index = static_cast<uint16_t>(index);
	message.param_value = _settings.value(index);

	// Whole numbers travel as the autopilot's do: ground stations take all of a vehicle's components for alike.
	if (info.whole && _autopilot.type != MAV_AUTOPILOT_ARDUPILOTMEGA) {
		const int32_t whole = static_cast<int32_t>(_settings.value(index));
		memcpy(&message.param_value, &whole, sizeof(whole));
	}

	send(link, MAVLINK_MSG_ID_PARAM_VALUE, &message);
}

} // namespace node
