/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_GUEST_H
#define VMM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "vmm/agent_proto.h"
#include "vmm/balloon.h"
#include "vmm/blk.h"
#include "vmm/launch.h"
#include "vmm/machine.h"
#include "vmm/mem.h"
#include "vmm/pod.h"
#include "vmm/podnet.h"
#include "vmm/podshare.h"
#include "vmm/rng.h"
#include "vmm/shape.h"
#include "vmm/tpm.h"
#include "vmm/vsock.h"

/*
 * A pod's machine with its devices: a balloon that reports free pages, a disk an app, vsock, a source
 * of entropy, for a pod with more than GUEST_BOOT_MEMORY virtio-mem for the rest, and a file system
 * for each volume of the host's. Each device costs the guest up to 300 000 instructions before the
 * first app runs, so there are no others; the balloon's are spent later (initrd/late.h).
 */

#define GUEST_BOOT_MEMORY (UINT64_C(128) << 20) /* a kernel section: less boots no faster */

struct guest {
	struct machine *machine;
	struct blk *disk[PLAN_APPS_MAX];
	unsigned ndisks;
	struct blk_limit app_limit[PLAN_APPS_MAX], pod_limit, apps_limit; /* the last: all apps' */
	struct blk *writable; /* what the apps write is kept there; NULL: in memory */
	struct vsock *vsock;
	struct rng *rng;
	struct net *nic[PLAN_NICS_MAX];
	unsigned nnics;
	struct mem *mem; /* NULL: the guest boots with all it gets */
	struct balloon *balloon;
	struct fs *fs[POD_SHARES_MAX];
	unsigned nfs;
	unsigned fs_window;  /* of the first of them, among the machine's devices */
	int kernel;	     /* owned, for the guest's last words */
	struct eventlog log; /* of the launch */
	uint64_t memory;     /* bytes in all */
	unsigned ncpus;
};

#define GUEST_WRITABLE PLAN_APPS_MAX /* the writable disk's number among disks */

/* Disk n, or NULL. */
struct blk *guest_disk(const struct guest *guest, uint32_t n) __attribute__((nonnull));

struct guest_params {
	const struct shape *shape;
	const struct stage1_args *args;
	struct podnet *net;	  /* its descriptors become the NICs' */
	struct podshares *shares; /* they get their devices */
	int pod_dir;
	int boot_dir;	      /* guest_boot_dir() */
	struct tpm *tpm;      /* the guest sees it if shape says so; NULL: there is none */
	const char *writable; /* where files may be written while the guest runs */
	const struct vsock_ops *vsock_ops;
	void *vsock_ctx;
};

/* The directory with this program, the guest kernel and its initrd. */
#define GUEST_KERNEL "vmlinux"
#define GUEST_INITRD "initrd"
int guest_boot_dir(struct error *err) __attribute__((nonnull));

/*
 * The machine guest_new() makes of a pod, as firmware sees it: what is measured without making it.
 * Devices only: no command line, no descriptors, no seed.
 */
void guest_describe(const struct shape *shape, bool serial, struct firmware_params *ret)
	__attribute__((nonnull));

/*
 * Make it, up to but not including machine_start(), and its launch measurement, which is in the
 * pod's directory then.
 */
int guest_new(const struct guest_params *params, struct loop *loop, struct guest **ret,
	      struct error *err) __attribute__((nonnull));
/* Stop the vCPUs and free everything. */
void guest_free(struct guest *guest);

/* Bytes of memory a pod really gets for those it asks for. */
uint64_t guest_memory(uint64_t asked);

/*
 * Files as segments of a disk, one behind the other; empty ones hold nothing and are closed, their
 * descriptors -1.
 */
int guest_segments(int *fds, unsigned nfds, struct blk_segment *ret, size_t *ret_n,
		   struct error *err) __attribute__((nonnull));

#endif
