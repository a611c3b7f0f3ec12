/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_JAIL_H
#define VMM_JAIL_H

#include "common/error.h"

/*
 * What the VMM gives up before the guest runs, in two parts: the process (its main thread, the
 * device loop), and each vCPU thread, which needs nearly nothing. Works for root and for others
 * alike. Afterwards the process
 *
 *	has no capabilities and can not get any (no_new_privs), nor can it be traced or dumped;
 *	opens and creates files only below one directory, and removes them only below its working
 *	directory, the pod's (Landlock, where the kernel has it): the kernel and the images there
 *	are links to those of all pods;
 *	starts no program, makes no thread and maps nothing executable;
 *	makes only the system calls listed in jail.c, of ioctl() only the named ones.
 *
 * A call that is not allowed ends the pod with one line. Everything the pod needs is open before.
 * Under AddressSanitizer the filters are left out: its runtime makes system calls of its own.
 */

/*
 * For the main thread, after every other thread was started and before the vCPUs run. writable is
 * the directory below the working directory where files may be written, NULL for none.
 */
int jail_process(const char *writable, struct error *err) __attribute__((nonnull(2)));
/* For a vCPU thread, before it runs the guest. */
int jail_vcpu(struct error *err) __attribute__((nonnull));

/*
 * For a program of ours that the VMM has started to do one thing with the descriptors it was given: it
 * becomes nobody, if it was root, and reads, sends and receives on what is open. It allocates, and ends
 * with the VMM. A call that is not allowed ends it.
 */
int jail_helper(struct error *err) __attribute__((nonnull));

#endif
