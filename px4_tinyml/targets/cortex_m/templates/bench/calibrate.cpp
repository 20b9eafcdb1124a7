// SPDX-License-Identifier: BSD-3-Clause
//
// Ticks of loops whose instructions are known, into the file "ticks": 2 n + 1 instructions and 2 n + 2, by turns.

#include "probe.hpp"
#include "semihosting.hpp"

namespace
{

__attribute__((naked)) void odd(void *)
{
	asm volatile("1: subs r0, #1\n\tbne 1b\n\tbx lr");
}

__attribute__((naked)) void even(void *)
{
	asm volatile("nop\n1: subs r0, #1\n\tbne 1b\n\tbx lr");
}

} // namespace

int main()
{
	semihosting::File loops("loops", semihosting::File::Read);
	semihosting::File ticks("ticks", semihosting::File::Write);
	uint32_t n;

	while (loops.read(&n, sizeof(n)) == sizeof(n)) {
		const uint32_t measured[2] = {
			probe_ticks(odd, reinterpret_cast<void *>(n)), probe_ticks(even, reinterpret_cast<void *>(n))
		};
		ticks.write(measured, sizeof(measured));
	}

	return 0;
}
