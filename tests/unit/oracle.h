/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_ORACLE_H
#define TESTS_UNIT_ORACLE_H

#include <stddef.h>

/*
 * The accept and reject oracle of images.md 11 for image manifests, each row with our rule as the
 * answer, and cases of our own beside it. What the table says of pods is in test_pod_oracle.c.
 */

enum oracle_answer {
	ACCEPT,
	WARN, /* accepted, but odd */
	REJECT,
};

struct oracle_row {
	const char *row; /* the case as the table spells it, or about so; NULL: one of our own */
	const char *text;
	enum oracle_answer want;
};

extern const struct oracle_row oracle_rows[];
extern const size_t oracle_nrows;

#endif
