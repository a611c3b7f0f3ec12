/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_ULIMIT_H
#define COMMON_ULIMIT_H

#include <stdint.h>

#include "common/error.h"

/* Limits of setrlimit(2) as podman's --ulimit names and writes them. */

#define ULIMIT_UNLIMITED UINT64_MAX

struct ulimit {
	unsigned resource;   /* Linux's number of it */
	uint64_t soft, hard; /* soft is not above hard */
};

/*
 * Read SOFT[:HARD]; without HARD both are the same. A number, or "unlimited" or "-1". Units are
 * setrlimit(2)'s. -EINVAL when name is no limit's or text is none.
 */
int ulimit_parse(const char *name, const char *text, struct ulimit *ret, struct error *err)
	__attribute__((nonnull));

#endif
