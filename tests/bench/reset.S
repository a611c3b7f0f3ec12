/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ROM of 64 KiB that does one thing: put the boot CPU into the state the VMM starts it in (64-bit
 * mode, paging on, RSI = boot_params) and jump to the kernel. kernel_image fills in the first words.
 *
 * QEMU shows the ROM below 1 MiB too, which is where it runs: the page tables map RAM only.
 */
	.set	base, 0xf0000

	.text
	.globl	_start
_start:
rip:	.quad	0
rsi:	.quad	0
cr3:	.quad	0

	.balign	8
gdt:	.quad	0, 0
	.quad	0x00af9b000000ffff	/* 0x10: 64-bit code */
	.quad	0x00cf93000000ffff	/* 0x18: data */
	.quad	0x00cf9b000000ffff	/* 0x20: 32-bit code */
gdt_ptr:
	.word	. - gdt - 1
	.long	base + gdt - _start

	.code16
real:
	cli
	lgdtl	%cs:(gdt_ptr - _start)
	movl	$0x31, %eax
	movl	%eax, %cr0
	ljmpl	$0x20, $base + protected - _start

	.code32
protected:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	movl	$0x20, %eax
	movl	%eax, %cr4
	movl	base + cr3 - _start, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	xorl	%edx, %edx
	movl	$0x100, %eax
	wrmsr
	movl	$0x80000031, %eax
	movl	%eax, %cr0
	ljmpl	$0x10, $base + long_mode - _start

	.code64
long_mode:
	movl	$base, %eax
	movq	rsi - _start(%rax), %rsi
	jmpq	*rip - _start(%rax)

	.org	0xfff0
	.code16
	jmp	real
	.org	0x10000
