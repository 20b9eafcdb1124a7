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

class FeedReader
{
public:
	FeedReader(FILE *file, const char *name, bool binary) : _file(file), _name(name), _binary(binary) {}

	/// Read and check the header. False: an error was printed.
	bool begin() { return _binary ? begin_binary() : begin_csv(); }

	/// 1: an event; 0: the end; -1: an error was printed.
	int next(FeedEvent &event) { return _binary ? next_binary(event) : next_csv(event); }

private:
#if defined(__GNUC__)
	__attribute__((format(printf, 2, 3)))
#endif
	bool fail(const char *format, ...)
	{
		fprintf(stderr, "motion_classify: %s:%llu: ", _name, _line);
		va_list arguments;
		va_start(arguments, format);
		vfprintf(stderr, format, arguments);
		va_end(arguments);
		fputc('\n', stderr);
		return false;
	}

	bool begin_binary()
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

		return true;
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
			fail("record %s: expected %u bytes with kind 0 (IMU) or 1 (barometer)",
			     got != sizeof(record) ? "cut short" : "of unknown kind", static_cast<unsigned>(sizeof(record)));
			return -1;
		}

		event.time_us = record.time_us;
		event.has_imu = record.kind == 0;
		event.has_altitude = record.kind == 1;
		memcpy(event.imu, record.values, sizeof(event.imu));
		event.altitude_m = record.values[0];
		return 1;
	}

	int end()
	{
		if (ferror(_file)) {
			fail("cannot be read: %s", strerror(errno));
			return -1;
		}

		return 0;
	}

	bool begin_csv()
	{
		const int got = read_line();

		if (got < 0) {
			return false;
		}

		if (got == 0) {
			return fail("empty: expected the header timestamp_us,ax,ay,az,gx,gy,gz[,altitude_m]");
		}

		_with_altitude = strcmp(_text, "timestamp_us,ax,ay,az,gx,gy,gz,altitude_m") == 0;

		if (!_with_altitude && strcmp(_text, "timestamp_us,ax,ay,az,gx,gy,gz") != 0) {
			return fail("header is '%.80s', expected timestamp_us,ax,ay,az,gx,gy,gz[,altitude_m]", _text);
		}

		return true;
	}

	int next_csv(FeedEvent &event)
	{
		int got;

		do {
			got = read_line();

			if (got <= 0) {
				return got;
			}
		} while (_text[0] == '\0');

		return parse(event) ? 1 : -1;
	}

	/// One line without its end. 1: a line; 0: the end; -1: an error was printed.
	int read_line()
	{
		++_line;

		if (!fgets(_text, sizeof(_text), _file)) {
			return end();
		}

		size_t length = strlen(_text);

		if ((length == 0 || _text[length - 1] != '\n') && !feof(_file)) {
			fail("line longer than %u characters, or with a NUL in it", static_cast<unsigned>(sizeof(_text) - 2));
			return -1;
		}

		while (length > 0 && (_text[length - 1] == '\n' || _text[length - 1] == '\r')) {
			_text[--length] = '\0';
		}

		return 1;
	}

	bool parse(FeedEvent &event)
	{
		char *fields[8];
		const unsigned expected = _with_altitude ? 8 : 7;
		unsigned count = 0;

		for (char *at = _text; at; ++count) {
			char *const comma = strchr(at, ',');

			if (count < expected) {
				fields[count] = at;
			}

			if (comma) {
				*comma = '\0';
			}

			at = comma ? comma + 1 : nullptr;
		}

		if (count != expected) {
			return fail("%u fields found, %u expected", count, expected);
		}

		if (!parse_time(fields[0], event.time_us)) {
			return false;
		}

		unsigned filled = 0;

		for (unsigned i = 0; i < 6; ++i) {
			filled += fields[1 + i][0] != '\0';
		}

		event.has_imu = filled == 6;
		event.has_altitude = _with_altitude && fields[7][0] != '\0';

		if (filled % 6 != 0 || !(event.has_imu || event.has_altitude)) {
			return fail("%u of the six IMU values are given: expected all, or none and an altitude", filled);
		}

		for (unsigned i = 0; event.has_imu && i < 6; ++i) {
			if (!parse_float(fields[1 + i], event.imu[i])) {
				return false;
			}
		}

		return !event.has_altitude || parse_float(fields[7], event.altitude_m);
	}

	bool parse_time(const char *text, uint64_t &time_us)
	{
		char *rest = nullptr;
		errno = 0;
		time_us = strtoull(text, &rest, 10);

		if (text[0] < '0' || text[0] > '9' || *rest != '\0' || errno == ERANGE) {
			return fail("timestamp_us is '%.40s', expected whole microseconds", text);
		}

		return true;
	}

	bool parse_float(const char *text, float &value)
	{
		char *rest = nullptr;
		value = strtof(text, &rest);

		if (rest == text || *rest != '\0') {
			return fail("'%.40s' found, a number expected", text);
		}

		return true;
	}

	FILE *_file;
	const char *_name;
	bool _binary;
	bool _with_altitude{false};
	unsigned long long _line{0};
	char _text[1024] {};
};
