/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_EXPECTED_H
#define STAGE0_ATTEST_EXPECTED_H

#include <stddef.h>

#include "common/error.h"
#include "common/eventlog.h"
#include "common/json.h"
#include "stage0/attest/bytes.h"

/*
 * Reference values: what a pod's launch measurement must say. In memory an event log like the pod's
 * own (docs/measurement.md); in a file JSON that people can read and compare:
 *
 *   {"kind":"tripod-expected","version":1,
 *    "pcrs":{"sha256":{"0":HEX,...},"sha384":{...}},
 *    "events":[{"pcr":N,"type":N,"sha256":HEX,"sha384":HEX,"event":B64,"description":TEXT},...]}
 *
 * pcrs is what the events give, and description is what event says: a reader needs neither.
 */

#define EXPECTED_DESCRIPTION_MAX 128 /* bytes, its NUL included */

/* The document for a log. The caller puts *ret. */
int expected_from_log(const void *log, size_t len, struct json_object **ret, struct error *err)
	__attribute__((nonnull));

/* The log of a document. pcrs must be what the events give. *ret is the caller's to free. */
int expected_parse(const char *text, size_t len, struct eventlog *ret, struct error *err)
	__attribute__((nonnull));

/* The values of all PCRs that a log extends. */
int expected_pcrs(const void *log, size_t len, struct pcr_set *ret, struct error *err)
	__attribute__((nonnull));

/* What an event is about: "PCR 8, kernel_cmdline: ...". Escaped, cut to size. */
void event_describe(const struct eventlog_record *record, char ret[EXPECTED_DESCRIPTION_MAX])
	__attribute__((nonnull));

/*
 * Whether a pod's log says what is expected. -EPERM with the first event that differs, in the words
 * of the expected one; -EINVAL when a log is malformed.
 */
int expected_compare(const void *log, size_t len, const struct eventlog *expected,
		     struct error *err) __attribute__((nonnull));

#endif
