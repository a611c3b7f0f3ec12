/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_VIRTIOFSD_H
#define VMM_VIRTIOFSD_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

/*
 * The process that serves one directory or file of the host to the guest: QEMU's virtiofsd, confined
 * to a mount of that alone (docs/volumes.md). It dies with the VMM.
 */

/* In the share of a single file, which is a directory like any, the name it has. */
#define VIRTIOFSD_FILE "file"

struct virtiofsd_share {
	const char *path; /* absolute; links in it are followed once, before anything is started */
	bool read_only;	  /* by the mount: nobody can write through it, whatever the server does */
	bool recursive;	  /* with what is mounted below */
	bool is_file;	  /* a regular file rather than a directory: anything else is an error */
};

struct virtiofsd {
	pid_t pid;
	int pidfd;
	int log; /* what it says */
};

#define VIRTIOFSD_NONE                                                                             \
	{                                                                                          \
		.pid = -1, .pidfd = -1, .log = -1                                                  \
	}

/*
 * Start it and return without waiting for it. *ret_fd is its vhost-user socket (vmm/vhost_user.h), the
 * caller's. -ENOENT: it is not installed, or the share is not there. Files are made and removed in the
 * working directory meanwhile. For a process with one thread.
 */
int virtiofsd_start(struct virtiofsd *server, const struct virtiofsd_share *share, int *ret_fd,
		    struct error *err) __attribute__((nonnull));

/* Why the socket hung up: an error with the server's last words, if it has ended. Returns err->code. */
int virtiofsd_why(struct virtiofsd *server, struct error *err) __attribute__((nonnull));

/* Its socket is closed: wait for its end, which is soon. Needs no privilege. */
void virtiofsd_end(struct virtiofsd *server) __attribute__((nonnull));
/* End it now, if it runs. */
void virtiofsd_free(struct virtiofsd *server) __attribute__((nonnull));

#endif
