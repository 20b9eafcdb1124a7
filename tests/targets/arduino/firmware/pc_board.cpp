// SPDX-License-Identifier: BSD-3-Clause
//
// Test double of a board: the node on this computer, driven by commands on standard input. One letter, then its
// arguments, little-endian:
//
//	b link:u8 time:u64 size:u16 bytes	bytes arrive
//	i time:u64 6 float			an IMU sample
//	a time:u64 3 float			a barometer sample: Pa, °C, m
//	s time:u64				step
//	r link:u8 room:u32 there:u8		room of a port for all that follows, and whether it is connected
//	c bytes:u32				the next write to the memory is cut after so many bytes; the one after works
//	p					power off and on: only the memory stays
//	w size:u32 bytes			memory as given
//	q					answer: what was sent on each link, counts, the memory

#include <stdio.h>
#include <string.h>

#include <new>
#include <string>

#include "node/Node.hpp"

namespace
{

constexpr uint32_t BLOCKS = 8;

class TestPort final : public node::Port
{
public:
	size_t room() override { return left; }

	void write(const uint8_t *data, size_t size) override
	{
		if (size > left) {
			fprintf(stderr, "wrote %zu bytes into room for %zu\n", size, left);
			abort();
		}

		left -= left == UNLIMITED ? 0 : size;
		sent.append(reinterpret_cast<const char *>(data), size);
	}

	bool connected() override { return there; }

	static constexpr size_t UNLIMITED = 0xffffffffu;
	size_t left{UNLIMITED};
	bool there{true};
	std::string sent;
};

class TestStorage final : public node::Storage
{
public:
	uint32_t blocks() override { return BLOCKS; }

	bool read(uint32_t block, uint8_t *data) override
	{
		memcpy(data, memory + block * BLOCK_BYTES, BLOCK_BYTES);
		return true;
	}

	bool write(uint32_t block, const uint8_t *data) override
	{
		const size_t size = cut < BLOCK_BYTES ? cut : BLOCK_BYTES;
		memset(memory + block * BLOCK_BYTES, 0xff, BLOCK_BYTES);
		memcpy(memory + block * BLOCK_BYTES, data, size);
		cut = BLOCK_BYTES;
		++writes;
		return size == BLOCK_BYTES;
	}

	uint8_t memory[BLOCKS * BLOCK_BYTES];
	size_t cut{BLOCK_BYTES};
	uint32_t writes{0};
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
T take()
{
	T value;

	if (fread(&value, sizeof(value), 1, stdin) != 1) {
		exit(2);
	}

	return value;
}

template <class T>
void give(const T &value) { fwrite(&value, sizeof(value), 1, stdout); }

void answer(uint64_t now_us)
{
	for (uint8_t i = 0; i < node::LINKS; ++i) {
		give(static_cast<uint32_t>(ports[i].sent.size()));
		fwrite(ports[i].sent.data(), 1, ports[i].sent.size(), stdout);
		ports[i].sent.clear();
		give(board->link(i).counters());
	}

	give(static_cast<uint32_t>(board->autopilot_clock().source()));
	give(board->autopilot_clock().jumps());
	give(board->autopilot_clock().uncertainty_us());
	give(static_cast<uint32_t>(board->reboot_due(now_us)));
	give(static_cast<uint32_t>(board->imu_silent()));
	give(board->classifier().counters());
	give(storage.writes);
	fwrite(storage.memory, 1, sizeof(storage.memory), stdout);
	fflush(stdout);
}

} // namespace

int main()
{
	memset(storage.memory, 0xff, sizeof(storage.memory));
	power_on();
	uint64_t now_us = 0;

	for (int command = getchar(); command != EOF; command = getchar()) {
		switch (command) {
		case 'b': {
				const uint8_t link = take<uint8_t>();
				now_us = take<uint64_t>();

				for (uint16_t n = take<uint16_t>(); n > 0; --n) {
					board->receive(link, take<uint8_t>(), now_us);
				}

				break;
			}

		case 'i': {
				node::ImuSample sample;
				sample.time_us = take<uint64_t>();

				for (float &value : sample.accel_m_s2) { value = take<float>(); }

				for (float &value : sample.gyro_rad_s) { value = take<float>(); }

				board->imu(sample);
				break;
			}

		case 'a': {
				node::BaroSample sample;
				sample.time_us = take<uint64_t>();
				sample.pressure_pa = take<float>();
				sample.temperature_c = take<float>();
				sample.altitude_m = take<float>();
				board->baro(sample);
				break;
			}

		case 's':
			now_us = take<uint64_t>();
			board->step(now_us);
			break;

		case 'r': {
				TestPort &port = ports[take<uint8_t>()];
				port.left = take<uint32_t>();
				port.there = take<uint8_t>() != 0;
				break;
			}

		case 'c':
			storage.cut = take<uint32_t>();
			break;

		case 'p':
			power_on();
			break;

		case 'w':
			memset(storage.memory, 0xff, sizeof(storage.memory));
			take<uint32_t>();

			if (fread(storage.memory, sizeof(storage.memory), 1, stdin) != 1) {
				return 2;
			}

			break;

		case 'q':
			answer(now_us);
			break;

		default:
			return 2;
		}
	}

	return 0;
}
