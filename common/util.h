/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_UTIL_H
#define COMMON_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Ownership by cleanup attribute, and the few macros everybody needs.
 *
 * Small, bounded allocations go through the x...() functions, which end the process with one line
 * when there is no memory: every writer here prepares aside and renames, so that is always safe.
 * A size that comes from outside (image, guest, network) is checked against a limit and allocated
 * with malloc(), and its failure is an ordinary error.
 */

#define ARRAY_SIZE(a)	   (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)	   ((a) < (b) ? (a) : (b))
#define MAX(a, b)	   ((a) > (b) ? (a) : (b))
#define ALIGN_UP(x, a)	   (((x) + (a)-1) & ~((typeof(x))(a)-1)) /* a is a power of two */
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define KIB		   (UINT64_C(1) << 10)
#define MIB		   (UINT64_C(1) << 20)
#define GIB		   (UINT64_C(1) << 30)

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Hand an owned pointer or descriptor over, leaving nothing to clean up behind. */
#define take_ptr(p)                                                                                \
	({                                                                                         \
		typeof(p) *take_from = &(p);                                                       \
		typeof(p) taken = *take_from;                                                      \
		*take_from = NULL;                                                                 \
		taken;                                                                             \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void free_ptr(void *p)
{
	free(*(void **)p);
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
	*f = NULL;
}

#define cleanup(f)   __attribute__((cleanup(f)))
#define cleanup_free cleanup(free_ptr)
#define cleanup_fd   cleanup(close_fd)
#define cleanup_file cleanup(close_file)

/* End the process with a line: for what else allocates. */
void out_of_memory(void) __attribute__((noreturn));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, nonnull, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, nonnull, returns_nonnull));
char *xasprintf(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), malloc, returns_nonnull));

#endif
