// SPDX-License-Identifier: BSD-3-Clause
//
// round_half_even() and is_plausible() against the C library, over all exponents and around every half.

#include "core/Arithmetic.hpp"

#include <math.h>

static bool right(float x)
{
	const float limited = x != x ? 512.0f : fmaxf(-512.0f, fminf(512.0f, x));
	return motion::round_half_even(x) == static_cast<int32_t>(nearbyintf(limited))
	       && motion::is_plausible(x) == (fabsf(x) <= 10000.0f);
}

int main()
{
	for (uint64_t i = 0; i < (1ull << 32); i += 101) {
		const uint32_t bits = static_cast<uint32_t>(i);
		float x;
		memcpy(&x, &bits, sizeof(x));

		if (!right(x)) {
			return 1;
		}
	}

	for (int k = -2100; k <= 2100; ++k) {
		const float x = static_cast<float>(k) / 4.0f;

		if (!right(x) || !right(nextafterf(x, -1e9f)) || !right(nextafterf(x, 1e9f))) {
			return 2;
		}
	}

	return 0;
}
