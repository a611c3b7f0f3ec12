/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_DIGESTS_H
#define STAGE0_DIGESTS_H

#include "common/digestcache.h"

/* The cache of digests of a data directory, DATA/cas/digests, which stage1 uses to measure pods. */

#define DIGESTS_FILE "cas/digests"
/* stage1 finds the cache's absolute path there. */
#define DIGESTS_ENV "TRIPOD_DIGESTS"

/* Take hold of the entries of what a pod's directory links to: the files of stage1 and the disks. */
void digests_hold_pod(const struct digestcache *cache, int pod_fd, struct digestcache_held *held)
	__attribute__((nonnull));

#endif
