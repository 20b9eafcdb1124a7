// SPDX-License-Identifier: BSD-3-Clause
//
// Status texts waiting for room on a link.

#pragma once

#include <stdint.h>

namespace node
{

/// Text put together in a fixed piece of memory; what does not fit is left out.
template <uint32_t Size>
class Line
{
public:
	Line &add(const char *text)
	{
		while (*text && _used + 1 < Size) {
			_text[_used++] = *text++;
		}

		_text[_used] = '\0';
		return *this;
	}

	Line &add(uint32_t number)
	{
		char digits[11];
		uint32_t i = sizeof(digits) - 1;
		digits[i] = '\0';

		do {
			digits[--i] = static_cast<char>('0' + number % 10);
			number /= 10;
		} while (number);

		return add(digits + i);
	}

	void clear()
	{
		_used = 0;
		_text[0] = '\0';
	}

	const char *text() const { return _text; }
	uint32_t size() const { return _used; }

private:
	char _text[Size] {};
	uint32_t _used{0};
};

struct Text {
	static constexpr uint32_t SIZE = 50; ///< of STATUSTEXT
	uint8_t severity;                    ///< MAV_SEVERITY
	uint8_t links;                       ///< a bit for each link that still has to send it
	char text[SIZE];
};

/// The last few; a newer one takes the place of the oldest.
class Texts
{
public:
	void put(uint8_t severity, uint8_t links, const char *text)
	{
		Text &slot = _texts[_next];
		_next = (_next + 1) % COUNT;
		slot.severity = severity;
		slot.links = links;
		uint32_t i = 0;

		for (; i < Text::SIZE && text[i]; ++i) {
			slot.text[i] = text[i];
		}

		for (; i < Text::SIZE; ++i) {
			slot.text[i] = '\0';
		}
	}

	/// The oldest one a link still has to send, or nullptr.
	Text *pending(uint8_t link)
	{
		for (uint32_t i = 0; i < COUNT; ++i) {
			Text &text = _texts[(_next + i) % COUNT];

			if (text.links & (1u << link)) {
				return &text;
			}
		}

		return nullptr;
	}

private:
	static constexpr uint32_t COUNT = 4;

	Text _texts[COUNT] {};
	uint32_t _next{0};
};

} // namespace node
