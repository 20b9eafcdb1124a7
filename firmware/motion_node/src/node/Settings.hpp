// SPDX-License-Identifier: BSD-3-Clause
//
// What can be set, what is allowed, and how it is kept: a checked, versioned block, written so that a cut at any
// moment leaves the one before it.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "Port.hpp"

namespace node
{

enum class Parameter : uint8_t {
	Component, System, Rotation, Rate, Messages, Enter, Leave, Hold, Capture,
	Count
};

static constexpr uint32_t PARAMETERS = static_cast<uint32_t>(Parameter::Count);

enum class Capture : uint8_t { Off, Imu, Csv };

/// Bits of MN_MSG.
enum Message : uint8_t { MESSAGE_VECTOR = 1, MESSAGE_ARRAY = 2, MESSAGE_TEXT = 4 };

struct ParameterInfo {
	char name[12];
	bool whole;     ///< a whole number (MAV_PARAM_TYPE_INT32), else MAV_PARAM_TYPE_REAL32
	float least;
	float most;
	float initial;
};

class Settings
{
public:
	static constexpr size_t KEY_BYTES = 32;

	explicit Settings(Storage &storage);

	/// Read the newest block that is whole; without one everything is as delivered.
	void load();

	/// Write what has changed, if anything has. False when the board could not.
	bool save();

	bool changed() const { return _changed; }

	/// How often save() failed.
	uint32_t failures() const { return _failures; }

	static const ParameterInfo &info(uint32_t index);

	/// Index of a name that may lack its final zero when it has size characters; PARAMETERS: not found.
	static uint32_t find(const char *name, size_t size);

	float value(Parameter parameter) const { return _values[static_cast<uint32_t>(parameter)]; }
	float value(uint32_t index) const { return _values[index]; }
	int32_t whole(Parameter parameter) const { return static_cast<int32_t>(value(parameter)); }

	/// False, and nothing set, when the value is not allowed.
	bool set(uint32_t index, float value);

	/// Signing key, or nullptr.
	const uint8_t *key() const { return _has_key ? _key : nullptr; }
	void set_key(const uint8_t *key);

	/// Signatures must not go back in time, not even when the board has no clock: 10 µs since 2015.
	uint64_t signing_time() const { return _signing_time; }
	void set_signing_time(uint64_t timestamp);

private:
	static bool allowed(uint32_t index, float value);

	Storage &_storage;
	float _values[PARAMETERS];
	uint8_t _key[KEY_BYTES] {};
	uint64_t _signing_time{0};
	uint32_t _sequence{0};
	uint32_t _next_block{0};
	uint32_t _failures{0};
	bool _has_key{false};
	bool _changed{false};
};

} // namespace node
