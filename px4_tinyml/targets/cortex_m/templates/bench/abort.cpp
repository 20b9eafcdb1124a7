// SPDX-License-Identifier: BSD-3-Clause
//
// Every firmware has its own abort(); the C library's would bring signals and a heap into a footprint.

extern "C" [[noreturn]] void abort()
{
	for (;;) {
	}
}
