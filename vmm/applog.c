/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes are cut into records as they come, so no part of a line is kept for later and what was
 * written is in the log at once. Records gather in one buffer, which is written when it is full and
 * at the end of each call: one write(2) into the page cache for what one packet brought. The time is
 * asked for once a call.
 */
#include "vmm/applog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"

#define HEAD_MAX 48

struct applog {
	int dirfd; /* owned */
	int fd;	   /* owned */
	int error;
	char *name, *old_name;
	uint64_t size;
	size_t len;
	char buf[8 * APPLOG_RECORD_MAX];
};

static int open_file(struct applog *log)
{
	int fd = openat(log->dirfd, log->name,
			O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0)
		return -errno;
	log->fd = fd;
	log->size = 0;
	return 0;
}

int applog_open(int dirfd, const char *app, struct applog **ret, struct error *err)
{
	struct applog *log = xcalloc(1, sizeof(*log));
	int r = 0;

	log->fd = -1;
	log->name = xstrdup(app);
	log->old_name = xasprintf("%s.1", app);
	log->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	if (log->dirfd < 0)
		r = -errno;
	if (r == 0)
		r = open_file(log);
	if (r < 0) {
		applog_free(log);
		return error_set(err, r, "the log of app %s: %s", app, strerror(-r));
	}
	*ret = log;
	return 0;
}

void applog_free(struct applog *log)
{
	if (!log)
		return;
	close_fd(&log->fd);
	close_fd(&log->dirfd);
	free(log->name);
	free(log->old_name);
	free(log);
}

static void give_up(struct applog *log)
{
	log->error = -errno;
	close_fd(&log->fd);
	log->len = 0;
}

static void rotate(struct applog *log)
{
	close_fd(&log->fd);
	if (renameat(log->dirfd, log->name, log->dirfd, log->old_name) < 0 || open_file(log) < 0)
		give_up(log);
}

static void flush(struct applog *log)
{
	size_t done = 0;

	while (log->fd >= 0 && done < log->len) {
		ssize_t n = write(log->fd, log->buf + done, log->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			give_up(log);
			return;
		}
		done += (size_t)n;
	}
	log->size += done;
	log->len = 0;
	if (log->fd >= 0 && log->size >= APPLOG_SIZE_MAX)
		rotate(log);
}

/* "TIME STREAM ", the beginning of all records of one call. */
static size_t make_head(char head[HEAD_MAX], bool is_stderr)
{
	struct timespec now;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	len = strftime(head, HEAD_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	return len + (size_t)snprintf(head + len, HEAD_MAX - len, ".%09ldZ %s ", now.tv_nsec,
				      is_stderr ? "stderr" : "stdout");
}

static void put(struct applog *log, const void *data, size_t len)
{
	memcpy(log->buf + log->len, data, len);
	log->len += len;
}

void applog_write(struct applog *log, bool is_stderr, const struct iovec *iov, unsigned n,
		  size_t len)
{
	char head[HEAD_MAX];
	size_t head_len;

	if (log->fd < 0 || !len)
		return;
	head_len = make_head(head, is_stderr);
	for (unsigned i = 0; i < n && len; i++) {
		const char *p = iov[i].iov_base;
		size_t left = MIN(iov[i].iov_len, len);

		len -= left;
		while (left) {
			const char *nl = memchr(p, '\n', MIN(left, (size_t)APPLOG_TEXT_MAX + 1));
			size_t text = nl ? (size_t)(nl - p) : MIN(left, (size_t)APPLOG_TEXT_MAX);

			if (sizeof(log->buf) - log->len < APPLOG_RECORD_MAX)
				flush(log);
			put(log, head, head_len);
			put(log, nl ? "F " : "P ", 2);
			put(log, p, text);
			put(log, "\n", 1);
			p += text + (nl != NULL);
			left -= text + (nl != NULL);
		}
	}
	flush(log);
}

int applog_error(const struct applog *log)
{
	return log->error;
}
