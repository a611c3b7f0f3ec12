/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_ISOLATOR_H
#define VMM_ISOLATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"
#include "common/ulimit.h"
#include "vmm/seccomp.h"

/* An app's isolators (images.md section 7): resource limits, capabilities, system calls. */

#define ISOLATORS_ULIMITS_MAX 16 /* there are as many resources */
#define ISOLATORS_NOTES_MAX   32 /* lines about what is not enforced */

struct isolators {
	uint64_t memory;       /* limit in bytes, 0: none */
	uint64_t disk_rate[2]; /* bytes and operations a second of its disk; 0: no limit */
	uint64_t cpu;	       /* limit in thousandths of a CPU, 0: none */
	uint64_t caps;	       /* bounding set, bit n is capability n */
	uint32_t shares;       /* weight of CPU time, 1024 is everybody's; 0: none is set */
	bool no_new_privs;
	bool has_oom;
	int32_t oom;	  /* oom_score_adj */
	bool has_seccomp; /* an isolator says so; else it is the default */
	struct seccomp_spec seccomp;
	struct ulimit ulimits[ISOLATORS_ULIMITS_MAX];
	unsigned nulimits;
};

/*
 * Read the list "isolators" of an app section. Of several of one name the last counts. What is not
 * enforced is added to notes, a line each. *ret is the caller's to isolators_free().
 */
int isolators_parse(struct json_object *section, struct isolators *ret, struct strv *notes,
		    struct error *err) __attribute__((nonnull));
void isolators_free(struct isolators *iso) __attribute__((nonnull));

#endif
