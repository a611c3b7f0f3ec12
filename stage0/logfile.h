/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_LOGFILE_H
#define STAGE0_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "stage0/pod.h"

/*
 * The log stage1 keeps of an app in the pod directory: records in a file and the one before it, which
 * may be written and rotated while they are read. Nothing in them is trusted or followed.
 */

#define LOGFILE_DIR	   "stage1/rootfs/rkt/log"
#define LOGFILE_RECORD_MAX 8448 /* bytes: 8 KiB of text, time, stream */

struct log_record {
	const char *time; /* as it stands in the log, terminated */
	bool is_stderr;
	bool ends;	  /* the line ends here */
	const char *text; /* not terminated */
	size_t len;
};

struct logfile;

/* -ENOENT: none is kept of that app. */
int logfile_open(const struct pod *pod, const char *app, struct logfile **ret, struct error *err)
	__attribute__((nonnull));
void logfile_free(struct logfile *log);

/*
 * The next record, which stays as it is until the next call. 1: there is one, 0: not yet. A line that
 * is no record is left out.
 */
int logfile_next(struct logfile *log, struct log_record *ret, struct error *err)
	__attribute__((nonnull));

#endif
