// SPDX-License-Identifier: BSD-3-Clause
//
// Files and exit codes of the computer that runs the emulator (Arm, "Semihosting for AArch32 and AArch64").

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace semihosting
{

enum Operation : uint32_t {
	OPEN = 0x01, WRITE0 = 0x04, WRITE = 0x05, READ = 0x06, EXIT_EXTENDED = 0x20
};

inline uint32_t call(uint32_t operation, const void *parameter)
{
	register uint32_t r0 asm("r0") = operation;
	register const void *r1 asm("r1") = parameter;
	asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
	return r0;
}

inline void print(const char *text) { call(WRITE0, text); }

[[noreturn]] inline void exit(int code)
{
	const uint32_t block[2] = {0x20026, static_cast<uint32_t>(code)}; // ADP_Stopped_ApplicationExit

	for (;;) {
		call(EXIT_EXTENDED, block);
	}
}

[[noreturn]] inline void fail(const char *message)
{
	print(message);
	print("\n");
	exit(1);
}

/// A file in the emulator's working directory, open until the end. Any error ends the program.
class File
{
public:
	enum Mode : uint32_t { Read = 1, Write = 5 };  // fopen's rb and wb

	File(const char *name, Mode mode)
	{
		const uint32_t block[3] = {reinterpret_cast<uint32_t>(name), mode, strlen(name)};
		_handle = call(OPEN, block);

		if (_handle == UINT32_MAX) {
			print(name);
			fail(": cannot be opened");
		}
	}

	/// Number of bytes read: less than asked for only at the end.
	size_t read(void *data, size_t size)
	{
		const uint32_t block[3] = {_handle, reinterpret_cast<uint32_t>(data), size};
		return size - call(READ, block);
	}

	void write(const void *data, size_t size)
	{
		const uint32_t block[3] = {_handle, reinterpret_cast<uint32_t>(data), size};

		if (call(WRITE, block) != 0) {
			fail("cannot write");
		}
	}

private:
	uint32_t _handle;
};

} // namespace semihosting
