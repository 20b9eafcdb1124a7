// Decisions on standard input, and what core/Report.hpp makes of each on standard output.

#include <stdio.h>

#include "core/Report.hpp"
#include "model/MotionSpec.hpp"

int main()
{
	motion::TurbulenceNotice<motion::MotionSpec> notice;
	motion::ReportClock<motion::MotionSpec> clock;
	int index;
	unsigned confidence, flags, spent, p[motion::MAX_LABELS];
	unsigned long long end_us, now_us;

	while (scanf("%d %u %u %llu %llu %u", &index, &confidence, &flags, &end_us, &now_us, &spent) == 6) {
		motion::Decision decision{};
		decision.class_index = static_cast<int8_t>(index);
		decision.confidence_q16 = confidence;
		decision.flags = static_cast<uint8_t>(flags);
		decision.end_us = end_us;

		for (unsigned i = 0; i < motion::MAX_LABELS; ++i) {
			if (scanf("%u", &p[i]) != 1) {
				return 1;
			}

			decision.probability[i] = static_cast<uint8_t>(p[i]);
		}

		float xyz[3];
		float data[motion::REPORT_ARRAY_SIZE];
		motion::report_vector<motion::MotionSpec>(decision, xyz);
		motion::report_array<motion::MotionSpec>(decision, spent, data);
		printf("%d %u %d", static_cast<int>(notice.update(decision)), notice.percent(decision),
		       clock.due(decision, now_us, 2));

		for (float value : xyz) {
			printf(" %.9g", static_cast<double>(value));
		}

		for (float value : data) {
			printf(" %.9g", static_cast<double>(value));
		}

		printf("\n");
	}

	return 0;
}
