// SPDX-License-Identifier: BSD-3-Clause
//
// TEST DOUBLE: stands where the compiled model would, so that the core can be tested by itself. Its output depends
// on every input, and it overwrites its input as a planned arena may. ModelDouble in tests/targets/core/conftest.py is the same in NumPy.

#pragma once

#include "model/MotionSpec.hpp"

namespace motion
{
namespace model
{

struct CompiledModel {
	static constexpr int kInputSize = MotionSpec::input_size;
	static constexpr int kOutputSize = MotionSpec::labels;
	static constexpr int kInputOffset = 0;
	static constexpr int kOutputOffset = kInputSize;
	static constexpr int kArenaBytes = kInputSize + kOutputSize;
	static constexpr const char *kSpecHash = MotionSpec::hash();

	static void run(int8_t *arena)
	{
		for (int label = 0; label < kOutputSize; ++label) {
			int sum = 0;

			for (int i = 0; i < kInputSize; ++i) {
				sum += ((i * (label + 3)) % 11 - 5) * arena[i];
			}

			sum >>= 4;
			arena[kOutputOffset + label] = static_cast<int8_t>(sum < -128 ? -128 : (sum > 127 ? 127 : sum));
		}

		for (int i = 0; i < kInputSize; ++i) {
			arena[i] = 99;
		}
	}
};

} // namespace model
} // namespace motion
