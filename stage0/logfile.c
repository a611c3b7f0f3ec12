/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both files are opened at the beginning, the current one first: if it is rotated between, the older
 * that is then opened is the same file and left out. At the end of the current file its name is
 * looked at: when it names another file by then, that is gone on with.
 */
#include "stage0/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"

struct logfile {
	int dir; /* owned */
	char *name;
	int fd;	  /* owned: what is read */
	int next; /* owned: what comes after it, -1: not open yet */
	size_t off, len;
	char buf[2 * LOGFILE_RECORD_MAX];
};

void logfile_free(struct logfile *log)
{
	if (!log)
		return;
	close_fd(&log->dir);
	close_fd(&log->fd);
	close_fd(&log->next);
	free(log->name);
	free(log);
}

static int open_file(int dir, const char *name)
{
	return open_beneath(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
}

static bool is_same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

int logfile_open(const struct pod *pod, const char *app, struct logfile **ret, struct error *err)
{
	cleanup_free char *old_name = xasprintf("%s.1", app);
	struct logfile *log = xcalloc(1, sizeof(*log));
	int fd, old;

	log->fd = log->next = -1;
	log->name = xstrdup(app);
	log->dir = open_beneath(pod->fd, LOGFILE_DIR, O_RDONLY | O_DIRECTORY, 0);
	fd = log->dir < 0 ? log->dir : open_file(log->dir, app);
	if (fd < 0) {
		logfile_free(log);
		return error_set(err, fd, "pod %s: the log of app %s: %s", pod->uuid, app,
				 strerror(-fd));
	}
	log->fd = fd;
	old = open_file(log->dir, old_name);
	if (old >= 0 && !is_same(old, fd)) {
		log->next = log->fd;
		log->fd = old;
	} else if (old >= 0) {
		close(old);
	}
	*ret = log;
	return 0;
}

/* Cut "TIME STREAM F|P TEXT" in place. */
static bool parse(char *line, size_t len, struct log_record *ret)
{
	char *blank[3], *p = line;

	for (int i = 0; i < 3; i++) {
		p = memchr(p, ' ', len - (size_t)(p - line));
		if (!p)
			return false;
		blank[i] = p++;
	}
	if (blank[2] - blank[1] != 2 || (blank[1][1] != 'F' && blank[1][1] != 'P'))
		return false;
	*blank[0] = *blank[1] = '\0';
	*ret = (struct log_record){
		.time = line,
		.is_stderr = strcmp(blank[0] + 1, "stderr") == 0,
		.ends = blank[1][1] == 'F',
		.text = p,
		.len = len - (size_t)(p - line),
	};
	for (const char *t = line; *t; t++)
		if (!strchr("0123456789-:.TZ", *t))
			return false;
	return true;
}

/* More of the file, or of the one after it. 1: go on, 0: there is no more yet. */
static int refill(struct logfile *log, struct error *err)
{
	ssize_t n;

	memmove(log->buf, log->buf + log->off, log->len);
	log->off = 0;
	if (log->len == sizeof(log->buf)) /* no record is that long */
		log->len = 0;
	n = read(log->fd, log->buf + log->len, sizeof(log->buf) - log->len);
	if (n < 0)
		return error_errno(err, "the log of app %s", log->name);
	log->len += (size_t)n;
	if (n > 0)
		return 1;
	if (log->next >= 0) {
		close(log->fd);
		log->fd = take_fd(&log->next);
		return 1;
	}
	log->next = open_file(log->dir, log->name);
	if (log->next >= 0 && !is_same(log->next, log->fd)) {
		/* what was written between the last read and the rotation */
		n = read(log->fd, log->buf + log->len, sizeof(log->buf) - log->len);
		log->len += n > 0 ? (size_t)n : 0;
		return 1;
	}
	close_fd(&log->next);
	return 0;
}

int logfile_next(struct logfile *log, struct log_record *ret, struct error *err)
{
	for (;;) {
		char *line = log->buf + log->off;
		char *end = memchr(line, '\n', log->len);
		size_t len;
		int r;

		if (!end) {
			r = refill(log, err);
			if (r <= 0)
				return r;
			continue;
		}
		len = (size_t)(end - line);
		log->off += len + 1;
		log->len -= len + 1;
		if (parse(line, len, ret))
			return 1;
	}
}
