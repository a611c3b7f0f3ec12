/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/collect.h"

#include <errno.h>

#include "stage0/stage1.h"

int collect_pod(const struct pods *pods, struct pod *pod, bool debug, struct error *err)
{
	struct error stage1_err = ERROR_INIT;
	int stage1 = stage1_gc(pod, debug, &stage1_err);
	int r = pod_delete(pods, pod, err);

	/* a pod that was never written to the end, or a stage1 that makes nothing outside */
	if (r == 0 && stage1 < 0 && stage1 != -ENOENT)
		r = error_set(err, stage1, "pod %s: %s", pod->uuid, stage1_err.msg);
	return r;
}
