// SPDX-License-Identifier: BSD-3-Clause
//
// Where bytes go, and what keeps settings: the board gives them to the node.

#pragma once

#include <stddef.h>
#include <stdint.h>

namespace node
{

/// A serial port's sending side. Nothing here may wait.
class Port
{
public:
	/// Bytes that write() takes now.
	virtual size_t room() = 0;

	/// size is never more than room().
	virtual void write(const uint8_t *data, size_t size) = 0;

	/// False without a host on a USB port: then nothing is sent, and nothing is counted as lost.
	virtual bool connected() { return true; }

protected:
	~Port() = default;
};

/**
 * Non-volatile memory in blocks of BLOCK_BYTES. Blocks are written one after the other, round and round; preparing
 * the memory for a block (erasing a page) may destroy older blocks, never the one written last.
 */
class Storage
{
public:
	static constexpr size_t BLOCK_BYTES = 128;

	/// 0: the board cannot keep anything.
	virtual uint32_t blocks() = 0;

	virtual bool read(uint32_t block, uint8_t *data) = 0;

	virtual bool write(uint32_t block, const uint8_t *data) = 0;

protected:
	~Storage() = default;
};

} // namespace node
