/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_ISOLATOR_H
#define VMM_ISOLATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"

/* An app's isolators (images.md section 7): resource limits and capabilities. */

#define ISOLATORS_IGNORED_MAX 32 /* names reported of isolators that are not enforced */

struct isolators {
	uint64_t memory; /* limit in bytes, 0: none */
	uint64_t cpu;	 /* limit in thousandths of a CPU, 0: none */
	uint64_t caps;	 /* bounding set, bit n is capability n */
};

/*
 * Read the list "isolators" of an app section. Of several of one name the last counts. Names of
 * those that are not enforced are added to ignored.
 */
int isolators_parse(struct json_object *section, struct isolators *ret, struct strv *ignored,
		    struct error *err) __attribute__((nonnull));

#endif
