/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_HOST_RECORDS_H
#define STAGE0_ATTEST_HOST_RECORDS_H

#include "stage0/attest/evidence.h"

/*
 * DATA/host-tpm: the digests of what was extended into the host's PCR 15, a line of hexadecimal
 * each after one with the value the PCR had before. Only believed as far as it gives the PCR's
 * present value, so a host that was started anew, another user of the PCR or a lost line cost the
 * past and nothing else: the list begins again with the value that is found.
 *
 * No fsync: a host that crashes takes its PCRs along.
 */

struct host_records {
	int fd; /* the file, open and locked; -1: none */
	uint8_t start[SHA256_SIZE];
	struct strv digests; /* hexadecimal */
};

#define HOST_RECORDS_NONE                                                                          \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Open the file and wait for its lock: before the PCR is read, until it was extended. */
int host_records_lock(const char *data_dir, struct host_records *ret, struct error *err)
	__attribute__((nonnull));
/* Read the list that leads to the PCR's value now; an empty one when the file's does not. */
int host_records_read(struct host_records *records, const uint8_t now[SHA256_SIZE],
		      struct error *err) __attribute__((nonnull));
/* Append a record's digest. */
int host_records_add(struct host_records *records, const char *record, struct error *err)
	__attribute__((nonnull));
void host_records_close(struct host_records *records) __attribute__((nonnull));

#endif
