/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry points: the boot CPU by the 64-bit Linux boot protocol, the second CPU by a start-up IPI,
 * in real mode, on a copy of the code between ap_code and ap_code_end at AP_PAGE.
 */
#define AP_PAGE 0x8000

	.section .text.start, "ax"
	.code64
	.globl _start
_start:
	leaq boot_stack_end(%rip), %rsp
	xorl %ebp, %ebp
	movq %rsi, %rdi
	call hostile_main
1:	hlt
	jmp 1b

	.globl ap_code
	.code16
ap_code:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl AP_PAGE + ap_gdt_pointer - ap_code
	movl $0x20, %eax		/* CR4.PAE */
	movl %eax, %cr4
	movl AP_PAGE + ap_cr3 - ap_code, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		/* EFER.LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl $0x80000011, %eax		/* CR0.PG, ET, PE: straight to long mode */
	movl %eax, %cr0
	ljmpl $0x08, $ap_long
	.balign 8
ap_cr3:
	.long 0
ap_gdt_pointer:
	.word 23
	.long AP_PAGE + ap_gdt - ap_code
	.balign 8
ap_gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
ap_code_end:

	.globl ap_code_size, ap_cr3_offset
	.balign 8
ap_code_size:
	.quad ap_code_end - ap_code
ap_cr3_offset:
	.quad ap_cr3 - ap_code

	.code64
ap_long:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	leaq ap_stack_end(%rip), %rsp
	xorl %ebp, %ebp
	call hostile_second
1:	hlt
	jmp 1b

	.bss
	.balign 4096
	.skip 16384
boot_stack_end:
	.skip 16384
ap_stack_end:

	.section .note.GNU-stack, "", @progbits
