// SPDX-License-Identifier: BSD-3-Clause
//
// motion_classify: a feed of samples in, decisions as CSV out.

#include <vector>

#include "FeedReader.hpp"
#include "motion.h"

namespace
{

const char USAGE[] =
	"usage: motion_classify [--binary] [--dump FILE] [FILE]\n"
	"\n"
	"Reads samples from FILE (or standard input) and writes one line of CSV per decision.\n"
	"\n"
	"  --binary      the feed is binary; else CSV with the header timestamp_us,ax,ay,az,gx,gy,gz[,altitude_m]\n"
	"  --dump FILE   write decisions, int8 inputs and int8 outputs to a binary file, and no CSV\n"
	"  --version     print the hash of the pipeline spec\n";

/// Input and output of the engine, window by window.
using Windows = std::vector<int8_t>;

void record(void *context, const int8_t *input, const int8_t *output)
{
	Windows &windows = *static_cast<Windows *>(context);
	windows.insert(windows.end(), input, input + motion_input_size());
	windows.insert(windows.end(), output, output + motion_label_count());
}

/// False after it printed an error.
bool written(bool ok, const char *name)
{
	if (!ok) {
		fprintf(stderr, "motion_classify: %s: cannot be written: %s\n", name, strerror(errno));
	}

	return ok;
}

void print_header()
{
	printf("start_us,end_us,class,confidence,flags");

	for (uint32_t i = 0; i < motion_label_count(); ++i) {
		printf(",p_%s", motion_label(static_cast<int>(i)));
	}

	printf("\n");
}

void print_decision(const motion_decision &decision)
{
	printf("%llu,%llu,%s,%.6f,%u", static_cast<unsigned long long>(decision.start_us),
	       static_cast<unsigned long long>(decision.end_us), motion_label(decision.class_index),
	       decision.confidence_q16 / 65536.0, static_cast<unsigned>(decision.flags));

	for (uint32_t i = 0; i < decision.label_count; ++i) {
		printf(",%.6f", decision.probability[i] / 256.0);
	}

	printf("\n");
}

/// The binary file of --dump: a head, one record a window, the counters as its end.
bool write_dump(const char *path, const Windows &windows, const std::vector<motion_decision> &decisions,
		const motion_counters &counters)
{
	FILE *const file = fopen(path, "wb");

	const uint32_t inputs = motion_input_size();
	const uint32_t outputs = motion_label_count();
	const uint32_t head[4] = {1, static_cast<uint32_t>(sizeof(motion_decision)), inputs, outputs};
	bool ok = file && fwrite("MOTNDUMP", 8, 1, file) == 1 && fwrite(head, sizeof(head), 1, file) == 1;

	for (size_t i = 0; ok && i < decisions.size(); ++i) {
		ok = fwrite(&decisions[i], sizeof(decisions[i]), 1, file) == 1
		     && fwrite(&windows[i * (inputs + outputs)], inputs + outputs, 1, file) == 1;
	}

	ok = ok && fwrite("MOTN_END", 8, 1, file) == 1 && fwrite(&counters, sizeof(counters), 1, file) == 1;
	return written(file && fclose(file) == 0 && ok, path);
}

int classify(FILE *file, const char *name, bool binary, const char *dump)
{
	motion_pipeline *const pipeline = motion_create();
	FeedReader reader(file, name, binary);
	Windows windows;
	std::vector<motion_decision> made(motion_max_decisions());
	std::vector<motion_decision> decisions;

	if (!pipeline || motion_problem(pipeline)) {
		fprintf(stderr, "motion_classify: %s\n", pipeline ? motion_problem(pipeline) : "no memory");
		motion_destroy(pipeline);
		return 1;
	}

	if (dump) {
		motion_set_recorder(pipeline, record, &windows);
	}

	int status = reader.begin();

	if (status > 0 && !dump) {
		print_header();
	}

	FeedEvent event;

	while (status > 0 && (status = reader.next(event)) > 0) {
		if (event.has_altitude) {
			motion_push_baro(pipeline, event.time_us, event.altitude_m);
		}

		if (!event.has_imu) {
			continue;
		}

		const uint32_t count = motion_push_imu(pipeline, event.time_us, event.imu, event.imu + 3, made.data());

		for (uint32_t i = 0; i < count; ++i) {
			if (dump) {
				decisions.push_back(made[i]);

			} else {
				print_decision(made[i]);
			}
		}
	}

	const motion_counters counters = motion_get_counters(pipeline);
	motion_destroy(pipeline);

	if (status != 0 || (dump && !write_dump(dump, windows, decisions, counters))
	    || !written(fflush(stdout) == 0, "standard output")) {
		return 1;
	}

	fprintf(stderr, "%u decisions, %u sparse windows, resets: %u non-finite, %u backwards, %u gaps\n",
		counters.decisions, counters.sparse, counters.reset_non_finite, counters.reset_backwards, counters.reset_gap);
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	bool binary = false;
	const char *dump = nullptr;
	const char *path = nullptr;

	for (int i = 1; i < argc; ++i) {
		if (strcmp(argv[i], "--binary") == 0) {
			binary = true;

		} else if (strcmp(argv[i], "--dump") == 0 && i + 1 < argc) {
			dump = argv[++i];

		} else if (strcmp(argv[i], "--version") == 0) {
			printf("%s\n", motion_spec_hash());
			return 0;

		} else if (strcmp(argv[i], "--help") == 0) {
			fputs(USAGE, stdout);
			return 0;

		} else if (!path && (argv[i][0] != '-' || argv[i][1] == '\0')) {
			path = argv[i];

		} else {
			fprintf(stderr, "motion_classify: unexpected argument '%s'\n%s", argv[i], USAGE);
			return 2;
		}
	}

	if (!path || strcmp(path, "-") == 0) {
		return classify(stdin, "standard input", binary, dump);
	}

	FILE *const file = fopen(path, "rb");

	if (!file) {
		fprintf(stderr, "motion_classify: %s: cannot be read: %s\n", path, strerror(errno));
		return 1;
	}

	const int code = classify(file, path, binary, dump);
	fclose(file);
	return code;
}
