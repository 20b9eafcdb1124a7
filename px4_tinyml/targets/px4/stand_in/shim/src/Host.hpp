// SPDX-License-Identifier: BSD-3-Clause
//
// What the parts of the stand-in know of each other: clock, recorder, memory.

#pragma once

#include <stddef.h>
#include <stdint.h>

struct orb_metadata;

namespace px4_host
{

/// Generated: the topics, by index.
extern const orb_metadata *const topics[];
extern const size_t topic_count;

/// Generated: the parameters with their defaults, by px4::params.
union Value {
	int32_t integer;
	float real;
};

struct Parameter {
	const char *name;
	Value value;
};

extern Parameter parameters[];
extern const size_t parameter_count;

// ---- clock

uint64_t now_us();

/// Move the clock, forwards through every timer due on the way, or backwards just so. Runs the work queue
/// at each timer unless it is held.
void set_clock(uint64_t time_us);

/// Time passes inside of a work item.
void spend(uint32_t duration_us);

/// How long every run of the model takes from now on.
void set_inference_time(uint32_t duration_us);

/// Held: work items stay queued.
void hold_queue(bool held);

/// What other threads would do now.
void run_queue();

// ---- recorder: outputs, in order

enum class Kind : uint16_t {
	Publication = 0, ///< a topic's message; of motion_classification: after a Window
	Window = 1,      ///< int8 input, then int8 output, of the model's last run
	Text = 2,        ///< a printed line
	Result = 3,      ///< of a command: its exit code, blocks allocated and not freed (int64 each)
	End = 4,         ///< how often work items ran, allocations in them (uint64 each)
};

bool open_record(const char *path);
bool close_record();
void record(Kind kind, uint16_t topic, const void *payload, size_t size);

/// Which record of the script is being done, and whether what happens is the harness's own doing.
void begin_event(uint32_t index, bool by_harness);

/// A message was published. Recorded unless the harness itself did it.
void published(const orb_metadata *meta, const void *message);
void print(const char *text);

/// A work item has run, and allocated so often.
void work_done(uint64_t allocations);

/// The last record: what was counted.
void record_end();

// ---- memory: what the module allocates. The stand-in's own does not count while a Pause lives.

struct Pause {
	Pause();
	~Pause();
	Pause(const Pause &) = delete;
	Pause &operator=(const Pause &) = delete;
};

uint64_t allocations();
int64_t allocated_blocks();

} // namespace px4_host
