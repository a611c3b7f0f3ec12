/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_METADATA_SERVE_H
#define VMM_METADATA_SERVE_H

#include "common/error.h"
#include "vmm/metadata.h"

/* The process that answers for a pod's metadata service, see metadata_link.h. */

/* argv: its name, the pod's UUID, the token, how many apps there are. Returns only to fail. */
int metadata_main(int argc, char **argv, struct error *err) __attribute__((nonnull));

/*
 * Serve the descriptors fds[0..n), until the other side of one is closed, and do what comes from change
 * (vmm/metadata_link.h). Makes only the system calls a confined process may.
 */
void metadata_serve(struct metadata *md, int change, const int *fds, unsigned n)
	__attribute__((nonnull));

#endif
