/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_EXEC_H
#define INITRD_EXEC_H

#include <stdbool.h>
#include <stddef.h>

#include "initrd/text.h"

/* Executing an app's program, and saying in words why that did not work. */

/*
 * The next place to look for a program whose name holds no slash: path is the value of PATH, *pos
 * where to go on, starting with 0. False when there are no more. A candidate longer than size is
 * left out. An empty element of PATH is the working directory.
 */
bool init_exec_candidate(const char *path, size_t *pos, const char *name, char *buf, size_t size)
	__attribute__((nonnull));

/*
 * Execute argv[0] in the caller's root and working directory: a name with a slash as it is, any
 * other searched in envp's PATH. Returns only on failure: a negative errno, and why.
 */
int init_exec(char *const *argv, char *const *envp, struct init_text *why) __attribute__((nonnull));

/* Say why executing path gave code (a positive errno): "Error: ...", one line. */
void init_exec_diagnose(const char *path, int code, struct init_text *why) __attribute__((nonnull));

#endif
