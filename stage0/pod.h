/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_H
#define STAGE0_POD_H

#include <stdbool.h>

#include "common/error.h"
#include "common/str.h"
#include "common/uuid.h"

/*
 * Pod directories, DATA/pods/WHERE/UUID (rkt-behaviour 4.2). Where a pod's directory is and whether
 * somebody holds an exclusive flock on it is the pod's whole state; every change is one rename,
 * made under the lock. The kernel drops the lock with the last process of the pod, however that
 * ended.
 */

enum pod_where {
	POD_EMBRYO,
	POD_PREPARE,
	POD_PREPARED,
	POD_RUN,
	POD_EXITED_GARBAGE,
	POD_GARBAGE,
};
#define POD_WHERES (POD_GARBAGE + 1)

struct pods {
	char *data_dir; /* absolute */
	int fd;		/* DATA/pods */
};

struct pod {
	char uuid[UUID_TEXT_LEN + 1];
	enum pod_where where;
	int fd; /* the directory, which carries the lock; -1: none */
};

#define POD_INIT                                                                                   \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Open (and create on demand) the pods of a data directory. */
int pods_open(const char *data_dir, struct pods *ret, struct error *err) __attribute__((nonnull));
void pods_close(struct pods *pods) __attribute__((nonnull));

/* UUIDs of all pods at where, sorted. */
int pods_list(const struct pods *pods, enum pod_where where, struct strv *ret, struct error *err)
	__attribute__((nonnull));

/* Make a new pod in prepare, locked. */
int pod_create(const struct pods *pods, struct pod *ret, struct error *err)
	__attribute__((nonnull));

/* Open a pod at where. -ENOENT: it is not (or no longer) there. */
int pod_open(const struct pods *pods, enum pod_where where, const char *uuid, struct pod *ret,
	     struct error *err) __attribute__((nonnull));

/*
 * Open the pod that text, a UUID or a prefix of one in any case, names: in prepare, prepared, run
 * or exited-garbage (rkt-behaviour 2.1).
 */
int pod_find(const struct pods *pods, const char *text, struct pod *ret, struct error *err)
	__attribute__((nonnull));

void pod_close(struct pod *pod) __attribute__((nonnull));
#define cleanup_pod cleanup(pod_close)

/*
 * Take the exclusive lock without waiting. -EWOULDBLOCK: somebody has it; -ENOENT: the pod was
 * moved or deleted meanwhile.
 */
int pod_try_lock(const struct pods *pods, struct pod *pod, struct error *err)
	__attribute__((nonnull));

/*
 * Whether the pod's directory is still where it was opened. Who prepares a pod lets go of its lock
 * after the move, so one that is found in prepare and not locked has been given up only if it is.
 */
bool pod_is_in_place(const struct pods *pods, const struct pod *pod) __attribute__((nonnull));

/* Whether somebody holds the exclusive lock. */
bool pod_is_locked(const struct pod *pod) __attribute__((nonnull));

/* The word every output uses for the state. */
const char *pod_state(enum pod_where where, bool locked) __attribute__((returns_nonnull));

/* Move the (locked) pod. */
int pod_move(const struct pods *pods, struct pod *pod, enum pod_where where, struct error *err)
	__attribute__((nonnull));

/*
 * Delete the locked pod's directory: what is still mounted below it is detached, stage1's tree goes
 * first, so that a deletion that was cut short does not look like a pod.
 */
int pod_delete(const struct pods *pods, struct pod *pod, struct error *err)
	__attribute__((nonnull));

/* The UUID in a file, as --uuid-file-save writes it, without white space. The caller frees *ret. */
int pod_read_uuid_file(const char *path, char **ret, struct error *err) __attribute__((nonnull));

/* The absolute path of the pod's directory; the caller frees it. */
char *pod_path(const struct pods *pods, const struct pod *pod) __attribute__((nonnull));

/* Write a new file in the pod's directory. Nobody looks before the pod is moved: no fsync. */
int pod_write(const struct pod *pod, const char *path, const char *text, struct error *err)
	__attribute__((nonnull));

#endif
