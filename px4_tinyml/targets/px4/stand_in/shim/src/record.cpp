// SPDX-License-Identifier: BSD-3-Clause
//
// Every output of the module, in order, in one file (script.py reads it).

#include "Host.hpp"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <uORB/uORB.h>

#include "model/CompiledModel.hpp"

namespace
{

using Model = motion::model::CompiledModel;

struct Head {
	uint64_t clock_us;
	uint32_t event;
	uint16_t kind;
	uint16_t topic;
	uint32_t size;
	uint32_t zero;
};

static_assert(sizeof(Head) == 24, "the binary format has no padding");

constexpr char MAGIC[8] = {'P', 'X', '4', 'H', 'O', 'S', 'T', 'R'};

FILE *output;
uint32_t event_index;
bool harness_acts;
uint64_t runs;
uint64_t allocations_in_runs;
uint32_t inference_us;

struct {
	int8_t input[Model::kInputSize];
	int8_t output[Model::kOutputSize];
	bool fresh;
} window;

} // namespace

namespace px4_host
{

bool open_record(const char *path)
{
	output = fopen(path, "wb");

	if (!output || fwrite(MAGIC, sizeof(MAGIC), 1, output) != 1) {
		fprintf(stderr, "px4-host: %s: cannot be written: %s\n", path, strerror(errno));
		return false;
	}

	return true;
}

bool close_record() { return fclose(output) == 0; }

void begin_event(uint32_t index, bool by_harness)
{
	event_index = index;
	harness_acts = by_harness;
}

void record(Kind kind, uint16_t topic, const void *payload, size_t size)
{
	Pause own;
	const Head head{now_us(), event_index, static_cast<uint16_t>(kind), topic, static_cast<uint32_t>(size), 0};
	fwrite(&head, sizeof(head), 1, output);
	fwrite(payload, 1, size, output);
}

void published(const orb_metadata *meta, const void *message)
{
	if (harness_acts) {
		return;
	}

	if (strcmp(meta->o_name, "motion_classification") == 0 && window.fresh) {
		record(Kind::Window, 0, &window, sizeof(window.input) + sizeof(window.output));
		window.fresh = false;
	}

	record(Kind::Publication, meta->o_id, message, meta->o_size_no_padding);
}

void print(const char *text) { record(Kind::Text, 0, text, strlen(text)); }

void work_done(uint64_t allocated)
{
	++runs;
	allocations_in_runs += allocated;
}

void record_end()
{
	const uint64_t numbers[] = {runs, allocations_in_runs};
	record(Kind::End, 0, numbers, sizeof(numbers));
}

void set_inference_time(uint32_t duration_us) { inference_us = duration_us; }

} // namespace px4_host

// The model, with its input and output shown to the harness: the linker sends calls of CompiledModel::run here.
extern "C" {
void __real__ZN6motion5model13CompiledModel3runEPa(int8_t *arena);

void __wrap__ZN6motion5model13CompiledModel3runEPa(int8_t *arena)
{
	memcpy(window.input, arena + Model::kInputOffset, sizeof(window.input));
	__real__ZN6motion5model13CompiledModel3runEPa(arena);
	memcpy(window.output, arena + Model::kOutputOffset, sizeof(window.output));
	window.fresh = true;
	px4_host::spend(inference_us);
}
}
