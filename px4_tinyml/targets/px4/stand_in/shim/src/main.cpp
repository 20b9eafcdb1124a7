// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4 around the module motion_classifier, in one process and one thread: runs a script and records
// every publication.
//
//	px4_host SCRIPT RECORD

#include "Host.hpp"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include <px4_platform_common/module_params.h>
#include <uORB/topics/parameter_update.h>
#include <uORB/uORB.h>

extern "C" int motion_classifier_main(int argc, char *argv[]);

namespace
{

enum class Action : uint16_t {
	Publish = 0,       ///< a topic's message: the payload is its struct
	Command = 1,       ///< "motion_classifier start" …
	Parameter = 2,     ///< payload: its four bytes; topic: its number. parameter_update follows
	Hold = 3,          ///< the work queue stops
	Run = 4,           ///< it runs what is queued and continues
	InferenceTime = 5, ///< payload: µs that every run of the model takes from now on (uint32)
	Wait = 6,          ///< only time passes
};

struct Head {
	uint64_t clock_us; ///< the time it happens
	uint16_t action;
	uint16_t topic;
	uint32_t size; ///< of the payload that follows
};

static_assert(sizeof(Head) == 16, "the binary format has no padding");

constexpr char MAGIC[8] = {'P', 'X', '4', 'H', 'O', 'S', 'T', 'S'};

int fail(const char *what, uint32_t index)
{
	fprintf(stderr, "px4-host: record %u of the script: %s\n", index, what);
	return 1;
}

void publish(const orb_metadata *meta, const void *message)
{
	orb_publish(meta, orb_advertise(meta, nullptr), message);
}

void run_command(char *text)
{
	char *words[16] {};
	int count = 0;

	for (char *word = strtok(text, " "); word && count < 15; word = strtok(nullptr, " ")) {
		words[count++] = word;
	}

	const int64_t code = motion_classifier_main(count, words);
	const int64_t result[] = {code, px4_host::allocated_blocks()};
	px4_host::record(px4_host::Kind::Result, 0, result, sizeof(result));
}

/// False when the record makes no sense.
bool act(const Head &head, std::vector<char> &payload)
{
	switch (static_cast<Action>(head.action)) {
	case Action::Publish:
		if (head.topic >= px4_host::topic_count || head.size != px4_host::topics[head.topic]->o_size) {
			return false;
		}

		publish(px4_host::topics[head.topic], payload.data());
		return true;

	case Action::Command:
		run_command(payload.data());
		return true;

	case Action::Parameter: {
			if (head.size != sizeof(px4_host::Value) || param_set(head.topic, payload.data()) != 0) {
				return false;
			}

			parameter_update_s update{};
			update.timestamp = px4_host::now_us();
			publish(ORB_ID(parameter_update), &update);
			return true;
		}

	case Action::Hold:
	case Action::Run:
		px4_host::hold_queue(static_cast<Action>(head.action) == Action::Hold);
		return true;

	case Action::InferenceTime: {
			uint32_t duration_us{0};
			memcpy(&duration_us, payload.data(), head.size == sizeof(duration_us) ? sizeof(duration_us) : 0);
			px4_host::set_inference_time(duration_us);
			return head.size == sizeof(duration_us);
		}

	case Action::Wait:
		return true;
	}

	return false;
}

int run_script(FILE *script)
{
	char magic[sizeof(MAGIC)];

	if (fread(magic, sizeof(magic), 1, script) != 1 || memcmp(magic, MAGIC, sizeof(magic)) != 0) {
		return fail("not a script of this version", 0);
	}

	std::vector<char> payload;
	Head head;
	uint32_t index = 0;

	for (size_t got; (got = fread(&head, 1, sizeof(head), script)) > 0; ++index) {
		if (got == sizeof(head)) {
			px4_host::Pause own;
			payload.assign(head.size + 1, '\0'); // a command's text ends with a zero
		}

		if (got != sizeof(head) || fread(payload.data(), 1, head.size, script) != head.size) {
			return fail("cut short", index);
		}

		const Action action = static_cast<Action>(head.action);
		px4_host::begin_event(index, false);
		px4_host::set_clock(head.clock_us);
		px4_host::begin_event(index, action != Action::Command);

		if (!act(head, payload)) {
			return fail("of an unknown kind, topic, parameter or size", index);
		}

		px4_host::begin_event(index, false);
		px4_host::run_queue();
	}

	if (ferror(script)) {
		return fail("cannot be read", index);
	}

	px4_host::record_end();
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	FILE *const script = argc == 3 ? fopen(argv[1], "rb") : nullptr;

	if (!script) {
		fprintf(stderr, "px4-host: usage: px4_host SCRIPT RECORD (%s)\n", argc == 3 ? strerror(errno) : "two files");
		return 2;
	}

	if (!px4_host::open_record(argv[2])) {
		return 1;
	}

	const int code = run_script(script);
	fclose(script);
	return px4_host::close_record() ? code : fail("the record cannot be written", 0);
}
