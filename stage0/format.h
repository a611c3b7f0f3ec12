/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FORMAT_H
#define STAGE0_FORMAT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"

/* How commands print: tables, times, durations, JSON (rkt-behaviour 1.5, 1.6). */

/* A table of n columns: cells row by row, the first row is the header. */
struct table {
	size_t columns;
	struct strv cells;
};

/* Pad with tabs, column widths are multiples of 8. legend: print the header too. */
void table_print(FILE *out, const struct table *table, bool legend) __attribute__((nonnull));

/* "now", "1 second ago", "2 weeks ago"; times in nanoseconds since 1970. The caller frees. */
char *time_ago(int64_t then, int64_t now);
/* "2006-01-02 15:04:05.999 -0700 MST". The caller frees. */
char *time_full(int64_t ns);
int64_t time_now(void);

/* Bytes for people: "512B", "1.5KiB", "19MiB". The caller frees. */
char *size_text(uint64_t bytes);

/* Go's durations: "1h30m", "1.5s", "300ms", "0". In nanoseconds, negative ones allowed. */
int duration_parse(const char *text, int64_t *ret, struct error *err) __attribute__((nonnull));
/* As Go prints them, to the second: "30m0s". The caller frees. */
char *duration_text(int64_t ns);

/* The values of --format. */
enum format {
	FORMAT_TEXT,
	FORMAT_JSON,
	FORMAT_JSON_PRETTY,
};
/* text may be NULL: none was given. */
int format_parse(const char *text, enum format *ret, struct error *err)
	__attribute__((nonnull(2, 3)));
/* One document and a newline. */
void format_json(FILE *out, struct json_object *doc, enum format format)
	__attribute__((nonnull(1)));

#endif
