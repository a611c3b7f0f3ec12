/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_TREELIST_H
#define TESTS_UNIT_TREELIST_H

#include <stdbool.h>

/*
 * Everything about a directory tree as text, a line an object in order of their paths: type, mode,
 * owner, links of files, size, time, device, link target, attributes, SHA-256 of the content. Two
 * trees are the same when their lists are. The caller frees it.
 */
char *treelist(int dirfd, const char *path);

#endif
