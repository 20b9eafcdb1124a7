// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: return values.

#pragma once

#define PX4_OK 0
#define PX4_ERROR (-1)
