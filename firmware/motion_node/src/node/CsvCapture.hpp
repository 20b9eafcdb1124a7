// SPDX-License-Identifier: BSD-3-Clause
//
// Captures as the Arduino gesture tutorial has them: when the board is moved, 119 rows at 119 Hz follow, in g and °/s
// along the axes its library has. px4_tinyml/logs/csv/arduino_csv.py reads them.

#pragma once

#include "../core/SlotAverager.hpp"
#include "Link.hpp"
#include "Samples.hpp"

namespace node
{

/// The Nano 33 BLE's library axes (X forward, Y right, Z up) into forward, right, down: a factor for each, of both
/// sensors. The same as BOARD_TO_FRD in arduino_csv.py.
static constexpr float BOARD_TO_FRD[3] = {1.0f, 1.0f, -1.0f};

class CsvCapture
{
public:
	static constexpr uint32_t ROWS = 119;

	bool enabled() const { return _enabled; }

	/// Switching on prints the header.
	void enable(bool on);

	/// A sample along the board's axes.
	void push(const ImuSample &sample, Link &link);

	/// Rows the port had no room for.
	uint32_t lost() const { return _lost; }

private:
	struct Rate {
		static constexpr uint32_t rate_hz = 119;
		static constexpr uint32_t max_gap_slots = 3;
	};

	/// Sum of the three accelerations' sizes that starts a capture, g: the tutorial's.
	static constexpr float START_G = 2.5f;

	void row(const float mean[motion::IMU_AXES], Link &link);

	motion::SlotAverager<Rate> _slots;
	uint32_t _rows_left{0};
	uint32_t _lost{0};
	bool _enabled{false};
	bool _header_due{false};
};

} // namespace node
