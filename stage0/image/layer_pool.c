/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/image/layer_pool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"

#define WORKER_FD 3 /* a worker's end of its socket */

struct worker {
	pid_t pid;
	int fd;
};

struct layer_pool {
	_Atomic uint64_t *total; /* in memory that the workers share */
	unsigned n;
	struct worker worker[];
};

struct answer {
	int result;
	struct error error;
	struct layer_result layer;
};

/* A job with its two descriptors; in and dir are their numbers here. False: there are no more. */
static bool receive_job(int fd, struct layer_job *job)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = job, .iov_len = sizeof(*job)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	ssize_t n;
	int fds[2];

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	cmsg = n == (ssize_t)sizeof(*job) ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!cmsg || cmsg->cmsg_len != CMSG_LEN(sizeof(fds)))
		return false;
	memcpy(fds, CMSG_DATA(cmsg), sizeof(fds));
	job->in = fds[0];
	job->dir = fds[1];
	return true;
}

static bool send_job(int fd, const struct layer_job *job)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {.bytes = {0}};
	const int fds[2] = {job->in, job->dir};
	struct iovec iov = {.iov_base = (void *)job, .iov_len = sizeof(*job)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(*job);
}

static void __attribute__((noreturn)) serve(pid_t parent, int fd)
{
	struct layer_job job;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(fd, WORKER_FD) < 0)
		_exit(1);
	/* what else the process has open is not kept open by its workers: locks above all */
	close_range(WORKER_FD + 1, ~0U, 0);
	while (receive_job(WORKER_FD, &job)) {
		struct answer answer = {.error = ERROR_INIT};

		answer.result = layer_make(&job, &answer.layer, &answer.error);
		close(job.in);
		close(job.dir);
		if (send(WORKER_FD, &answer, sizeof(answer), MSG_NOSIGNAL) !=
		    (ssize_t)sizeof(answer))
			break;
	}
	_exit(0);
}

static int start(struct worker *worker, struct error *err)
{
	pid_t pid, parent = getpid();
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_errno(err, "socketpair");
	pid = fork();
	if (pid == 0)
		serve(parent, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return error_errno(err, "fork");
	}
	*worker = (struct worker){pid, fds[0]};
	return 0;
}

int layer_pool_new(unsigned n, struct layer_pool **ret, struct error *err)
{
	struct layer_pool *pool = xcalloc(1, sizeof(*pool) + n * sizeof(pool->worker[0]));
	int r = 0;

	pool->total = mmap(NULL, sizeof(*pool->total), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pool->total == MAP_FAILED)
		r = error_errno(err, "mmap");
	for (; r == 0 && pool->n < n; pool->n += r == 0)
		r = start(&pool->worker[pool->n], err);
	if (r < 0) {
		layer_pool_free(pool);
		return r;
	}
	*ret = pool;
	return 0;
}

void layer_pool_free(struct layer_pool *pool)
{
	if (!pool)
		return;
	for (unsigned i = 0; i < pool->n; i++) {
		kill(pool->worker[i].pid, SIGKILL);
		while (waitpid(pool->worker[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
		close(pool->worker[i].fd);
	}
	if (pool->total != MAP_FAILED)
		munmap(pool->total, sizeof(*pool->total));
	free(pool);
}

int layer_pool_make(struct layer_pool *pool, unsigned i, const struct layer_job *job, int cancel,
		    struct layer_result *ret, struct error *err)
{
	struct worker *worker = &pool->worker[i];
	struct pollfd fds[2] = {{.fd = worker->fd, .events = POLLIN},
				{.fd = cancel, .events = POLLIN}};
	struct layer_job sent = *job;
	struct answer answer;
	ssize_t n;

	sent.total = pool->total;
	if (!send_job(worker->fd, &sent))
		return error_errno(err, "the image reader");
	while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		if (errno != EINTR)
			return error_errno(err, "poll");
	if (fds[1].revents) {
		kill(worker->pid, SIGKILL); /* its child goes with it */
		return error_set(err, -ECANCELED, "given up");
	}
	n = recv(worker->fd, &answer, sizeof(answer), 0);
	if (n != (ssize_t)sizeof(answer))
		return error_set(err, -EPROTO, "the image reader died");
	if (answer.result < 0)
		return error_set(err, answer.result, "%s", answer.error.msg);
	*ret = answer.layer;
	return 0;
}
