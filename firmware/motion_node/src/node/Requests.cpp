// SPDX-License-Identifier: BSD-3-Clause
//
// Requests to the node. Messages are always decoded whole: mavgen's getters of single fields read 8 bytes at
// odd addresses, at which a Cortex-M4 stops.

#include "Node.hpp"

#include <string.h>

namespace node
{

namespace
{

constexpr uint64_t REBOOT_AFTER_US = 200000;
constexpr uint64_t UNIX_US_2015 = 1420070400000000ULL;

/// A command's parameter as a whole number; false when it is not one.
bool whole(float value, uint32_t most, uint32_t &number)
{
	if (!(value >= 0.0f && value <= static_cast<float>(most))) {
		return false;
	}

	number = static_cast<uint32_t>(value);
	return static_cast<float>(number) == value;
}

} // namespace

bool Node::for_me(uint8_t system, uint8_t component) const
{
	const Identity me = identity();
	return (system == 0 || system == me.system) && (component == MAV_COMP_ID_ALL || component == me.component);
}

bool Node::from_autopilot(const mavlink_message_t &message) const
{
	return _autopilot.known && message.sysid == _autopilot.system && message.compid == MAV_COMP_ID_AUTOPILOT1;
}

void Node::handle(uint8_t link, uint64_t now_us)
{
	const mavlink_message_t &message = _links[link].message();
	const Identity me = identity();

	if (message.sysid == me.system && message.compid == me.component) {
		return; // our own message, sent back by a router
	}

	switch (message.msgid) {
	case MAVLINK_MSG_ID_HEARTBEAT:
		handle_heartbeat(link, now_us);
		break;

	case MAVLINK_MSG_ID_SYSTEM_TIME:
		if (from_autopilot(message)) {
			handle_system_time(link, now_us);
		}

		break;

	case MAVLINK_MSG_ID_TIMESYNC:
		if (from_autopilot(message)) {
			handle_timesync(link, now_us);
		}

		break;

	case MAVLINK_MSG_ID_PARAM_REQUEST_LIST:
		handle_parameter_list(link);
		break;

	case MAVLINK_MSG_ID_PARAM_REQUEST_READ:
		handle_parameter_read(link);
		break;

	case MAVLINK_MSG_ID_PARAM_SET:
		handle_parameter_set(link, now_us);
		break;

	case MAVLINK_MSG_ID_COMMAND_LONG:
		handle_command(link, now_us);
		break;

	case MAVLINK_MSG_ID_COMMAND_INT:
		handle_command_int(link);
		break;

	case MAVLINK_MSG_ID_SETUP_SIGNING:
		handle_signing(link);
		break;

	default:
		break;
	}
}

void Node::handle_heartbeat(uint8_t link, uint64_t now_us)
{
	const mavlink_message_t &message = _links[link].message();
	mavlink_heartbeat_t heartbeat;
	mavlink_msg_heartbeat_decode(&message, &heartbeat);
	const bool autopilot = message.compid == MAV_COMP_ID_AUTOPILOT1 && heartbeat.autopilot != MAV_AUTOPILOT_INVALID;
	const bool another = _autopilot.present && message.sysid != _autopilot.system;

	if (!autopilot || another) {
		return;
	}

	const bool signs = (message.incompat_flags & MAVLINK_IFLAG_SIGNED) != 0;

	if (signs && !_settings.key() && !_told_signing) {
		_told_signing = true;
		report(MAV_SEVERITY_WARNING, "Signing: give this node the key by USB");
	}

	_autopilot.heard_us = now_us;
	_autopilot.system = message.sysid;
	_autopilot.type = heartbeat.autopilot;
	_autopilot.armed = (heartbeat.base_mode & MAV_MODE_FLAG_SAFETY_ARMED) != 0;
	_autopilot.link = link;
	_autopilot.known = true;
	_autopilot.present = true;
}

void Node::handle_system_time(uint8_t link, uint64_t now_us)
{
	mavlink_system_time_t time;
	mavlink_msg_system_time_decode(&_links[link].message(), &time);
	_autopilot_clock.system_time(now_us, time.time_boot_ms);

	if (_settings.key() && time.time_unix_usec > UNIX_US_2015) {
		for (Link &each : _links) {
			each.advance_signing_time((time.time_unix_usec - UNIX_US_2015) / 10);
		}
	}
}

void Node::handle_timesync(uint8_t link, uint64_t now_us)
{
	mavlink_timesync_t timesync;
	mavlink_msg_timesync_decode(&_links[link].message(), &timesync);
	// Only answers. A request (tc1 is 0) is for others: the autopilot would take our clock for its companion's.
	_autopilot_clock.answer(now_us, timesync.tc1, timesync.ts1);
}

void Node::handle_parameter_list(uint8_t link)
{
	mavlink_param_request_list_t request;
	mavlink_msg_param_request_list_decode(&_links[link].message(), &request);

	if (for_me(request.target_system, request.target_component)) {
		_streams[link].next_parameter = 0;
	}
}

void Node::handle_parameter_read(uint8_t link)
{
	mavlink_param_request_read_t request;
	mavlink_msg_param_request_read_decode(&_links[link].message(), &request);

	if (!for_me(request.target_system, request.target_component)) {
		return;
	}

	const uint32_t index = request.param_index >= 0 ? static_cast<uint32_t>(request.param_index)
			       : Settings::find(request.param_id, sizeof(request.param_id));

	if (index < PARAMETERS) {
		send_parameter(link, index);
	}
}

void Node::handle_parameter_set(uint8_t link, uint64_t now_us)
{
	mavlink_param_set_t request;
	mavlink_msg_param_set_decode(&_links[link].message(), &request);
	const uint32_t index = Settings::find(request.param_id, sizeof(request.param_id));

	if (!for_me(request.target_system, request.target_component) || index >= PARAMETERS) {
		return;
	}

	// A whole number is sent as its bytes (PX4) or as a float (ArduPilot). The two cannot be confused: the bytes of an
	// allowed value in one form are not an allowed value in the other.
	bool set = false;

	if (Settings::info(index).whole) {
		int32_t bytes;
		memcpy(&bytes, &request.param_value, sizeof(bytes));
		set = bytes >= -1 && bytes <= 0xffff && _settings.set(index, static_cast<float>(bytes));
	}

	if (set || _settings.set(index, request.param_value)) {
		_changed_us = now_us;
		apply(static_cast<Parameter>(index));
	}

	send_parameter(link, index); // what it is now, also when the wish was refused
}

void Node::handle_signing(uint8_t link)
{
	mavlink_setup_signing_t request;
	mavlink_msg_setup_signing_decode(&_links[link].message(), &request);

	// A key is given over a cable only, never over a link that others may hear.
	if (!_links[link].local() || !for_me(request.target_system, request.target_component)) {
		return;
	}

	bool any = false;

	for (const uint8_t byte : request.secret_key) {
		any = any || byte != 0;
	}

	_settings.set_key(any ? request.secret_key : nullptr);
	_settings.set_signing_time(request.initial_timestamp);
	_changed_us = _now_us;
	_told_signing = false;
	restart_links(0);
	report(MAV_SEVERITY_NOTICE, any ? "Signing is on" : "Signing is off");
}

void Node::handle_command(uint8_t link, uint64_t now_us)
{
	const mavlink_message_t &message = _links[link].message();
	mavlink_command_long_t command;
	mavlink_msg_command_long_decode(&message, &command);

	if (!for_me(command.target_system, command.target_component)) {
		return;
	}

	mavlink_command_ack_t answer{};
	answer.command = command.command;
	answer.target_system = message.sysid;
	answer.target_component = message.compid;
	answer.result = command_result(link, command, now_us);

	// What everybody was asked, others may be able to do.
	if (command.target_component == MAV_COMP_ID_ALL && answer.result != MAV_RESULT_ACCEPTED) {
		return;
	}

	send(link, MAVLINK_MSG_ID_COMMAND_ACK, &answer);
}

void Node::handle_command_int(uint8_t link)
{
	const mavlink_message_t &message = _links[link].message();
	mavlink_command_int_t command;
	mavlink_msg_command_int_decode(&message, &command);

	if (command.target_component == MAV_COMP_ID_ALL || !for_me(command.target_system, command.target_component)) {
		return;
	}

	mavlink_command_ack_t answer{};
	answer.command = command.command;
	answer.target_system = message.sysid;
	answer.target_component = message.compid;
	answer.result = MAV_RESULT_COMMAND_LONG_ONLY;
	send(link, MAVLINK_MSG_ID_COMMAND_ACK, &answer);
}

uint8_t Node::command_result(uint8_t link, const mavlink_command_long_t &command, uint64_t now_us)
{
	uint32_t number = 0;

	switch (command.command) {
	case MAV_CMD_REQUEST_MESSAGE:
		return whole(command.param1, 0xffffff, number) ? request_message(link, number)
		       : static_cast<uint8_t>(MAV_RESULT_DENIED);

	case MAV_CMD_SET_MESSAGE_INTERVAL:
		return set_interval(link, command.param1, command.param2);

	case MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN:

		// Only this node by itself: restarting everything is no reason to lose the classes in flight.
		if (command.target_component == MAV_COMP_ID_ALL || command.param1 != 1.0f) {
			return MAV_RESULT_UNSUPPORTED;
		}

		if (armed()) {
			return MAV_RESULT_TEMPORARILY_REJECTED;
		}

		_settings.save();
		_reboot = true;
		_reboot_us = now_us + REBOOT_AFTER_US;
		return MAV_RESULT_ACCEPTED;

	default:
		return MAV_RESULT_UNSUPPORTED;
	}
}

uint8_t Node::request_message(uint8_t link, uint32_t message_id)
{
	switch (message_id) {
	case MAVLINK_MSG_ID_HEARTBEAT:
		send_heartbeat(link);
		return MAV_RESULT_ACCEPTED;

	case MAVLINK_MSG_ID_SYS_STATUS:
		send_system_status(link);
		return MAV_RESULT_ACCEPTED;

	case MAVLINK_MSG_ID_AUTOPILOT_VERSION:
		send_version(link);
		return MAV_RESULT_ACCEPTED;

	case MAVLINK_MSG_ID_HIGHRES_IMU:
		if (!_has_imu) {
			return MAV_RESULT_TEMPORARILY_REJECTED;
		}

		send_imu(link);
		return MAV_RESULT_ACCEPTED;

	case MAVLINK_MSG_ID_DEBUG_VECT:
	case MAVLINK_MSG_ID_DEBUG_FLOAT_ARRAY:
		if (!_decided) {
			return MAV_RESULT_TEMPORARILY_REJECTED;
		}

		message_id == MAVLINK_MSG_ID_DEBUG_VECT ? send_vector(link) : send_array(link);
		return MAV_RESULT_ACCEPTED;

	default:
		return MAV_RESULT_UNSUPPORTED;
	}
}

uint8_t Node::set_interval(uint8_t link, float message_id, float interval_us)
{
	constexpr uint32_t LONGEST_US = 3600000000u / 2;
	uint32_t id = 0;
	uint32_t interval = 0;
	const bool off = interval_us == -1.0f;

	if (!whole(message_id, 0xffffff, id)) {
		return MAV_RESULT_DENIED;
	}

	Streams &streams = _streams[link];
	Stream *const stream = id == MAVLINK_MSG_ID_DEBUG_VECT ? &streams.vector
			       : id == MAVLINK_MSG_ID_DEBUG_FLOAT_ARRAY ? &streams.array
			       : id == MAVLINK_MSG_ID_HIGHRES_IMU ? &streams.imu : nullptr;

	if (stream == nullptr) {
		return MAV_RESULT_UNSUPPORTED;
	}

	if (!off && !whole(interval_us, LONGEST_US, interval)) {
		return MAV_RESULT_DENIED;
	}

	stream->interval_us = off ? -1 : static_cast<int32_t>(interval);
	stream->last_us = 0;
	return MAV_RESULT_ACCEPTED;
}

} // namespace node
