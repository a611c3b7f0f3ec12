/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_SPAWN_H
#define COMMON_SPAWN_H

#include <sys/types.h>

#include "common/error.h"

/*
 * The one way to start another program. The child gets exactly the descriptors it is given, an
 * empty signal mask, default dispositions, and dies with its parent: with the thread that started
 * it, to be exact, so threads that end do not start programs.
 */

struct spawn_fd {
	int parent; /* this descriptor of ours ... */
	int child;  /* ... is this one in the child, below 256 */
};

struct spawn_args {
	const char *path;	    /* absolute, or searched in PATH */
	char *const *argv;	    /* NULL-terminated */
	char *const *envp;	    /* NULL: our environment */
	int cwd;		    /* directory descriptor, or -1 for ours */
	const struct spawn_fd *fds; /* 0, 1 and 2 not named here are /dev/null */
	size_t nfds;
	unsigned namespaces; /* CLONE_NEW..., that the child begins with */
	/*
	 * What the child does first, with all our descriptors: 0, or a negative errno that is the
	 * start's. In a process with other threads only what may follow fork(). May be NULL.
	 */
	int (*prepare)(void *ctx);
	void *ctx;
};

/*
 * The first program of that name in a list of directories that colons part, relative ones passed over.
 * The caller frees it; NULL: there is none.
 */
char *spawn_find(const char *name, const char *dirs) __attribute__((nonnull));

/* Start it. *ret_pidfd becomes readable when the child ends and is the caller's to close. */
int spawn(const struct spawn_args *args, pid_t *ret_pid, int *ret_pidfd, struct error *err)
	__attribute__((nonnull));

/*
 * Wait at most timeout_ms (-1: forever) for the child and reap it. *ret_status is the shell's
 * notion: exit code, or 128 + signal. -ETIMEDOUT when it still runs; it is left running.
 */
int spawn_wait(pid_t pid, int pidfd, int timeout_ms, int *ret_status, struct error *err)
	__attribute__((nonnull));

/* Kill the child if it still runs, and reap it. */
void spawn_kill(pid_t pid, int pidfd);

#endif
