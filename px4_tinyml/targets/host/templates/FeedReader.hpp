// SPDX-License-Identifier: BSD-3-Clause
//
// Reads a feed of samples, as CSV or binary (formats: README.md).

#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "FeedRecord.hpp"

/// Events of a CSV row: an altitude, an IMU sample, or both (the altitude goes first).
struct FeedEvent {
	uint64_t time_us;
	bool has_imu;
	bool has_altitude;
	float imu[6];
	float altitude_m;
};

/// Functions return 1 on success, 0 at the end of the file, and -1 after they printed an error.
class FeedReader
{
public:
	FeedReader(FILE *file, const char *name, bool binary) : _file(file), _name(name), _binary(binary) {}

	/// Read and check the header.
	int begin() { return _binary ? begin_binary() : begin_csv(); }

	int next(FeedEvent &event) { return _binary ? next_binary(event) : next_csv(event); }

private:
#if defined(__GNUC__)
	__attribute__((format(printf, 2, 3)))
#endif
	int fail(const char *format, ...)
	{
		fprintf(stderr, "motion_classify: %s:%llu: ", _name, _line);
		va_list arguments;
		va_start(arguments, format);
		vfprintf(stderr, format, arguments);
		va_end(arguments);
		fputc('\n', stderr);
		return -1;
	}

	int end() { return ferror(_file) ? fail("cannot be read: %s", strerror(errno)) : 0; }

	int begin_binary()
	{
		char magic[8];
		uint32_t head[2];

		if (fread(magic, sizeof(magic), 1, _file) != 1 || memcmp(magic, "MOTNFEED", sizeof(magic)) != 0) {
			return fail("not a binary feed: expected it to start with MOTNFEED (is it CSV? leave out --binary)");
		}

		if (fread(head, sizeof(head), 1, _file) != 1 || head[0] != FeedRecord::VERSION
		    || head[1] != sizeof(FeedRecord)) {
			return fail("binary feed of another version or byte order: expected version %u, records of %u bytes",
				    static_cast<unsigned>(FeedRecord::VERSION), static_cast<unsigned>(sizeof(FeedRecord)));
		}

		return 1;
	}

	int next_binary(FeedEvent &event)
	{
		FeedRecord record;
		++_line;
		const size_t got = fread(&record, 1, sizeof(record), _file);

		if (got == 0) {
			return end();
		}

		if (got != sizeof(record) || record.kind > 1) {
			return fail("record %s: expected %u bytes with kind 0 (IMU) or 1 (barometer)",
				    got != sizeof(record) ? "cut short" : "of unknown kind", static_cast<unsigned>(sizeof(record)));
		}

		event.time_us = record.time_us;
		event.has_imu = record.kind == 0;
		event.has_altitude = record.kind == 1;
		memcpy(event.imu, record.values, sizeof(event.imu));
		event.altitude_m = record.values[0];
		return 1;
	}

	int begin_csv()
	{
		const int got = read_line();

		if (got <= 0) {
			return got < 0 ? got : fail("empty: expected the header timestamp_us,ax,ay,az,gx,gy,gz[,altitude_m]");
		}

		_with_altitude = strcmp(_text, "timestamp_us,ax,ay,az,gx,gy,gz,altitude_m") == 0;

		if (!_with_altitude && strcmp(_text, "timestamp_us,ax,ay,az,gx,gy,gz") != 0) {
			return fail("header is '%.80s', expected timestamp_us,ax,ay,az,gx,gy,gz[,altitude_m]", _text);
		}

		return 1;
	}

	int next_csv(FeedEvent &event)
	{
		int got;

		do {
			got = read_line();
		} while (got > 0 && _text[0] == '\0');

		return got > 0 ? parse(event) : got;
	}

	/// One line without its end.
	int read_line()
	{
		++_line;

		if (!fgets(_text, sizeof(_text), _file)) {
			return end();
		}

		size_t length = strlen(_text);

		if ((length == 0 || _text[length - 1] != '\n') && !feof(_file)) {
			return fail("line longer than %u characters, or with a NUL in it", static_cast<unsigned>(sizeof(_text) - 2));
		}

		while (length > 0 && (_text[length - 1] == '\n' || _text[length - 1] == '\r')) {
			_text[--length] = '\0';
		}

		return 1;
	}

	int parse(FeedEvent &event)
	{
		char *fields[8] = {_text};
		const unsigned expected = _with_altitude ? 8 : 7;
		unsigned count = 1;

		for (char *comma = strchr(_text, ','); comma; comma = strchr(comma + 1, ','), ++count) {
			*comma = '\0';

			if (count < expected) {
				fields[count] = comma + 1;
			}
		}

		if (count != expected) {
			return fail("%u fields found, %u expected", count, expected);
		}

		char *rest = nullptr;
		errno = 0;
		event.time_us = strtoull(fields[0], &rest, 10);

		if (fields[0][0] < '0' || fields[0][0] > '9' || *rest != '\0' || errno == ERANGE) {
			return fail("timestamp_us is '%.40s', expected whole microseconds", fields[0]);
		}

		unsigned filled = 0;

		for (unsigned i = 1; i < count; ++i) {
			float &value = i < 7 ? event.imu[i - 1] : event.altitude_m;
			value = strtof(fields[i], &rest);

			if (fields[i][0] != '\0' && (rest == fields[i] || *rest != '\0')) {
				return fail("'%.40s' found, a number expected", fields[i]);
			}

			filled += i < 7 && fields[i][0] != '\0';
		}

		event.has_imu = filled == 6;
		event.has_altitude = _with_altitude && fields[7][0] != '\0';

		if (filled % 6 != 0 || !(event.has_imu || event.has_altitude)) {
			return fail("%u of the six IMU values are given: expected all, or none and an altitude", filled);
		}

		return 1;
	}

	FILE *_file;
	const char *_name;
	bool _binary;
	bool _with_altitude{false};
	unsigned long long _line{0};
	char _text[1024] {};
};
