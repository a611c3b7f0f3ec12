/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_APPLOG_H
#define VMM_APPLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/error.h"

/*
 * Logs of the apps, kept in the pod directory until gc: all an app writes, in records
 *
 *	2026-01-02T03:04:05.678901234Z stdout F the line
 *
 * one a line, as Kubernetes has them: UTC, the stream, F for a line that ends here or P for a part
 * that goes on in the stream's next record, the bytes as they are. APPLOG_DIR/APP is being written,
 * APPLOG_DIR/APP.1 is what was before.
 */

#define APPLOG_DIR	  "log"	      /* below STAGE1_STATE_DIR */
#define APPLOG_SIZE_MAX	  (16U << 20) /* bytes of a file before it is APP.1 */
#define APPLOG_TEXT_MAX	  8192	      /* bytes of a line in one record */
#define APPLOG_RECORD_MAX (APPLOG_TEXT_MAX + 64)

struct applog;

/*
 * Begin the log of an app, in the directory dirfd, which stays the caller's. Everything is allocated
 * here.
 */
int applog_open(int dirfd, const char *app, struct applog **ret, struct error *err)
	__attribute__((nonnull));
void applog_free(struct applog *log);

/*
 * Append the first len bytes of iov. A log that can not be written any more (a full disk) loses what
 * comes, and says so by applog_error(): the app's output is more important.
 */
void applog_write(struct applog *log, bool is_stderr, const struct iovec *iov, unsigned n,
		  size_t len) __attribute__((nonnull));

/* Negative errno of the first failure, or 0. */
int applog_error(const struct applog *log) __attribute__((nonnull));

#endif
