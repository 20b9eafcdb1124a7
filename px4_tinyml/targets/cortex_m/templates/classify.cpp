// SPDX-License-Identifier: BSD-3-Clause
//
// The file "feed" through the whole classifier, everything it computed into the file "dump": the forms are those of
// the host project's motion_classify --binary --dump.

#include "Engine.hpp"
#include "FeedFile.hpp"
#include "core/Pipeline.hpp"
#include "core/SameSpec.hpp"
#include "model/MotionSpec.hpp"

namespace
{

using motion::MotionSpec;

static_assert(motion::same_spec<MotionSpec, Model>(), "model/ holds parts of different trainings");

/// The engine, with copies of its input and output. The input is copied first: engines reuse its memory.
class RecordingEngine
{
public:
	const char *problem() const { return _engine.problem(); }
	int8_t *input() { return _engine.input(); }
	const int8_t *output() { return _engine.output(); }

	bool invoke()
	{
		memcpy(values, _engine.input(), Model::kInputSize);
		const bool ok = _engine.invoke();
		memcpy(values + Model::kInputSize, _engine.output(), Model::kOutputSize);
		return ok;
	}

	int8_t values[Model::kInputSize + Model::kOutputSize];

private:
	Engine _engine;
};

/// The dump, written in big blocks.
class DumpFile
{
public:
	DumpFile() : _file("dump", semihosting::File::Write)
	{
		const uint32_t head[4] = {1, sizeof(motion::Decision), Model::kInputSize, Model::kOutputSize};
		append("MOTNDUMP", 8);
		append(head, sizeof(head));
	}

	void append(const void *data, size_t size)
	{
		if (_used + size > sizeof(_block)) {
			flush();
		}

		memcpy(_block + _used, data, size);
		_used += size;
	}

	void flush()
	{
		_file.write(_block, _used);
		_used = 0;
	}

private:
	semihosting::File _file;
	uint8_t _block[1 << 18];
	size_t _used{0};
};

RecordingEngine engine;
motion::Pipeline<MotionSpec, RecordingEngine> pipeline(engine);

} // namespace

int main()
{
	static FeedFile feed("feed");
	static DumpFile dump;

	if (engine.problem()) {
		semihosting::fail(engine.problem());
	}

	while (const FeedRecord *record = feed.next()) {
		if (record->kind == 1) {
			pipeline.push_baro(record->time_us, record->values[0]);
			continue;
		}

		pipeline.push_imu(record->time_us, record->values, record->values + 3, [](const motion::Decision & decision) {
			dump.append(&decision, sizeof(decision));
			dump.append(engine.values, sizeof(engine.values));
		});
	}

	dump.append("MOTN_END", 8);
	dump.append(&pipeline.counters(), sizeof(motion::Counters));
	dump.flush();
	return 0;
}
