/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_DOCTOR_H
#define STAGE0_DOCTOR_H

#include "stage0/command.h"

/* What tripod needs of a host, looked at one by one. */

enum verdict {
	VERDICT_OK,
	VERDICT_INFO, /* good to know; nothing runs worse today */
	VERDICT_WARN, /* pods run, but */
	VERDICT_FAIL, /* pods do not run */
};

struct finding {
	const char *check; /* what was looked at, a static string */
	enum verdict verdict;
	char *found;
	char *advice; /* how to mend it, or NULL */
};

struct diagnosis {
	struct finding *v;
	size_t n;
	struct strv probe; /* "key=value" of the VMM about this host's KVM */
};

/* Look at everything. stage1_path as --stage1-path, or NULL. */
void diagnose(const struct globals *globals, const char *stage1_path, struct diagnosis *ret)
	__attribute__((nonnull(1, 3)));
void diagnosis_free(struct diagnosis *diagnosis) __attribute__((nonnull));

/* Whether pods can run. */
bool diagnosis_is_good(const struct diagnosis *diagnosis) __attribute__((nonnull));

#endif
