/****************************************************************************
 *
 *   Copyright (c) 2026 px4-tinyml contributors. All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions
 * are met:
 *
 * 1. Redistributions of source code must retain the above copyright
 *    notice, this list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright
 *    notice, this list of conditions and the following disclaimer in
 *    the documentation and/or other materials provided with the
 *    distribution.
 * 3. Neither the name px4-tinyml nor the names of its contributors may be
 *    used to endorse or promote products derived from this software
 *    without specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS
 * "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT
 * LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS
 * FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE
 * COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT,
 * INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING,
 * BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS
 * OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED
 * AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT
 * LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN
 * ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
 * POSSIBILITY OF SUCH DAMAGE.
 *
 ****************************************************************************/

/**
 * @file Decision.hpp
 *
 * Result of the classifier for one window.
 */

#pragma once

#include <stdint.h>

namespace motion
{

static constexpr uint32_t MAX_LABELS = 8;
static constexpr int8_t UNCERTAIN = -1;

enum DecisionFlag : uint8_t {
	FLAG_BARO_STALE = 1, ///< the altitude channel was left out of this window
	FLAG_UNCERTAIN = 2,  ///< no class is above its threshold
	FLAG_FIRST = 4,      ///< first decision after a start or a reset
};

struct Decision {
	uint64_t start_us;               ///< the window, half-open
	uint64_t end_us;
	uint32_t confidence_q16;         ///< smoothed probability of the class, of the best one when uncertain; 65536 is 1
	int8_t class_index;              ///< index of the label, or UNCERTAIN
	uint8_t flags;                   ///< DecisionFlag bits
	uint8_t label_count;
	uint8_t probability[MAX_LABELS]; ///< smoothed, in 1/256, rounded down; 0 beyond label_count
};

} // namespace motion
