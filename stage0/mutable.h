/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_MUTABLE_H
#define STAGE0_MUTABLE_H

#include "stage0/command.h"
#include "stage0/pod_info.h"
#include "stage0/pod_manifest.h"

/*
 * Changes of the apps of a mutable pod that runs (rkt-behaviour 2.15): its manifest and directory are
 * stage0's, under the pod's own lock; what goes on in the pod is stage1's.
 *
 * An app is in the manifest before stage1 is asked to add it, and until stage1 has removed it; so what
 * a crash leaves is an app of state unknown, which app rm takes away.
 */

struct mutable_pod {
	const struct globals *globals;
	struct pods pods;
	struct pod pod;
	struct pod_info info;
	int lock; /* pod.lck; -1 */
};

#define MUTABLE_POD_INIT(g)                                                                        \
	{                                                                                          \
		.globals = (g), .pods = {.fd = -1}, .pod = POD_INIT, .lock = -1                    \
	}

/* Open the mutable pod that runs and is called uuid, alone if it is to be changed. */
int mutable_open(struct mutable_pod *mp, const char *uuid, bool change, struct error *err)
	__attribute__((nonnull));
void mutable_close(struct mutable_pod *mp) __attribute__((nonnull));
#define cleanup_mutable cleanup(mutable_close)

/* The app of that name, which must be given. NULL and why. */
const struct app_info *mutable_find(const struct mutable_pod *mp, const char *name,
				    struct error *err) __attribute__((nonnull(1, 3)));

/* Put the image of the store that request names into the pod as an app. */
int mutable_add(struct mutable_pod *mp, const struct app_request *request, struct error *err)
	__attribute__((nonnull));
/* app/start or app/stop of stage1. */
int mutable_change(struct mutable_pod *mp, const char *entry, const char *name, struct error *err)
	__attribute__((nonnull(1, 2, 4)));
int mutable_remove(struct mutable_pod *mp, const char *name, struct error *err)
	__attribute__((nonnull(1, 3)));

#endif
