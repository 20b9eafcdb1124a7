// core/Report.hpp: records of stdin (a decision, and when it is reported) → its report, to stdout.

#include <stdio.h>

#include "core/Report.hpp"
#include "model/MotionSpec.hpp"

struct Record {
	motion::Decision decision;
	uint64_t now_us;
	uint32_t rate_hz;
	uint32_t inference_us;
};

struct Reported {
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
		Reported reported {};
		motion::report_vector<Spec>(record.decision, reported.vector);
		motion::report_array<Spec>(record.decision, record.inference_us, reported.array);
		reported.due = clock.due(record.decision, record.now_us, record.rate_hz);
		reported.text = static_cast<uint32_t>(notice.update(record.decision));
		reported.percent = motion::TurbulenceNotice<Spec>::percent(record.decision);
		fwrite(&reported, sizeof(reported), 1, stdout);
	}

	return 0;
}
