/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PODNET_CNI_H
#define VMM_PODNET_CNI_H

#include "common/error.h"
#include "vmm/podnet.h"

/*
 * The CNI networks of a pod, from ADD to DEL. What has been made, or is about to be, is written below
 * PODNET_DIR in the pod directory first, so that whoever comes after a crash can take it away.
 */

#define PODNET_DIR "net"

/*
 * Make the planned networks and fill in what they lease. A process is left behind that takes them away
 * when we end, however that happens; podnet_cni_end() waits for it.
 */
int podnet_cni_start(struct podnet *net, const struct stage1_args *args,
		     const struct pod_spec *spec, struct error *err) __attribute__((nonnull));
void podnet_cni_end(struct podnet *net) __attribute__((nonnull));

/*
 * Take away the networks of the pod in the working directory, as far as they are there. Anybody may,
 * as often as they like; what fails is tried again the next time.
 */
int podnet_cni_remove(const char *uuid, struct error *err) __attribute__((nonnull));

#endif
