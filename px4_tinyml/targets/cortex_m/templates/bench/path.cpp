// SPDX-License-Identifier: BSD-3-Clause
//
// The file "feed" through the whole classifier: for each record, into the file "ticks", the timer when the engine was
// called, when it returned (0, 0: it was not), and at the end.

#include "FeedFile.hpp"
#include "core/Pipeline.hpp"
#include "Engine.hpp"
#include "model/MotionSpec.hpp"
#include "probe.hpp"

namespace
{

struct Ticks {
	uint32_t called;
	uint32_t returned;
	uint32_t total;
};

Ticks ticks;

class TimedEngine
{
public:
	int8_t *input() { return _engine.input(); }
	const int8_t *output() { return _engine.output(); }

	bool invoke()
	{
		ticks.called = probe_now();
		const bool ok = _engine.invoke();
		ticks.returned = probe_now();
		return ok;
	}

private:
	Engine _engine;
};

TimedEngine engine;
motion::Pipeline<motion::MotionSpec, TimedEngine> pipeline(engine);
motion::Decision last;

void push_imu(void *argument)
{
	const FeedRecord &record = *static_cast<const FeedRecord *>(argument);
	pipeline.push_imu(record.time_us, record.values, record.values + 3, [](const motion::Decision & decision) {
		last = decision;
	});
}

void push_baro(void *argument)
{
	const FeedRecord &record = *static_cast<const FeedRecord *>(argument);
	pipeline.push_baro(record.time_us, record.values[0]);
}

} // namespace

int main()
{
	static FeedFile feed("feed");
	semihosting::File file("ticks", semihosting::File::Write);

	while (const FeedRecord *record = feed.next()) {
		ticks = Ticks{};
		ticks.total = probe_ticks(record->kind == 1 ? push_baro : push_imu, const_cast<FeedRecord *>(record));
		file.write(&ticks, sizeof(ticks));
	}

	return 0;
}
