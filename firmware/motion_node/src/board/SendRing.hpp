// SPDX-License-Identifier: BSD-3-Clause
//
// A port whose bytes wait in a ring until the serial line takes them.

#pragma once

#include "../node/Port.hpp"

namespace node
{

/// Line: `size_t give(const uint8_t *data, size_t size)` takes what it can without waiting; `bool there()`.
template <class Line, size_t Size>
class SendRing final : public Port
{
public:
	size_t room() override { return Size - 1 - used(); }

	void write(const uint8_t *data, size_t size) override
	{
		for (size_t i = 0; i < size; ++i) {
			_ring[_in] = data[i];
			_in = (_in + 1) % Size;
		}
	}

	bool connected() override
	{
		const bool there = _line.there();

		if (!there) {
			_out = _in; // the next host does not want the end of an old frame
		}

		return there;
	}

	/// Hand on what the line takes now.
	void pump()
	{
		while (_out != _in) {
			const size_t whole = (_in > _out ? _in : Size) - _out;
			const size_t given = _line.give(_ring + _out, whole);
			_out = (_out + given) % Size;

			if (given < whole) {
				break;
			}
		}
	}

	bool empty() const { return _in == _out; }

private:
	size_t used() const { return (_in + Size - _out) % Size; }

	Line _line;
	uint8_t _ring[Size];
	size_t _in{0};
	size_t _out{0};
};

} // namespace node
