// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: a board without any CONFIG_… option.

#pragma once
