/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/error.h"

/*
 * The one logger: a line on stderr, "prefix: text", written in one piece. Whatever the text holds
 * is escaped, so a hostile name can not forge lines or drive a terminal.
 * Library code returns errors; only programs (main, commands, the VMM's event loop) log.
 */

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

/* prefix is kept, not copied. Lines above the level are dropped. */
void log_init(const char *prefix, enum log_level level) __attribute__((nonnull));
/* Change the level alone: an option that asks for more may come late. */
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(2)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
