// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4, whose src/lib is a folder of headers too.

#pragma once

#include <lib/perf/perf_counter.h>
