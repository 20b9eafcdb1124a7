// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzzer over all that reaches the node from outside: bytes on both links, times, samples, full ports, failing memory.
//
//	fuzz_receive SEED INPUTS	a seeded run: inputs made of random bytes, the node kept over many of them
//	clang++ -DLIBFUZZER -fsanitize=fuzzer	the same inputs, found by libFuzzer
//
// An input is a list of events, a byte for the kind of each. Everything the node sends must be whole frames, and after
// each input every setting within its limits. Any error aborts.

#include <memory>

#include "doubles.hpp"
#include "node/Node.hpp"

namespace
{

/// Takes an input to pieces; zeros after its end.
class Input
{
public:
	Input(const uint8_t *data, size_t size) : _data(data), _left(size) {}

	bool ended() const { return _left == 0; }

	template <class T>
	T take()
	{
		T value{};
		const size_t size = sizeof(T) < _left ? sizeof(T) : _left;
		memcpy(&value, _data, size);
		_data += size;
		_left -= size;
		return value;
	}

	uint8_t byte() { return take<uint8_t>(); }
	uint8_t below(uint8_t count) { return byte() % count; }

	/// One of these most of the time, or any byte.
	uint8_t mostly(uint8_t likely, uint8_t of) { return below(of) ? likely : byte(); }

	/// Any float at all, or one that a sender may use.
	float number()
	{
		static const float likely[] = {
			0.0f, 1.0f, 2.0f, 7.0f, 25.0f, 40.0f, 0.5f, 0.99f, -1.0f, 148.0f, 105.0f, 254.0f, 350.0f, 1e5f, 1e10f, -1e30f
		};
		const uint8_t kind = byte();
		return kind < 16 ? likely[kind] : take<float>();
	}

private:
	const uint8_t *_data;
	size_t _left;
};

struct Totals {
	uint64_t received, sent, decisions;
} totals;

/// Checks that what is sent can be read.
class CheckedPort final : public TestPort
{
public:
	CheckedPort() { left = 2000; }

	void write(const uint8_t *data, size_t size) override
	{
		TestPort::write(data, size);
		sent.clear();
		const bool text = size > 0 && data[0] != MAVLINK_STX; // a capture as CSV

		for (size_t i = 0; i < size; ++i) {
			if (text) {
				if (data[i] > '~') {
					wrong("not a text");
				}

				continue;
			}

			mavlink_message_t message;
			mavlink_status_t status;
			const uint8_t found = mavlink_frame_char_buffer(&_message, &_status, data[i], &message, &status);

			if (found != (i + 1 == size ? MAVLINK_FRAMING_OK : MAVLINK_FRAMING_INCOMPLETE)) {
				wrong("not a frame");
			}
		}

		totals.sent += !text && size > 0;
	}

private:
	mavlink_message_t _message{};
	mavlink_status_t _status{};
};

class Bench
{
public:
	Bench() { restart(); }
	~Bench() { count(); }

	void run(Input input)
	{
		while (!input.ended()) {
			event(input);
		}

		for (uint32_t i = 0; i < node::PARAMETERS; ++i) {
			const node::ParameterInfo &info = node::Settings::info(i);
			const float value = _node->settings().value(i);

			if (!(value >= info.least && value <= info.most)) {
				wrong("a setting beyond its limits");
			}
		}
	}

private:
	void count() const
	{
		totals.received += _node->link(0).counters().received + _node->link(1).counters().received;
		totals.decisions += _node->classifier().counters().decisions;
	}

	void restart()
	{
		if (_node) {
			count();
		}

		_node.reset(new node::Node(_storage, _ports[0], _ports[1]));
		_node->start();
	}

	void event(Input &input)
	{
		switch (input.below(16)) {
		case 0:
		case 1: { // any bytes
				const uint8_t link = input.below(node::LINKS);

				for (uint8_t n = input.byte(); n > 0; --n) {
					_node->receive(link, input.byte(), _now_us);
				}

				break;
			}

		case 2:
			pass(input.take<uint32_t>() % 3000000);
			break;

		case 3:
		case 4:
			pass(input.take<uint16_t>());
			break;

		case 5:
			sample(input);
			break;

		case 6:
			_node->baro({_now_us, input.number(), input.number(), input.number()});
			break;

		case 7: {
				CheckedPort &port = _ports[input.below(node::LINKS)];
				port.left = input.take<uint16_t>();
				port.there = input.below(8) != 0;
				break;
			}

		case 8:
			_storage.cut = input.byte();
			break;

		case 9:
			if (input.below(32) == 0) {
				restart();
			}

			break;

		default:
			frame(input);
			break;
		}
	}

	void pass(uint64_t time_us)
	{
		_now_us += time_us;
		_node->step(_now_us);

		for (CheckedPort &port : _ports) {
			port.left += port.left < 2000 ? time_us / 100 : 0;
		}

		if (_node->reboot_due(_now_us)) {
			restart();
		}
	}

	void sample(Input &input)
	{
		const uint8_t count = input.byte();
		const uint32_t interval_us = input.take<uint16_t>();
		const uint16_t odd = input.take<uint16_t>() % 512; // a clock may be wrong, too
		node::ImuSample sample{_now_us, {input.number(), input.number(), input.number()}, {input.number(), 0.0f, 0.0f}};

		for (uint8_t i = 0; i < count; ++i) {
			_now_us += interval_us;
			sample.time_us = i == odd ? input.take<uint64_t>() >> 8 : _now_us;
			_node->imu(sample);
		}
	}

	/// A frame with a right checksum, but for one in eight.
	void frame(Input &input)
	{
		const uint8_t link = input.below(node::LINKS);
		mavlink_message_t message;
		pack(input, message);

		if (input.below(16) == 0) {
			message.incompat_flags |= MAVLINK_IFLAG_SIGNED;
			memset(message.signature, input.byte(), sizeof(message.signature));
		}

		uint8_t bytes[MAVLINK_MAX_PACKET_LEN];
		size_t size = mavlink_msg_to_send_buffer(bytes, &message);

		if (input.below(8) == 0) {
			bytes[input.byte() % size] ^= static_cast<uint8_t>(1u << input.below(8));
		}

		if (input.below(16) == 0) {
			size = input.byte() % size;
		}

		for (size_t i = 0; i < size; ++i) {
			_node->receive(link, bytes[i], _now_us);
		}
	}

	void pack(Input &input, mavlink_message_t &message)
	{
		static const uint16_t commands[] = {
			MAV_CMD_REQUEST_MESSAGE, MAV_CMD_REQUEST_MESSAGE, MAV_CMD_SET_MESSAGE_INTERVAL, MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN
		};
		const uint8_t system = input.mostly(1, 4), component = input.mostly(1, 4);
		const uint8_t target = input.mostly(1, 8), target_component = input.mostly(25, 8);
		const node::ParameterInfo &parameter = node::Settings::info(input.below(node::PARAMETERS));
		char name[16] {};
		strcpy(name, parameter.name);

		switch (input.below(10)) {
		case 0:
			mavlink_msg_heartbeat_pack(system, component, &message, input.byte(), input.below(16), input.byte(), 0, 0);
			break;

		case 1:
			mavlink_msg_system_time_pack(system, component, &message, input.take<uint64_t>(), input.take<uint32_t>());
			break;

		case 2: {
				// What the node asked last, or anything.
				const int64_t asked = input.below(2) ? static_cast<int64_t>(_now_us) * 1000 : input.take<int64_t>();
				mavlink_msg_timesync_pack(system, component, &message, input.take<int64_t>(), asked);
				break;
			}

		case 3:
			mavlink_msg_param_request_list_pack(system, component, &message, target, target_component);
			break;

		case 4: {
				const int16_t index = input.below(2) ? int16_t{-1} : input.take<int16_t>();
				mavlink_msg_param_request_read_pack(system, component, &message, target, target_component, name, index);
				break;
			}

		case 5:
		case 6: {
				float value = input.number();

				if (parameter.whole && input.below(2)) {
					const int32_t whole = static_cast<int8_t>(input.byte());
					memcpy(&value, &whole, sizeof(value));
				}

				mavlink_msg_param_set_pack(system, component, &message, target, target_component,
							   name, value, input.byte());
				break;
			}

		case 7: {
				const uint8_t key[32] = {input.below(4)};
				mavlink_msg_setup_signing_pack(system, component, &message, target, target_component, key,
							       input.take<uint64_t>());
				break;
			}

		default: {
				const uint16_t command = input.below(16) ? commands[input.below(4)] : input.take<uint16_t>();
				mavlink_msg_command_long_pack(system, component, &message, target, target_component, command, input.byte(),
							      input.number(), input.number(), 0, 0, 0, 0, input.number());
				break;
			}
		}
	}

	CheckedPort _ports[node::LINKS];
	TestStorage _storage;
	std::unique_ptr<node::Node> _node;
	uint64_t _now_us{0};
};

} // namespace

#ifdef LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bench().run(Input(data, size));
	return 0;
}

#else

int main(int argc, char **argv)
{
	if (argc != 3) {
		return 2;
	}

	static constexpr unsigned long KEPT = 1000; // inputs, then all is new
	uint64_t state = strtoull(argv[1], nullptr, 10) * 2 + 1;
	const unsigned long inputs = strtoul(argv[2], nullptr, 10);
	std::unique_ptr<Bench> bench;

	for (unsigned long n = 0; n < inputs; ++n) {
		uint64_t data[16];

		for (uint64_t &word : data) { // xorshift64*
			state ^= state >> 12;
			state ^= state << 25;
			state ^= state >> 27;
			word = state * 0x2545f4914f6cdd1dull;
		}

		if (n % KEPT == 0) {
			bench.reset(new Bench);
		}

		bench->run(Input(reinterpret_cast<const uint8_t *>(data), 16 + data[0] % (sizeof(data) - 16)));
	}

	bench.reset();
	printf("%lu inputs, %llu frames received, %llu sent, %llu decisions\n", inputs,
	       static_cast<unsigned long long>(totals.received), static_cast<unsigned long long>(totals.sent),
	       static_cast<unsigned long long>(totals.decisions));
	return 0;
}

#endif
