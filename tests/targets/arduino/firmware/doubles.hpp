// SPDX-License-Identifier: BSD-3-Clause
//
// Test doubles of what a board gives to the node: serial ports and memory. A wrong call aborts.

#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>

#include "node/Port.hpp"

[[noreturn]] inline void wrong(const char *what)
{
	fprintf(stderr, "wrong: %s\n", what);
	abort();
}

class TestPort : public node::Port
{
public:
	static constexpr size_t UNLIMITED = 0xffffffffu;

	size_t room() override { return left; }

	void write(const uint8_t *data, size_t size) override
	{
		if (size > left) {
			wrong("more bytes than there is room for");
		}

		left -= left == UNLIMITED ? 0 : size;
		sent.append(reinterpret_cast<const char *>(data), size);
	}

	bool connected() override { return there; }

	size_t left{UNLIMITED};
	bool there{true};
	std::string sent;
};

/// cut: the next write ends after so many bytes; the one after works.
class TestStorage final : public node::Storage
{
public:
	static constexpr uint32_t BLOCKS = 8;

	uint32_t blocks() override { return BLOCKS; }

	bool read(uint32_t block, uint8_t *data) override
	{
		memcpy(data, at(block), BLOCK_BYTES);
		return true;
	}

	bool write(uint32_t block, const uint8_t *data) override
	{
		const size_t size = cut < BLOCK_BYTES ? cut : BLOCK_BYTES;
		memset(at(block), 0xff, BLOCK_BYTES);
		memcpy(at(block), data, size);
		cut = BLOCK_BYTES;
		++writes;
		return size == BLOCK_BYTES;
	}

	std::string memory = std::string(BLOCKS * BLOCK_BYTES, '\xff');
	size_t cut{BLOCK_BYTES};
	uint32_t writes{0};

private:
	char *at(uint32_t block)
	{
		if (block >= BLOCKS) {
			wrong("a block that does not exist");
		}

		return &memory[block * BLOCK_BYTES];
	}
};
