/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_RUN_H
#define VMM_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "vmm/machine.h"

/* One machine from start to end, with no pod: a kernel, an initrd and the serial console. */

struct run_options {
	const char *kernel, *initrd; /* paths; initrd may be NULL */
	const char *words;	     /* appended to the kernel's command line */
	uint64_t memory;	     /* bytes */
	unsigned ncpus;
	bool debug;
};

/* Boot and wait for the guest's end. 0 when the guest reset itself. */
int run_machine(const struct run_options *options, struct error *err) __attribute__((nonnull));

/*
 * Why a guest whose vCPUs are stopped ended: its last words are logged unless the serial port has
 * shown them. 0 when it asked for it.
 */
int run_explain(struct machine *machine, int kernel, bool shown, const struct vcpu_end *end,
		struct error *err) __attribute__((nonnull));

#endif
