// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: options of a command, without global state.

#pragma once

/// The next option, '?' for one that is not in `options` or lacks its argument, -1 at the first word that is not an option.
/// PX4's own also moves other words behind the options; commands here have no such words.
extern "C" int px4_getopt(int argc, char *argv[], const char *options, int *index, const char **argument);
