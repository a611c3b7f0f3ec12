/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_CONFINE_H
#define STAGE0_IMAGE_CONFINE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

/*
 * A function called in a child process that holds only the descriptors given, can read and write
 * them, use memory and make threads, and nothing else: no files, no network, no processes, no
 * signals (seccomp). result_len bytes and the error come back through a pipe.
 */

struct confined_job {
	const char *what; /* names the child in messages */
	/* Called before the confinement, for what needs files; may be NULL. */
	int (*prepare)(void *arg, struct error *err);
	int (*run)(void *arg, void *result, struct error *err);
	void *arg; /* as it is when the child starts */
	size_t result_len;
	const int *fds;
	size_t nfds;
};

struct confined {
	const char *what;
	pid_t pid; /* -1: none */
	int fd;	   /* of the pipe the result comes by */
	size_t result_len;
};

#define CONFINED_INIT                                                                              \
	{                                                                                          \
		.pid = -1, .fd = -1                                                                \
	}

/* Start a child. It dies with the thread that started it. */
int confined_start(const struct confined_job *job, struct confined *ret, struct error *err)
	__attribute__((nonnull));

/*
 * Wait for the child, at most timeout_ms (-1: forever) for each piece of its answer. *ret is
 * written on success only, and is the child's word: check it. -EPROTO: the child died, with the
 * signal in the message. -ETIMEDOUT: it is still there, for confined_end().
 */
int confined_finish(struct confined *confined, void *ret, int timeout_ms, struct error *err)
	__attribute__((nonnull));

/* Kill the child if it is still there, and reap it. */
void confined_end(struct confined *confined) __attribute__((nonnull));

/* All of it for one call of fn(arg, result, err). */
int confined_call(int (*fn)(void *arg, void *result, struct error *err), void *arg, void *ret,
		  size_t result_len, const int *fds, size_t nfds, struct error *err)
	__attribute__((nonnull(1, 3, 5, 7)));

#endif
