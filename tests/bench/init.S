/* SPDX-License-Identifier: Apache-2.0 */
/* The least that can be PID 1: counting ends before its first instruction. */
	.globl	_start
_start:
	pause
	jmp	_start
