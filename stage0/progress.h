/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_PROGRESS_H
#define STAGE0_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "stage0/fetch/fetch.h"

/*
 * What a user sees while images are fetched: on a terminal a line for each transfer, drawn in place;
 * elsewhere a line when one begins and one when it ended. Lines of the log go above them.
 */

#define PROGRESS_TRANSFERS_MAX 16 /* shown at a time; more are counted, not shown */

struct progress;

/* To stderr. bars: as on a terminal. quiet: no transfers at all. */
struct progress *progress_new(bool bars, bool quiet) __attribute__((returns_nonnull));
/* Whether stderr is a terminal that lines can be drawn on. */
bool progress_on_terminal(void);
/* What a fetch reports goes to the log and to the lines. */
struct fetch_report progress_report(struct progress *progress) __attribute__((nonnull));
void progress_free(struct progress *progress); /* NULL is fine */
static inline void progress_freep(struct progress **progress)
{
	progress_free(*progress);
}
#define cleanup_progress cleanup(progress_freep)

/* A transfer's line, at most width columns: what, how much of it, how fast. */
void progress_line(struct str *str, const char *what, uint64_t now, uint64_t total,
		   uint64_t bytes_per_second, size_t width) __attribute__((nonnull));

#endif
