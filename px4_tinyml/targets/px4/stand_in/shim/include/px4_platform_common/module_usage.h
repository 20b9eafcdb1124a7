// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: the usage text of a command. Printed plainly.

#pragma once

#include <px4_platform_common/log.h>

#define PRINT_MODULE_DESCRIPTION(description) PX4_INFO_RAW("%s\n", description)
#define PRINT_MODULE_USAGE_NAME(name, category) PX4_INFO_RAW("%s (%s) <command> [arguments...]\n", name, category)
#define PRINT_MODULE_USAGE_COMMAND_DESCR(name, description) PX4_INFO_RAW("  %-12s %s\n", name, description)
#define PRINT_MODULE_USAGE_COMMAND(name) PRINT_MODULE_USAGE_COMMAND_DESCR(name, "");

#define PRINT_MODULE_USAGE_DEFAULT_COMMANDS() \
	PRINT_MODULE_USAGE_COMMAND("stop"); \
	PRINT_MODULE_USAGE_COMMAND_DESCR("status", "print status info");
