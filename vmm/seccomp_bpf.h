/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_SECCOMP_BPF_H
#define VMM_SECCOMP_BPF_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

/* From what is to happen with each system call to the BPF program that says so. */

/* Calls are numbered below it: Linux is at 470 on all new architectures, with some hundred to go. */
#define SECCOMP_CALLS_MAX 1024

struct seccomp_actions {
	uint32_t arch; /* AUDIT_ARCH_... of the calls; one of another kills the process */
	uint32_t rest; /* SECCOMP_RET_... of a number not below SECCOMP_CALLS_MAX */
	uint32_t call[SECCOMP_CALLS_MAX]; /* SECCOMP_RET_... by number */
};

/* Instructions a program has at most. */
#define SECCOMP_BPF_MAX (4 * SECCOMP_CALLS_MAX)

/*
 * Write the program to the end of the buffer: *ret is its first instruction. Returns how many it
 * has.
 */
size_t seccomp_bpf(const struct seccomp_actions *actions, struct sock_filter buf[SECCOMP_BPF_MAX],
		   const struct sock_filter **ret) __attribute__((nonnull));

#endif
