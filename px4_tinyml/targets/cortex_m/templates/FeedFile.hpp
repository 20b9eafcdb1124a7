// SPDX-License-Identifier: BSD-3-Clause
//
// A binary feed read in big blocks: a call out of the emulator costs more than the signal path.

#pragma once

#include "FeedRecord.hpp"
#include "semihosting.hpp"

class FeedFile
{
public:
	explicit FeedFile(const char *name) : _file(name, semihosting::File::Read)
	{
		struct {
			char magic[8];
			uint32_t version;
			uint32_t record_size;
		} head;

		if (_file.read(&head, sizeof(head)) != sizeof(head) || memcmp(head.magic, "MOTNFEED", 8) != 0
		    || head.version != FeedRecord::VERSION || head.record_size != sizeof(FeedRecord)) {
			semihosting::fail("not a binary feed of version 1");
		}
	}

	/// The next record, or nullptr at the end.
	const FeedRecord *next()
	{
		if (_at == _count) {
			const size_t got = _file.read(_records, sizeof(_records));
			_count = got / sizeof(FeedRecord);
			_at = 0;

			if (got % sizeof(FeedRecord) != 0) {
				semihosting::fail("feed cut short");
			}

			if (_count == 0) {
				return nullptr;
			}
		}

		return &_records[_at++];
	}

private:
	static constexpr size_t BLOCK = 4096;

	semihosting::File _file;
	FeedRecord _records[BLOCK];
	size_t _count{0};
	size_t _at{0};
};
