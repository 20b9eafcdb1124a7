// SPDX-License-Identifier: BSD-3-Clause
//
// The sensor node: classifies motion on board and reports it by MAVLink. docs/node.md of px4-tinyml: how to build,
// wire and mount it. Everything it does is in src/node; this only brings board and node together.

#include "src/board/Board.hpp"
#include "src/board/Sensors.hpp"
#include "src/node/Node.hpp"

static node::SendRing<node::TelemetryLine, node::SEND_BYTES> telemetry;
static node::SendRing<node::UsbLine, node::SEND_BYTES> usb;
static node::BoardStorage storage;
static node::Sensors sensors;
static node::Node motion_node(storage, telemetry, usb, node::board_clock_us);

void setup()
{
	node::begin_ports();
	sensors.begin();
	motion_node.start(node::hardware_id());
}

void loop()
{
	const uint64_t now_us = node::board_time_us();
	bool worked = false;
	uint8_t byte;

	// A sample first: its time is now. Then as many bytes as a line brings in the time between two samples.
	node::ImuSample imu;

	if (sensors.poll(now_us, imu)) {
		motion_node.imu(imu);
		worked = true;
	}

	node::BaroSample baro;

	if (sensors.poll(now_us, baro)) {
		motion_node.baro(baro);
		worked = true;
	}

	for (int i = 0; i < 64 && node::read_telemetry(byte); ++i) {
		motion_node.receive(node::TELEMETRY, byte, now_us);
		worked = true;
	}

	for (int i = 0; i < 64 && node::read_usb(byte); ++i) {
		motion_node.receive(node::USB, byte, now_us);
		worked = true;
	}

	motion_node.step(now_us);
	telemetry.pump();
	usb.pump();

	if (worked) {
		motion_node.busy(static_cast<uint32_t>(node::board_time_us() - now_us));
	}

	if (motion_node.reboot_due(now_us)) {
		node::restart_board();
	}
}
