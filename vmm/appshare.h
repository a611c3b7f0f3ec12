/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_APPSHARE_H
#define VMM_APPSHARE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "vmm/pod.h"
#include "vmm/podmut.h"

/*
 * The servers of an app's host volumes, for a pod that runs: its VMM starts nothing any more. Who adds
 * the app leaves a process behind that has started them, the keeper. The VMM has the other end of the
 * keeper's socket, the life line: when nobody has it any more, however that came, the servers are to
 * end, and are killed if they do not. When one ends before, the keeper says why on the life line.
 */

#define APPSHARE_END_TIMEOUT_MS 2000 /* a server has to end by itself */
#define APPSHARE_TEXT_MAX	768  /* bytes of what is said on the life line */

struct appshare {
	int life;
	int fd[PODMUT_SHARES];		  /* the servers' vhost-user sockets */
	uint64_t features[PODMUT_SHARES]; /* what they offer (vhost_user_take()) */
	unsigned n;
};

#define APPSHARE_NONE                                                                              \
	{                                                                                          \
		.life = -1                                                                         \
	}

/*
 * Start a server for each of the pod's volumes of the host, which were looked at, in order, and meet
 * them. vmm is the pod's VMM, whose control group they belong to where that can be. For a process with
 * one thread, in the pod's directory.
 */
int appshare_start(const struct pod_spec *pod, pid_t vmm, struct appshare *ret, struct error *err)
	__attribute__((nonnull));
/* Close what is ours of them. Without anybody else who has the life line they end. */
void appshare_close(struct appshare *shares) __attribute__((nonnull));

#endif
