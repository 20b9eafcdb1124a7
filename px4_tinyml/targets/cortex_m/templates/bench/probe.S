// SPDX-License-Identifier: BSD-3-Clause
//
// The timer is the MPS2 boards' first CMSDK APB timer: 25 MHz like SysTick, but 32 bits, so nothing wraps within
// 171 s of virtual time. It counts down from the value it is given.

	.syntax unified
	.thumb

	.equ TIMER, 0x40000000
	.equ CONTROL, 0
	.equ VALUE, 4
	.equ RELOAD, 8

	.section .text.probe_ticks, "ax"
	.global probe_ticks
	.type probe_ticks, %function
	.thumb_func
probe_ticks:
	push {r4, r5, r6, lr}
	mov r4, r0
	mov r0, r1
	mov r5, #TIMER
	movs r1, #0
	str r1, [r5, #CONTROL]
	mvns r2, r1
	str r2, [r5, #RELOAD]
	str r2, [r5, #VALUE]
	movs r1, #1
	str r1, [r5, #CONTROL]
	blx r4
	.global probe_return		// where a trace of the call ends
	.thumb_func
probe_return:
	ldr r0, [r5, #VALUE]
	mvns r0, r0
	pop {r4, r5, r6, pc}
	.size probe_ticks, . - probe_ticks

	.section .text.probe_stack, "ax"
	.global probe_stack
	.type probe_stack, %function
	.thumb_func
probe_stack:
	push {r4, r5, r6, lr}
	mov r3, r0
	mov r0, r1
	ldr r4, =stack_limit
	ldr r5, =0x57ac5a1e
	mov r6, r4
	mov r2, sp
1:	str r5, [r6], #4
	cmp r6, r2
	bne 1b
	blx r3
2:	ldr r0, [r4], #4
	cmp r0, r5
	beq 2b
	sub r0, sp, r4
	adds r0, #4
	pop {r4, r5, r6, pc}
	.size probe_stack, . - probe_stack
