/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: the store reads the archive from a pipe, in a thread, for the caller is a
 * download that calls when there are bytes. The thread forks (the archive is taken apart in a
 * confined child), which must not happen while another thread is within a library that holds locks.
 * So it is started from within pump_write(), with the first bytes that are more than the pipe holds:
 * writing them lasts until the child reads, by when it has been forked, and until then the caller
 * is here and nowhere else. What fits the pipe whole is kept until pump_finish().
 */
#include "stage0/fetch/pump.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"

#define PIPE_SMALL 4096		/* the least a pipe can hold: a page */
#define PIPE_LARGE (256 * 1024) /* once it runs; more would only be memory */
#define EARLY_MAX  (2 * PIPE_SMALL)

struct pump {
	struct store *store;
	const char *what;
	struct verify *verify;
	char early[EARLY_MAX]; /* the first bytes, until there are enough of them to begin */
	size_t nearly;
	bool running; /* the thread is to be joined */
	pthread_t thread;
	int in;			     /* the end the store reads, which the thread closes */
	int out;		     /* the end we write */
	struct store_staged *staged; /* the thread's, until it is joined */
	int result;
	struct error error;
};

struct pump *pump_new(struct store *store, const char *what, struct verify *verify)
{
	struct pump *pump = xcalloc(1, sizeof(*pump));

	pump->store = store;
	pump->what = what;
	pump->verify = verify;
	pump->in = pump->out = -1;
	return pump;
}

static void *stage(void *arg)
{
	struct pump *pump = arg;

	pump->result =
		store_stage_aci(pump->store, pump->in, pump->what, &pump->staged, &pump->error);
	close_fd(&pump->in);
	return NULL;
}

static int start(struct pump *pump, struct error *err)
{
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, "%s: a pipe", pump->what);
	pump->in = fds[0];
	pump->out = fds[1];
	/* refused where pages are larger; then the fork is only likely to be over */
	(void)!fcntl(pump->out, F_SETPIPE_SZ, PIPE_SMALL);
	r = pthread_create(&pump->thread, NULL, stage, pump);
	if (r != 0) {
		close_fd(&pump->in);
		close_fd(&pump->out);
		return error_set(err, -r, "%s: starting a thread: %s", pump->what, strerror(r));
	}
	pump->running = true;
	return 0;
}

static void join(struct pump *pump)
{
	close_fd(&pump->out);
	if (pump->running)
		pthread_join(pump->thread, NULL);
	pump->running = false;
}

/* write_all() to a pipe whose reader may be gone, which must not end this process. */
static int write_quietly(int fd, const void *bytes, size_t len)
{
	const struct timespec now = {0};
	sigset_t pipe, before, pending;
	int r;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	sigpending(&pending);
	r = write_all(fd, bytes, len);
	if (r == -EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

/* Give the store its bytes. Who stops reading early found something wrong, and says what. */
static int feed(struct pump *pump, const void *bytes, size_t len, struct error *err)
{
	int r = write_quietly(pump->out, bytes, len);

	if (r == 0)
		return 0;
	join(pump);
	if (pump->result < 0) {
		*err = pump->error;
		return err->code;
	}
	return error_set(err, r, "%s: passing the image on: %s", pump->what, strerror(-r));
}

static int begin(struct pump *pump, struct error *err)
{
	int r = start(pump, err);

	if (r == 0 && pump->nearly)
		r = feed(pump, pump->early, pump->nearly, err);
	return r;
}

int pump_write(struct pump *pump, const void *bytes, size_t len, struct error *err)
{
	size_t n = 0;
	int r = 0;

	if (pump->verify) {
		r = verify_write(pump->verify, bytes, len, err);
		if (r < 0)
			return r;
	}
	if (!pump->running) {
		n = MIN(len, sizeof(pump->early) - pump->nearly);
		memcpy(pump->early + pump->nearly, bytes, n);
		pump->nearly += n;
		if (pump->nearly < sizeof(pump->early))
			return 0;
		r = begin(pump, err);
		if (r < 0)
			return r;
		(void)!fcntl(pump->out, F_SETPIPE_SZ, PIPE_LARGE);
	}
	return n == len ? 0 : feed(pump, (const char *)bytes + n, len - n, err);
}

int pump_finish(struct pump *pump, struct store_staged **ret, struct error *err)
{
	int r = pump->running ? 0 : begin(pump, err);

	if (r < 0)
		return r;
	join(pump);
	if (pump->result < 0) {
		*err = pump->error;
		return err->code;
	}
	*ret = take_ptr(pump->staged);
	return 0;
}

void pump_free(struct pump *pump)
{
	if (!pump)
		return;
	join(pump);
	store_staged_free(pump->staged);
	free(pump);
}
