// core/Report.hpp: records of stdin (a decision, and when and how it is told) → what is told, to stdout.

#include <stdio.h>

#include "core/Report.hpp"
#include "model/MotionSpec.hpp"

struct Record {
	motion::Decision decision;
	uint64_t now_us;
	uint32_t rate_hz;
	uint32_t inference_us;
};

struct Told {
	float vector[3];
	float array[motion::REPORT_ARRAY_SIZE];
	uint32_t due;
	uint32_t text;
	uint32_t percent;
};

int main()
{
	using Spec = motion::MotionSpec;
	motion::ReportClock<Spec> clock;
	motion::TurbulenceNotice<Spec> notice;
	Record record;

	while (fread(&record, sizeof(record), 1, stdin) == 1) {
		Told told {};
		motion::report_vector<Spec>(record.decision, told.vector);
		motion::report_array<Spec>(record.decision, record.inference_us, told.array);
		told.due = clock.due(record.decision, record.now_us, record.rate_hz);
		told.text = static_cast<uint32_t>(notice.update(record.decision));
		told.percent = motion::TurbulenceNotice<Spec>::percent(record.decision);
		fwrite(&told, sizeof(told), 1, stdout);
	}

	return 0;
}
