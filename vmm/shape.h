/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_SHAPE_H
#define VMM_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "vmm/plan.h"
#include "vmm/pod.h"
#include "vmm/podnet.h"
#include "vmm/stage1.h"

/*
 * What a pod becomes on a host, before anything of it is made: the same for a launch and for its
 * measurement.
 */

#define SHAPE_TPM_FILE "tpm" /* in the pod's directory: auto, on or off */

/*
 * In the pod's directory, when what the apps write is kept on a disk: its bytes, in decimal, and the
 * disk, a file of as many with an ext4 file system. Without the former it is kept in memory.
 */
#define SHAPE_DISK_FILE	 "disk"
#define SHAPE_DISK_IMAGE "disk.img"

enum tpm_mode {
	TPM_AUTO, /* one for the host to ask, if swtpm is there; the guest's if an app asks */
	TPM_ON,	  /* all apps have it */
	TPM_OFF,
};

struct shape_host {
	bool emulated; /* guest kernel mode is: probe_kernel_is_emulated() */
	unsigned cpus; /* we may use */
};

struct shape {
	struct pod_spec pod;   /* owned; with what the arguments change */
	struct podnet net;     /* owned; nothing of it is started */
	struct plan_args plan; /* without what a terminal adds */
	uint64_t memory;       /* bytes, as guest_memory() gives */
	unsigned ncpus;
	const char *words; /* for the kernel's command line, never NULL */
	bool emulated;
	enum tpm_mode tpm;
	bool guest_tpm;	       /* the guest sees the TPM: some app has it */
	uint64_t disk_rate[2]; /* bytes and operations a second of all disks; 0: no limit */
	uint64_t disk;	       /* bytes of the writable disk; 0: there is none */
};

/* This host. */
void shape_probe(struct shape_host *ret) __attribute__((nonnull));

/* Of the pod in the working directory. shape_free() it. */
int shape_make(const struct stage1_args *args, const struct shape_host *host, struct shape *ret,
	       struct error *err) __attribute__((nonnull));
void shape_free(struct shape *shape) __attribute__((nonnull));

#endif
