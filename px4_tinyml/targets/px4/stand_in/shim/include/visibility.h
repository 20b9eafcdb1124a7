// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: included before everything, as PX4's build does.

#pragma once

#include <sys/cdefs.h>

#define __EXPORT __attribute__((visibility("default")))
