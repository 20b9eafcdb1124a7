// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: the usage text of a command. Printed plainly.

#pragma once

extern "C" {
void PRINT_MODULE_DESCRIPTION(const char *description);
void PRINT_MODULE_USAGE_NAME(const char *name, const char *category);
void PRINT_MODULE_USAGE_SUBCATEGORY(const char *subcategory);
void PRINT_MODULE_USAGE_COMMAND_DESCR(const char *name, const char *description);
void PRINT_MODULE_USAGE_PARAM_COMMENT(const char *comment);
void PRINT_MODULE_USAGE_PARAM_FLAG(char option, const char *description, bool is_optional);
void PRINT_MODULE_USAGE_ARG(const char *values, const char *description, bool is_optional);
}

#define PRINT_MODULE_USAGE_COMMAND(name) PRINT_MODULE_USAGE_COMMAND_DESCR(name, nullptr);

#define PRINT_MODULE_USAGE_DEFAULT_COMMANDS() \
	PRINT_MODULE_USAGE_COMMAND("stop"); \
	PRINT_MODULE_USAGE_COMMAND_DESCR("status", "print status info");
