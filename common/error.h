/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

#include <errno.h>

/*
 * The one error type, for operational failures (host, user, image, network).
 *
 * A function that can fail returns int, 0 or a negative errno, and takes a struct error last.
 * The message is made where the context is known, gets more context on the way up with
 * error_wrap(), and is printed once, by main. A callee never reads what is in it and leaves it
 * alone on success.
 */

#define ERROR_MSG_MAX 2048 /* a message longer than this is cut, never lost */

struct error {
	int code; /* negative errno, 0 while there is no error */
	char msg[ERROR_MSG_MAX];
};

#define ERROR_INIT                                                                                 \
	{                                                                                          \
		.code = 0                                                                          \
	}

/* Record a failure. code, a negative errno, is returned: "return error_set(...)". */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), nonnull(1, 3)));

/* Record a failed system call: errno is the code and its text is appended to the message. */
int error_errno(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(1, 2)));

/* Put "context: " before the message of an error that is passed on. Returns err->code. */
int error_wrap(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(1, 2)));

/* What these return is negative, which a checker of one file at a time can not see. */
#ifdef __clang_analyzer__
#define error_set(err, code, ...) ((error_set)(err, code, __VA_ARGS__), (code))
#define error_errno(err, ...)	  ((error_errno)(err, __VA_ARGS__), -EIO)
#define error_wrap(err, ...)	  ((error_wrap)(err, __VA_ARGS__), -EIO)
#endif

#endif
