/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function call in a confined child.
 *
 * Theory of operation: fork() without exec, so the child has the code at hand and starts in a tenth
 * of a millisecond. Before the filter goes on, what needs the file system is done: libcrypto reads
 * its configuration at the first digest, and the caller's prepare() loads a library. The filter is a list of what computing and copying between
 * open descriptors takes; opening a file fails softly (character set conversion tries), anything
 * else kills. The child's word comes back as one message on a pipe.
 */
#include "stage0/image/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/util.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* 128 MiB for xz or zstd, the tree of a large image, and thread stacks; a runaway parser stops. */
#define CHILD_MEMORY (4 * GIB)

#define FILTER_SECONDS 1 /* of CPU time for what takes a millisecond */

struct answer {
	int result;
	struct error error;
};

static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(lseek),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction), /* libc, at the first thread */
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(getrandom),
	SCMP_SYS(sysinfo),   /* qsort() asks how much memory there is */
	SCMP_SYS(setitimer), /* ours */
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
#if SANITIZED
	SCMP_SYS(sigaltstack),
	SCMP_SYS(prctl),
	SCMP_SYS(getrlimit),
	SCMP_SYS(prlimit64),
#endif
};

/* Soft failures: libraries try these and do without. */
static const int failing[] = {
	SCMP_SYS(open),	    SCMP_SYS(openat), SCMP_SYS(access), SCMP_SYS(faccessat),
	SCMP_SYS(readlink), SCMP_SYS(ioctl),  SCMP_SYS(fcntl),
};

static int load_filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(allowed); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(failing); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), failing[i], 0);
	/* memory, never executable */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* threads, no processes; clone3's arguments are out of a filter's sight, so libc uses clone */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

/* libseccomp 2.5 goes round for ever when memory runs out while it writes the filter. */
static int filter(void)
{
	const struct itimerval limit = {.it_value.tv_sec = FILTER_SECONDS},
			       none = {.it_value = {0}};
	int r;

	signal(SIGPROF, SIG_DFL);
	if (setitimer(ITIMER_PROF, &limit, NULL) < 0)
		return -errno;
	r = load_filter();
	setitimer(ITIMER_PROF, &none, NULL);
	return r;
}

static int compare_ints(const void *a, const void *b)
{
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

/* Close all descriptors but 0, 1, 2 and these. */
static void close_others(const int *fds, size_t nfds, int answer)
{
	cleanup_free int *keep = xcalloc(nfds + 1, sizeof(*keep));
	unsigned from = 3;

	if (nfds > 0)
		memcpy(keep, fds, nfds * sizeof(*keep));
	keep[nfds] = answer;
	qsort(keep, nfds + 1, sizeof(*keep), compare_ints);
	for (size_t i = 0; i <= nfds; i++) {
		if (keep[i] < 0 || (unsigned)keep[i] < from)
			continue;
		if ((unsigned)keep[i] > from)
			close_range(from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	close_range(from, UINT32_MAX, 0);
}

static int confine(const struct confined_job *job, struct error *err)
{
	const struct rlimit none = {0, 0}, memory = {CHILD_MEMORY, CHILD_MEMORY};
	int r;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	setlocale(LC_ALL, "C"); /* see tarwalk.h */
	hash_free(hash_new(HASH_SHA512));
	hash_free(hash_new(HASH_SHA256));
	if (setrlimit(RLIMIT_CORE, &none) < 0 ||
	    (!SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "confining the %s", job->what);
	r = job->prepare ? job->prepare(job->arg, err) : 0;
	if (r < 0)
		return r;
	r = filter();
	return r < 0 ? error_set(err, r, "confining the %s: %s", job->what, strerror(-r)) : 0;
}

static void __attribute__((noreturn)) child(const struct confined_job *job, int fd)
{
	struct answer answer = {.error = ERROR_INIT};
	cleanup_free void *result = xcalloc(1, job->result_len);

	answer.result = confine(job, &answer.error);
	if (answer.result == 0)
		answer.result = job->run(job->arg, result, &answer.error);
	if (write_all(fd, &answer, sizeof(answer)) < 0 ||
	    write_all(fd, result, job->result_len) < 0)
		_exit(1);
	_exit(0);
}

int confined_start(const struct confined_job *job, struct confined *ret, struct error *err)
{
	pid_t pid, parent = getpid();
	int pipefd[2];

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return error_errno(err, "pipe");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close_others(job->fds, job->nfds, pipefd[1]);
		child(job, pipefd[1]);
	}
	close(pipefd[1]);
	if (pid < 0) {
		close(pipefd[0]);
		return error_errno(err, "fork");
	}
	*ret = (struct confined){job->what, pid, pipefd[0], job->result_len};
	return 0;
}

/* 0, -ENODATA when the other end is closed before, -ETIMEDOUT. */
static int read_exactly(int fd, void *dst, size_t len, int timeout_ms)
{
	char *p = dst;

	while (len > 0) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		ssize_t n = poll(&readable, 1, timeout_ms);

		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			n = read(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -ENODATA;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The child is gone or about to go. Returns its status. */
static int reap(struct confined *confined)
{
	int status = 0;

	close_fd(&confined->fd);
	while (waitpid(confined->pid, &status, 0) < 0 && errno == EINTR)
		;
	confined->pid = -1;
	return status;
}

int confined_finish(struct confined *confined, void *ret, int timeout_ms, struct error *err)
{
	cleanup_free void *result = xcalloc(1, confined->result_len);
	struct answer answer = {.error = ERROR_INIT};
	int r, status;

	if (confined->pid < 0)
		return error_set(err, -EPROTO, "the %s is gone", confined->what);
	r = read_exactly(confined->fd, &answer, sizeof(answer), timeout_ms);
	if (r == 0)
		r = read_exactly(confined->fd, result, confined->result_len, timeout_ms);
	if (r == -ETIMEDOUT)
		return error_set(err, r, "the %s does not get ahead", confined->what);
	status = reap(confined);
	if (r < 0 && WIFSIGNALED(status))
		return error_set(err, -EPROTO, "the %s was killed by signal %d", confined->what,
				 WTERMSIG(status));
	if (r < 0)
		return error_set(err, -EPROTO, "the %s died", confined->what);
	if (answer.result != 0) {
		answer.error.msg[sizeof(answer.error.msg) - 1] = '\0';
		return error_set(err, answer.result < 0 ? answer.result : -EPROTO, "%s",
				 answer.error.msg);
	}
	memcpy(ret, result, confined->result_len);
	return 0;
}

void confined_end(struct confined *confined)
{
	if (confined->pid < 0)
		return;
	kill(confined->pid, SIGKILL);
	reap(confined);
}

int confined_call(int (*fn)(void *arg, void *result, struct error *err), void *arg, void *ret,
		  size_t result_len, const int *fds, size_t nfds, struct error *err)
{
	const struct confined_job job = {
		.what = "image reader",
		.run = fn,
		.arg = arg,
		.result_len = result_len,
		.fds = fds,
		.nfds = nfds,
	};
	struct confined confined = CONFINED_INIT;
	int r = confined_start(&job, &confined, err);

	return r < 0 ? r : confined_finish(&confined, ret, -1, err);
}
