// SPDX-License-Identifier: BSD-3-Clause

#include "Settings.hpp"

#include <string.h>

namespace node
{

namespace
{

constexpr ParameterInfo INFO[PARAMETERS] = {
	{"MN_COMPID", true, 2, 250, 25},    // MAV_COMP_ID_USER1; 1 is the autopilot: its messages would look like our own
	{"MN_SYSID", true, 0, 250, 0},      // 0: the autopilot's
	{"MN_ROT", true, 0, 40, 0},         // MAV_SENSOR_ORIENTATION
	{"MN_RATE", true, 0, 50, 2},        // Hz of DEBUG_VECT
	{"MN_MSG", true, 0, 7, 7},          // Message bits
	{"MN_ENTER", false, -1, 0.99f, -1}, // -1: what the model was trained with
	{"MN_LEAVE", false, -1, 0.99f, -1},
	{"MN_HOLD", true, -1, 1000, -1},    // windows
	{"MN_CAPTURE", true, 0, 2, 0},      // on the local link: Capture
};

constexpr uint32_t MAGIC = 0x444f4e4d; // "MNOD"
constexpr uint16_t VERSION = 1;
constexpr uint32_t MAX_VALUES = 16;
constexpr uint32_t ATTEMPTS = 3;

struct Block {
	uint32_t magic;
	uint16_t version;
	uint8_t count; ///< of values: a later firmware may have more
	uint8_t has_key;
	uint32_t sequence;
	uint32_t signing_time[2]; ///< low, high
	float values[MAX_VALUES];
	uint8_t key[Settings::KEY_BYTES];
	uint32_t crc;
};

static_assert(sizeof(Block) == 120 && sizeof(Block) <= Storage::BLOCK_BYTES, "the block's form must not change by itself");
static_assert(PARAMETERS <= MAX_VALUES, "no room in a block");

/// CRC-32 as in zlib, a bit at a time: it is seldom needed.
uint32_t crc32(const uint8_t *data, size_t size)
{
	uint32_t crc = 0xffffffffu;

	for (size_t i = 0; i < size; ++i) {
		crc ^= data[i];

		for (int bit = 0; bit < 8; ++bit) {
			crc = (crc >> 1) ^ ((crc & 1u) ? 0xedb88320u : 0u);
		}
	}

	return ~crc;
}

uint32_t checksum(const Block &block)
{
	return crc32(reinterpret_cast<const uint8_t *>(&block), offsetof(Block, crc));
}

bool read_block(Storage &storage, uint32_t index, Block &block)
{
	uint8_t data[Storage::BLOCK_BYTES];

	if (!storage.read(index, data)) {
		return false;
	}

	memcpy(&block, data, sizeof(block));
	return block.magic == MAGIC && block.version == VERSION && block.crc == checksum(block);
}

} // namespace

constexpr size_t Storage::BLOCK_BYTES;
constexpr size_t Settings::KEY_BYTES;

Settings::Settings(Storage &storage) : _storage(storage)
{
	for (uint32_t i = 0; i < PARAMETERS; ++i) {
		_values[i] = INFO[i].initial;
	}
}

const ParameterInfo &Settings::info(uint32_t index) { return INFO[index]; }

uint32_t Settings::find(const char *name, size_t size)
{
	for (uint32_t i = 0; i < PARAMETERS; ++i) {
		const size_t length = strlen(INFO[i].name);

		if (length <= size && memcmp(name, INFO[i].name, length) == 0 && (length == size || name[length] == '\0')) {
			return i;
		}
	}

	return PARAMETERS;
}

bool Settings::allowed(uint32_t index, float value)
{
	const ParameterInfo &info = INFO[index];

	// Not a number fails the first comparison.
	return value >= info.least && value <= info.most
	       && (!info.whole || value == static_cast<float>(static_cast<int32_t>(value)));
}

bool Settings::set(uint32_t index, float value)
{
	if (index >= PARAMETERS || !allowed(index, value)) {
		return false;
	}

	_changed = _changed || _values[index] != value;
	_values[index] = value;
	return true;
}

void Settings::set_key(const uint8_t *key)
{
	_has_key = key != nullptr;

	if (key) {
		memcpy(_key, key, sizeof(_key));

	} else {
		memset(_key, 0, sizeof(_key));
	}

	_changed = true;
}

void Settings::set_signing_time(uint64_t timestamp)
{
	_changed = _changed || _signing_time != timestamp;
	_signing_time = timestamp;
}

void Settings::load()
{
	Block newest{};
	Block block;
	bool found = false;
	const uint32_t blocks = _storage.blocks();

	for (uint32_t i = 0; i < blocks; ++i) {
		if (read_block(_storage, i, block) && (!found || static_cast<int32_t>(block.sequence - newest.sequence) > 0)) {
			newest = block;
			found = true;
			_next_block = (i + 1) % blocks;
		}
	}

	if (!found) {
		return;
	}

	for (uint32_t i = 0; i < PARAMETERS && i < newest.count; ++i) {
		if (allowed(i, newest.values[i])) {
			_values[i] = newest.values[i];
		}
	}

	_sequence = newest.sequence;
	_has_key = newest.has_key != 0;
	memcpy(_key, newest.key, sizeof(_key));
	_signing_time = (static_cast<uint64_t>(newest.signing_time[1]) << 32) | newest.signing_time[0];
}

bool Settings::save()
{
	if (!_changed) {
		return true;
	}

	Block block{};
	block.magic = MAGIC;
	block.version = VERSION;
	block.count = PARAMETERS;
	block.has_key = _has_key;
	block.sequence = _sequence + 1;
	block.signing_time[0] = static_cast<uint32_t>(_signing_time);
	block.signing_time[1] = static_cast<uint32_t>(_signing_time >> 32);
	memcpy(block.values, _values, sizeof(_values));
	memcpy(block.key, _key, sizeof(_key));
	block.crc = checksum(block);

	uint8_t data[Storage::BLOCK_BYTES] {};
	memcpy(data, &block, sizeof(block));
	// Not asked again before something else changes, should the memory have failed for good.
	_changed = false;
	const uint32_t blocks = _storage.blocks();

	// A block that a cut left half written may refuse: then the next one is taken. Never the newest that is whole.
	for (uint32_t attempt = 0; attempt + 1 < blocks && attempt < ATTEMPTS; ++attempt) {
		const uint32_t index = _next_block;
		_next_block = (_next_block + 1) % blocks;
		Block written;

		if (_storage.write(index, data) && read_block(_storage, index, written) && written.sequence == block.sequence) {
			_sequence = block.sequence;
			return true;
		}
	}

	++_failures;
	return false;
}

} // namespace node
