/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_EVENTLOG_H
#define COMMON_EVENTLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/*
 * The TCG event log, crypto-agile format (TCG PC Client Platform Firmware Profile; section 12 of
 * the machine interfaces): a header, then one record for every extend of a PCR, with a digest for
 * each bank. Replaying it gives the PCRs' values, which is what makes it believable.
 *
 * Written by the launch measurement, read by guests and by verifiers. The reader trusts nothing.
 */

#define EVENTLOG_PCRS	   24
#define EVENTLOG_MAX	   (96U << 10) /* bytes: 64 apps with two records each, names included */
#define EVENTLOG_EVENT_MAX 2304	       /* bytes of one record's event data: a command line */

#define SHA256_SIZE 32
#define SHA384_SIZE 48

/* Event types (TCG PFP table 9); rkt's own for what it measures of an app. */
#define EV_NO_ACTION		 0x00000003
#define EV_SEPARATOR		 0x00000004
#define EV_S_CRTM_VERSION	 0x00000008
#define EV_S_CRTM_CONTENTS	 0x00000007
#define EV_PLATFORM_CONFIG_FLAGS 0x0000000a
#define EV_IPL			 0x0000000d
#define EV_RKT			 0x00001000

/* A digest in every bank of the vTPM: both are active, so both are always extended. */
struct digests {
	uint8_t sha256[SHA256_SIZE];
	uint8_t sha384[SHA384_SIZE];
};

/* The digests of bytes in memory. */
void digests_of(const void *data, size_t len, struct digests *ret) __attribute__((nonnull(3)));

/* The values of all PCRs in both banks. Zero-initialised is what a TPM starts with. */
struct pcrs {
	struct digests pcr[EVENTLOG_PCRS];
};

/* PCR = H(PCR || digest), in both banks. */
void pcrs_extend(struct pcrs *pcrs, unsigned pcr, const struct digests *digests)
	__attribute__((nonnull));

struct eventlog_record {
	uint32_t pcr;
	uint32_t type;
	struct digests digests;
	const uint8_t *event; /* points into the log */
	uint32_t event_len;
};

/* A log being written. */
struct eventlog {
	uint8_t *data; /* owned, EVENTLOG_MAX bytes */
	size_t len;
};

/* Begin with the header record. */
void eventlog_init(struct eventlog *log) __attribute__((nonnull));
void eventlog_free(struct eventlog *log) __attribute__((nonnull));

/* Append a record. -ENOSPC when the log is full: the launch must fail then, not go on unmeasured. */
int eventlog_add(struct eventlog *log, uint32_t pcr, uint32_t type, const struct digests *digests,
		 const void *event, size_t event_len, struct error *err) __attribute__((nonnull));

/* A log being read. */
struct eventlog_reader {
	const uint8_t *p;
	size_t len;
	unsigned index; /* of the record that comes next, for messages */
};

/* Check the header: both banks in our order. */
int eventlog_open(struct eventlog_reader *reader, const void *data, size_t len, struct error *err)
	__attribute__((nonnull));
/* The next record. 1 and *ret, 0 at the end, negative when the log is malformed. */
int eventlog_next(struct eventlog_reader *reader, struct eventlog_record *ret, struct error *err)
	__attribute__((nonnull));

/* The PCR values the whole log gives. */
int eventlog_replay(const void *data, size_t len, struct pcrs *ret, struct error *err)
	__attribute__((nonnull));

#endif
