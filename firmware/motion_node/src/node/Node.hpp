// SPDX-License-Identifier: BSD-3-Clause
//
// The whole behaviour of the sensor node, without the board: samples, bytes and the time are arguments, bytes
// are sent through ports. It runs unchanged on the Arduino, on a PC and in an emulator.
//
//	node::Node node(storage, telemetry, usb, micros);
//	node.start();
//	for (;;) {
//		node.receive(node::TELEMETRY, byte, now_us);	// each byte received
//		node.imu(sample); node.baro(sample);		// each sample
//		node.step(now_us);				// often
//	}
//
// All times are the board's own, µs since it started, and never run backwards.

#pragma once

#include "../core/Report.hpp"
#include "AutopilotClock.hpp"
#include "Classifier.hpp"
#include "CsvCapture.hpp"
#include "Link.hpp"
#include "Rotation.hpp"
#include "Samples.hpp"
#include "Settings.hpp"
#include "Texts.hpp"

namespace node
{

static constexpr uint8_t TELEMETRY = 0; ///< the autopilot's link
static constexpr uint8_t USB = 1;       ///< a person at the board
static constexpr uint8_t LINKS = 2;

static constexpr uint32_t VERSION = 0x000100; ///< 0.1.0, a byte each; AUTOPILOT_VERSION has the kind of release behind it

class Node
{
public:
	Node(Storage &storage, Port &telemetry, Port &usb, Clock clock = nullptr);

	/// Read the settings. hardware_id: the processor's serial number, sent on request.
	void start(uint64_t hardware_id = 0);

	void receive(uint8_t link, uint8_t byte, uint64_t now_us);
	void imu(const ImuSample &sample);
	void baro(const BaroSample &sample);
	void step(uint64_t now_us);

	/// Time spent working since the last call, for the load in SYS_STATUS.
	void busy(uint32_t microseconds) { _busy_us += microseconds; }

	/// No sample for half a second: the board may restart the sensor.
	bool imu_silent() const { return _imu_silent; }

	/// It was requested; the answer was sent and the settings are stored.
	bool reboot_due(uint64_t now_us) const { return _reboot && now_us >= _reboot_us; }

	const Classifier &classifier() const { return _classifier; }
	const Link &link(uint8_t index) const { return _links[index]; }
	const AutopilotClock &autopilot_clock() const { return _autopilot_clock; }
	const Settings &settings() const { return _settings; }
	Identity identity() const;

private:
	struct Stream {
		uint64_t last_us;
		int32_t interval_us; ///< 0: the default, −1: off
	};

	/// What a link is sent beside answers.
	struct Streams {
		Stream vector;
		Stream array;
		Stream imu;
		uint8_t next_parameter; ///< of a list that was asked for; PARAMETERS: none
	};

	struct Autopilot {
		uint64_t heard_us;
		uint8_t system;
		uint8_t type; ///< MAV_AUTOPILOT
		uint8_t link;
		bool known;
		bool present;
		bool armed;
	};

	// Node.cpp
	void decided(const motion::Decision &decision);
	void watch_imu(uint64_t now_us);
	void watch_autopilot(uint64_t now_us);
	void keep_settings(uint64_t now_us);
	void apply(Parameter parameter);
	void apply_limits();
	void restart_links(uint64_t margin);
	void console(char letter);
	void set_capture(Capture capture);
	void report(uint8_t severity, const char *text, uint8_t links = (1u << LINKS) - 1);

	// Reports.cpp
	void send_due(uint8_t link, uint64_t now_us);
	static bool due(Stream &stream, uint64_t now_us, uint32_t default_us);
	bool send(uint8_t link, uint32_t message_id, const void *payload);
	void send_heartbeat(uint8_t link);
	void send_vector(uint8_t link);
	void send_array(uint8_t link);
	void send_imu(uint8_t link);
	void send_system_status(uint8_t link);
	void send_version(uint8_t link);
	void send_timesync(uint8_t link, uint64_t now_us);
	void send_parameter(uint8_t link, uint32_t index);
	void capture(const ImuSample &sample);
	bool capturing(uint8_t link) const;

	// Requests.cpp
	void handle(uint8_t link, uint64_t now_us);
	void handle_heartbeat(uint8_t link, uint64_t now_us);
	void handle_system_time(uint8_t link, uint64_t now_us);
	void handle_timesync(uint8_t link, uint64_t now_us);
	void handle_parameter_list(uint8_t link);
	void handle_parameter_set(uint8_t link, uint64_t now_us);
	void handle_parameter_read(uint8_t link);
	void handle_command(uint8_t link, uint64_t now_us);
	void handle_command_int(uint8_t link);
	void handle_signing(uint8_t link);
	bool for_me(uint8_t system, uint8_t component) const;
	uint8_t command_result(uint8_t link, const mavlink_command_long_t &command, uint64_t now_us);
	uint8_t request_message(uint8_t link, uint32_t message_id);
	uint8_t set_interval(uint8_t link, float message_id, float interval_us);
	bool from_autopilot(const mavlink_message_t &message) const;
	bool armed() const { return _autopilot.present && _autopilot.armed; }

	Settings _settings;
	TimedEngine _engine;
	Classifier _classifier{_engine};
	Link _links[LINKS];
	Streams _streams[LINKS] {};
	AutopilotClock _autopilot_clock;
	Rotation _rotation;
	Texts _texts;
	CsvCapture _csv;
	Capture _capture{Capture::Off};
	Line<8> _console;
	motion::TurbulenceNotice<MotionSpec> _notice;
	motion::SlotAverager<MotionSpec> _capture_slots;

	motion::Decision _decision{};
	uint32_t _inference_us{0};
	bool _decided{false};

	mavlink_highres_imu_t _imu_message{};
	BaroSample _baro{};
	bool _has_baro{false};
	bool _has_imu{false};
	bool _imu_silent{false};

	Autopilot _autopilot{};
	uint64_t _hardware_id{0};
	uint64_t _now_us{0};
	uint64_t _last_imu_us{0};
	uint64_t _heartbeat_us{0};
	uint64_t _load_us{0};
	uint64_t _changed_us{0};
	uint64_t _signing_saved_us{0};
	uint64_t _reboot_us{0};
	uint32_t _busy_us{0};
	uint32_t _refused{0};
	uint16_t _load_permille{0};
	uint8_t _component{0};
	bool _told_signing{false};
	bool _reboot{false};
};

} // namespace node
