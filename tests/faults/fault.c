/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures on demand, for LD_PRELOAD: the n-th call of a kind fails, counted over all processes that
 * come of the first one.
 *
 *	FAULT_FILE	a file of one page of zeroes: the counts of calls, by kind, in 64-bit numbers
 *	FAULT_KIND	the number of the kind that fails; KILL: no call fails, but the n-th call of
 *			any kind kills the first process
 *	FAULT_NUMBER	n, from 1; 0: count only
 *
 * Kinds are the order of the list below. Only calls across libraries count: what libc does within
 * itself is not seen.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define KILL 99

enum kind {
	WRITE,
	RENAME,
	SYNC,
	OPEN,
	CREATE, /* directories and links */
	REMOVE,
	READ,
	STAT,
	PROCESS, /* fork, pipe, socketpair, eventfd, threads */
	MMAP,
	LOCK,
	MALLOC,
	KINDS,
	ALL = KINDS, /* the count of all of them */
};

struct shared {
	_Atomic uint64_t count[KINDS + 1];
	_Atomic uint64_t first; /* process */
};

static struct shared *shared;
static int fault_kind;
static uint64_t fault_number;

static long number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : 0;
}

static void *real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_FILE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	uint64_t none = 0;
	void *page;

	if (fd < 0)
		return;
	fault_kind = (int)number("FAULT_KIND");
	fault_number = (uint64_t)number("FAULT_NUMBER");
	page = real_mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return;
	shared = page;
	atomic_compare_exchange_strong(&shared->first, &none, (uint64_t)getpid());
}

/* Whether this call is the one. */
static int fails(enum kind kind, int error)
{
	uint64_t n, all;

	if (!shared)
		return 0;
	n = atomic_fetch_add(&shared->count[kind], 1) + 1;
	all = atomic_fetch_add(&shared->count[ALL], 1) + 1;
	if (fault_kind == KILL && all == fault_number)
		kill((pid_t)shared->first, SIGKILL);
	if (fault_kind != (int)kind || n != fault_number)
		return 0;
	errno = error;
	return 1;
}

/* The function of libc's of this name, whose type it has. */
#define REAL(name)                                                                                 \
	({                                                                                         \
		static typeof(&name) real_##name;                                                  \
		if (!real_##name)                                                                  \
			real_##name = (typeof(&name))dlsym(RTLD_NEXT, #name);                      \
		real_##name;                                                                       \
	})

#define EXPORT __attribute__((visibility("default")))

/* Define name so that it fails when it is its turn. */
#define FAULTY(kind, error, fail, type, name, params, args)                                        \
	EXPORT type name params                                                                    \
	{                                                                                          \
		typeof(&name) real = REAL(name);                                                   \
		return fails(kind, error) ? (fail) : real args;                                    \
	}

static void *real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return REAL(mmap)(addr, len, prot, flags, fd, offset);
}

FAULTY(WRITE, ENOSPC, -1, ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
FAULTY(WRITE, ENOSPC, -1, ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at),
       (fd, p, n, at))
FAULTY(WRITE, ENOSPC, -1, ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
FAULTY(WRITE, ENOSPC, -1, int, ftruncate, (int fd, off_t size), (fd, size))
FAULTY(WRITE, ENOSPC, -1, ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at),
       (fd, p, n, at))
FAULTY(WRITE, ENOSPC, -1, int, ftruncate64, (int fd, off64_t size), (fd, size))
FAULTY(WRITE, EIO, -1, off64_t, lseek64, (int fd, off64_t at, int whence), (fd, at, whence))
FAULTY(WRITE, ENOBUFS, -1, ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags),
       (fd, msg, flags))
FAULTY(WRITE, ENOBUFS, -1, ssize_t, send, (int fd, const void *p, size_t n, int flags),
       (fd, p, n, flags))
FAULTY(RENAME, EIO, -1, int, rename, (const char *a, const char *b), (a, b))
FAULTY(RENAME, EIO, -1, int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d))
FAULTY(RENAME, EIO, -1, int, renameat2, (int a, const char *b, int c, const char *d, unsigned f),
       (a, b, c, d, f))
FAULTY(SYNC, EIO, -1, int, fsync, (int fd), (fd))
FAULTY(SYNC, EIO, -1, int, fdatasync, (int fd), (fd))
FAULTY(CREATE, ENOSPC, -1, int, mkdirat, (int dir, const char *path, mode_t mode),
       (dir, path, mode))
FAULTY(CREATE, EMLINK, -1, int, linkat, (int a, const char *b, int c, const char *d, int f),
       (a, b, c, d, f))
FAULTY(CREATE, ENOSPC, -1, int, symlinkat, (const char *a, int b, const char *c), (a, b, c))
FAULTY(REMOVE, EIO, -1, int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
FAULTY(READ, EIO, -1, ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
FAULTY(READ, EIO, -1, ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
FAULTY(READ, EIO, -1, ssize_t, pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at))
FAULTY(READ, EIO, -1, ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))
FAULTY(READ, EIO, -1, ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
FAULTY(STAT, EIO, -1, int, fstat64, (int fd, struct stat64 *st), (fd, st))
FAULTY(STAT, EIO, -1, int, fstatat64, (int dir, const char *path, struct stat64 *st, int flags),
       (dir, path, st, flags))
FAULTY(STAT, EIO, -1, int, fstat, (int fd, struct stat *st), (fd, st))
FAULTY(STAT, EIO, -1, int, fstatat, (int dir, const char *path, struct stat *st, int flags),
       (dir, path, st, flags))
FAULTY(PROCESS, EAGAIN, -1, pid_t, fork, (void), ())
FAULTY(PROCESS, EMFILE, -1, int, pipe2, (int fds[2], int flags), (fds, flags))
FAULTY(PROCESS, EMFILE, -1, int, socketpair, (int a, int b, int c, int fds[2]), (a, b, c, fds))
FAULTY(PROCESS, EMFILE, -1, int, eventfd, (unsigned n, int flags), (n, flags))
FAULTY(MMAP, ENOMEM, MAP_FAILED, void *, mmap,
       (void *addr, size_t len, int prot, int flags, int fd, off_t offset),
       (addr, len, prot, flags, fd, offset))
FAULTY(MMAP, ENOMEM, MAP_FAILED, void *, mmap64,
       (void *addr, size_t len, int prot, int flags, int fd, off64_t offset),
       (addr, len, prot, flags, fd, offset))
FAULTY(LOCK, ENOLCK, -1, int, flock, (int fd, int operation), (fd, operation))

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	typeof(&pthread_create) real = REAL(pthread_create);

	return fails(PROCESS, EAGAIN) ? EAGAIN : real(thread, attr, run, arg);
}

/* The mode is there or not read by libc either. */
#define FAULTY_OPEN(name, params, args)                                                            \
	EXPORT int name params                                                                     \
	{                                                                                          \
		typeof(&name) real = REAL(name);                                                   \
		mode_t mode;                                                                       \
		va_list ap;                                                                        \
		va_start(ap, flags);                                                               \
		mode = va_arg(ap, mode_t);                                                         \
		va_end(ap);                                                                        \
		return fails(OPEN, EMFILE) ? -1 : real args;                                       \
	}

FAULTY_OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
FAULTY_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
FAULTY_OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
FAULTY_OPEN(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))

/* dlsym() allocates, so these are libc's own by the names it exports for that. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

EXPORT void *malloc(size_t size)
{
	return fails(MALLOC, ENOMEM) ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
	return fails(MALLOC, ENOMEM) ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc(void *p, size_t size)
{
	return fails(MALLOC, ENOMEM) ? NULL : __libc_realloc(p, size);
}
