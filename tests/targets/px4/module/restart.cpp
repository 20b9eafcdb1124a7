// motion::Pipeline with lost samples: records of stdin → decisions, to stdout.

#include <stdio.h>

#include "Engine.hpp"
#include "core/Pipeline.hpp"
#include "model/MotionSpec.hpp"

struct Record {
	uint64_t time_us;
	float imu[6];
	uint32_t lost;
	uint32_t baro;
};

int main()
{
	static Engine engine;
	static motion::Pipeline<motion::MotionSpec, Engine> pipeline(engine);
	Record record;

	while (fread(&record, sizeof(record), 1, stdin) == 1) {
		if (record.baro) {
			pipeline.push_baro(record.time_us, record.imu[0]);
			continue;
		}

		if (record.lost) {
			pipeline.restart();
		}

		pipeline.push_imu(record.time_us, record.imu, record.imu + 3, [](const motion::Decision & decision) {
			fwrite(&decision, sizeof(decision), 1, stdout);
		});
	}

	const motion::Counters &counters = pipeline.counters();
	return counters.reset_gap || counters.reset_backwards || counters.reset_non_finite ? 1 : 0;
}
