// SPDX-License-Identifier: BSD-3-Clause

#include "Rotation.hpp"

#include <math.h>

namespace node
{

namespace
{

struct Angles {
	int16_t roll, pitch, yaw;
};

/// Degrees, by the enumeration's names.
constexpr Angles ANGLES[Rotation::COUNT] = {
	{0, 0, 0}, {0, 0, 45}, {0, 0, 90}, {0, 0, 135}, {0, 0, 180}, {0, 0, 225}, {0, 0, 270}, {0, 0, 315},
	{180, 0, 0}, {180, 0, 45}, {180, 0, 90}, {180, 0, 135}, {0, 180, 0}, {180, 0, 225}, {180, 0, 270}, {180, 0, 315},
	{90, 0, 0}, {90, 0, 45}, {90, 0, 90}, {90, 0, 135}, {270, 0, 0}, {270, 0, 45}, {270, 0, 90}, {270, 0, 135},
	{0, 90, 0}, {0, 270, 0}, {0, 180, 90}, {0, 180, 270}, {90, 90, 0}, {180, 90, 0}, {270, 90, 0}, {90, 180, 0},
	{270, 180, 0}, {90, 270, 0}, {180, 270, 0}, {270, 270, 0}, {90, 180, 90}, {90, 0, 270}, {90, 68, 293}, {0, 315, 0},
	{90, 315, 0},
};

/// Exact for right angles, so that they only exchange axes.
float sine(int degrees)
{
	degrees %= 360;

	switch (degrees) {
	case 0:
	case 180:
		return 0.0f;

	case 90:
		return 1.0f;

	case 270:
		return -1.0f;

	default:
		return sinf(static_cast<float>(degrees) * 0.017453292519943295f);
	}
}

float cosine(int degrees) { return sine(degrees + 90); }

} // namespace

constexpr uint32_t Rotation::COUNT;

void Rotation::set(uint32_t orientation)
{
	const Angles &angles = ANGLES[orientation < COUNT ? orientation : 0];
	const float sr = sine(angles.roll), cr = cosine(angles.roll);
	const float sp = sine(angles.pitch), cp = cosine(angles.pitch);
	const float sy = sine(angles.yaw), cy = cosine(angles.yaw);
	const float matrix[3][3] = {
		{cp *cy, sr *sp *cy - cr * sy, cr *sp *cy + sr * sy},
		{cp *sy, sr *sp *sy + cr * cy, cr *sp *sy - sr * cy},
		{-sp, sr * cp, cr * cp},
	};

	for (uint32_t row = 0; row < 3; ++row) {
		for (uint32_t column = 0; column < 3; ++column) {
			_matrix[row][column] = matrix[row][column];
		}
	}
}

} // namespace node
