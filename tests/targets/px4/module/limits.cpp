// core/DecisionFilter.hpp with limits of its own: records of stdin → decisions, to stdout.

#include <stdio.h>

#include "core/DecisionFilter.hpp"
#include "model/MotionSpec.hpp"

struct Record {
	float enter;
	float leave;
	uint32_t hold_windows;
	int8_t output[motion::MAX_LABELS];
};

int main()
{
	motion::DecisionFilter<motion::MotionSpec> filter;
	Record record;

	while (fread(&record, sizeof(record), 1, stdin) == 1) {
		if (record.enter >= 0.0f) {
			filter.set_limits({motion::threshold_q16(record.enter), motion::threshold_q16(record.leave), record.hold_windows});
		}

		motion::Decision decision{};
		filter.update(record.output, false, decision);
		fwrite(&decision, sizeof(decision), 1, stdout);
	}

	return 0;
}
