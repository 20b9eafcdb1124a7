// SPDX-License-Identifier: BSD-3-Clause
//
// Test double of a board: the node on this computer, driven by commands on standard input.

#include <new>

#include "doubles.hpp"
#include "node/Node.hpp"

namespace
{

/// Bytes follow it: with 'b' and 'w', `size` of them.
struct Command {
	uint64_t time_us;
	float values[6];
	uint32_t size;
	char kind;
	uint8_t link;
	uint8_t there;
};

uint32_t ticks = 0;
uint32_t test_clock() { return ticks += 21; } // so an inference takes 21

TestPort ports[node::LINKS];
TestStorage storage;
alignas(node::Node) uint8_t place[sizeof(node::Node)];
node::Node *board = nullptr;

void power_on()
{
	if (board) {
		board->~Node();
	}

	memset(place, 0xa5, sizeof(place));
	board = new (place) node::Node(storage, ports[0], ports[1], test_clock);
	board->start(0x1122334455667788ull);
}

template <class T>
void give(const T &value) { fwrite(&value, sizeof(value), 1, stdout); }

void give_bytes(const std::string &bytes) { fwrite(bytes.data(), 1, bytes.size(), stdout); }

void answer(uint64_t now_us)
{
	for (uint8_t i = 0; i < node::LINKS; ++i) {
		give(static_cast<uint32_t>(ports[i].sent.size()));
		give(board->link(i).counters());
		give_bytes(ports[i].sent);
		ports[i].sent.clear();
	}

	const node::AutopilotClock &clock = board->autopilot_clock();
	const uint32_t state[] = {static_cast<uint32_t>(clock.source()), clock.jumps(), clock.uncertainty_us(),
				  board->reboot_due(now_us), board->imu_silent(), storage.writes
				 };
	give(state);
	give_bytes(storage.memory);
	fflush(stdout);
}

} // namespace

int main()
{
	power_on();
	uint64_t now_us = 0;
	Command c;

	while (fread(&c, sizeof(c), 1, stdin) == 1) {
		std::string bytes(c.kind == 'b' || c.kind == 'w' ? c.size : 0, '\0');

		if (fread(&bytes[0], 1, bytes.size(), stdin) != bytes.size()) {
			return 2;
		}

		const float *const v = c.values;

		switch (c.kind) {
		case 'b': // bytes are received
			now_us = c.time_us;

			for (char byte : bytes) {
				board->receive(c.link, static_cast<uint8_t>(byte), now_us);
			}

			break;

		case 'i':
			board->imu({c.time_us, {v[0], v[1], v[2]}, {v[3], v[4], v[5]}});
			break;

		case 'a': // Pa, °C, m
			board->baro({c.time_us, v[0], v[1], v[2]});
			break;

		case 's':
			now_us = c.time_us;
			board->step(now_us);
			break;

		case 'r': // room of a port from now on, and whether it is connected
			ports[c.link].left = c.size;
			ports[c.link].there = c.there != 0;
			break;

		case 'c': // the next write to the memory is cut after so many bytes
			storage.cut = c.size;
			break;

		case 'p': // power off and on: only the memory is kept
			power_on();
			break;

		case 'w':
			storage.memory = bytes;
			break;

		case 'q': // what was sent on each link, counts, the memory
			answer(now_us);
			break;

		default:
			return 2;
		}
	}

	return 0;
}
