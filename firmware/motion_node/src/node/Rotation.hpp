// SPDX-License-Identifier: BSD-3-Clause
//
// How the board is mounted: the numbers of MAV_SENSOR_ORIENTATION, as PX4's SENS_BOARD_ROT has them.

#pragma once

#include <stdint.h>

namespace node
{

/// Turns the board's forward-right-down axes into the vehicle's.
class Rotation
{
public:
	static constexpr uint32_t COUNT = 41; ///< 0…40

	/// Roll, pitch and yaw in that order about the vehicle's axes; beyond COUNT: none.
	void set(uint32_t orientation);

	void apply(const float board[3], float vehicle[3]) const
	{
		for (uint32_t i = 0; i < 3; ++i) {
			vehicle[i] = _matrix[i][0] * board[0] + _matrix[i][1] * board[1] + _matrix[i][2] * board[2];
		}
	}

private:
	float _matrix[3][3] = {{1.0f, 0.0f, 0.0f}, {0.0f, 1.0f, 0.0f}, {0.0f, 0.0f, 1.0f}};
};

} // namespace node
