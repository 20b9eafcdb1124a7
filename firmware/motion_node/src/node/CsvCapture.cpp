// SPDX-License-Identifier: BSD-3-Clause

#include "CsvCapture.hpp"

#include "Texts.hpp"

namespace node
{

namespace
{

constexpr float STANDARD_GRAVITY_M_S2 = 9.80665f;
constexpr float DEG_PER_RAD = 57.29577951308232f;
constexpr char HEADER[] = "aX,aY,aZ,gX,gY,gZ\r\n";

using Row = Line<6 * 12>;

/// Three decimals, as the tutorial prints them. Not printf(): many boards' has no floats.
void add_number(Row &row, float value)
{
	const bool negative = value < 0.0f;
	const float size = negative ? -value : value;
	const uint32_t thousandths = static_cast<uint32_t>(size * 1000.0f + 0.5f);

	if (negative && thousandths) {
		row.add("-");
	}

	const uint32_t rest = thousandths % 1000;
	row.add(thousandths / 1000).add(rest < 10 ? ".00" : rest < 100 ? ".0" : ".").add(rest);
}

float size_of(float value) { return value < 0.0f ? -value : value; }

} // namespace

constexpr uint32_t CsvCapture::ROWS;
constexpr float CsvCapture::START_G;

void CsvCapture::enable(bool on)
{
	_header_due = on && !_enabled;
	_enabled = on;
	_rows_left = 0;
	_slots.restart();
}

void CsvCapture::push(const ImuSample &sample, Link &link)
{
	if (!_enabled) {
		return;
	}

	if (_header_due && link.print(HEADER, sizeof(HEADER) - 1)) {
		_header_due = false;
	}

	const motion::SlotEvent event = _slots.push(sample.time_us, sample.accel_m_s2, sample.gyro_rad_s);

	for (uint32_t i = 0; i < event.slots; ++i) {
		row(_slots.mean(), link); // rows have no times: a slot without a sample is one, too
	}

	if (event.reset != motion::ResetCause::None && _rows_left) {
		// An incomplete capture ends with a blank line; its reader reports it.
		_rows_left = 0;
		link.print("\r\n", 2);
	}
}

void CsvCapture::row(const float mean[motion::IMU_AXES], Link &link)
{
	float values[motion::IMU_AXES];

	for (uint32_t i = 0; i < 3; ++i) {
		values[i] = mean[i] * BOARD_TO_FRD[i] / STANDARD_GRAVITY_M_S2;
		values[3 + i] = mean[3 + i] * BOARD_TO_FRD[i] * DEG_PER_RAD;
	}

	if (_rows_left == 0) {
		if (_header_due || size_of(values[0]) + size_of(values[1]) + size_of(values[2]) < START_G) {
			return;
		}

		_rows_left = ROWS;
	}

	Row text;

	for (uint32_t i = 0; i < motion::IMU_AXES; ++i) {
		if (i) {
			text.add(",");
		}

		add_number(text, values[i]);
	}

	text.add("\r\n");
	--_rows_left;

	if (_rows_left == 0) {
		text.add("\r\n");
	}

	_lost += link.print(text.text(), text.size()) ? 0 : 1;
}

} // namespace node
