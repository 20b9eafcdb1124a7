// SPDX-License-Identifier: BSD-3-Clause
//
// A main that needs all of the node, to see what it takes of a processor. Never run.

#include "node/Node.hpp"

namespace
{

volatile uint8_t memory[node::Storage::BLOCK_BYTES];

class SomePort final : public node::Port
{
public:
	size_t room() override { return memory[0]; }
	void write(const uint8_t *data, size_t size) override { memory[1] = data[size - 1]; }
};

class SomeStorage final : public node::Storage
{
public:
	uint32_t blocks() override { return memory[2]; }
	bool read(uint32_t block, uint8_t *data) override { return (data[0] = memory[block]) != 0; }
	bool write(uint32_t block, const uint8_t *data) override { return (memory[block] = data[0]) != 0; }
};

uint32_t some_clock() { return memory[3]; }

SomePort telemetry;
SomePort usb;
SomeStorage storage;
node::Node motion_node(storage, telemetry, usb, some_clock);

} // namespace

int main()
{
	motion_node.start(memory[4]);

	for (;;) {
		node::ImuSample imu{};
		node::BaroSample baro{};
		imu.accel_m_s2[0] = memory[5];
		motion_node.imu(imu);
		motion_node.baro(baro);
		motion_node.receive(node::TELEMETRY, memory[6], memory[7]);
		motion_node.step(memory[8]);

		if (motion_node.reboot_due(memory[9])) {
			return 0;
		}
	}
}
