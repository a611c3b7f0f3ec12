/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attest/verify.h"

#include <errno.h>
#include <string.h>

#include "common/encode.h"
#include "common/util.h"
#include "stage0/attest/expected.h"

/* rkt has a place for a digest of the root file systems and never fills it. */
char *record_of_launch(const char *manifest, const char *args)
{
	return xasprintf("rkt: Rootfs:  Manifest: %s Stage1 args: %s", manifest, args);
}

char *record_of_key(const char *pod, const char *key_name)
{
	return xasprintf("tripod: Pod: %s AK: %s", pod, key_name);
}

/* The PCRs that a log extends. */
static int extended_pcrs(const struct bytes *log, uint32_t *ret, struct error *err)
{
	struct eventlog_reader reader;
	struct eventlog_record record;
	uint32_t mask = 0;
	int r = eventlog_open(&reader, log->p, log->len, err);

	if (r < 0)
		return r;
	while ((r = eventlog_next(&reader, &record, err)) > 0)
		if (record.type != EV_NO_ACTION)
			mask |= 1U << record.pcr;
	if (r == 0)
		*ret = mask;
	return r;
}

/* Whether the log gives the quoted values, and the quote is of all of the log. */
static int check_log(const struct evidence *evidence, struct error *err)
{
	const struct pcr_set *quoted = &evidence->quote.pcrs;
	uint32_t missing = 0;
	struct pcrs replayed;
	int r = extended_pcrs(&evidence->log, &missing, err);

	if (r == 0)
		r = eventlog_replay(evidence->log.p, evidence->log.len, &replayed, err);
	if (r < 0)
		return r;
	for (enum bank bank = 0; bank < BANKS; bank++) {
		for (unsigned pcr = 0; pcr < EVENTLOG_PCRS; pcr++) {
			struct digests value = quoted->values.pcr[pcr];

			if (!(quoted->mask[bank] & (1U << pcr)))
				continue;
			if (memcmp(bank_digest(&value, bank), bank_digest(&replayed.pcr[pcr], bank),
				   bank_size(bank)) != 0)
				return error_set(err, -EBADMSG,
						 "%s PCR %u is not what the event log gives: the "
						 "log was edited, or the PCR was extended after "
						 "the launch",
						 bank_name(bank), pcr);
		}
		missing &= ~quoted->mask[bank];
	}
	for (unsigned pcr = 0; pcr < EVENTLOG_PCRS; pcr++)
		if (missing & (1U << pcr))
			return error_set(err, -EBADMSG,
					 "PCR %u is in the event log and was not quoted", pcr);
	return 0;
}

int verify_pod(const struct evidence *evidence, const void *nonce, size_t nonce_len,
	       const struct eventlog *expected, struct error *err)
{
	int r = quote_verify(&evidence->quote, nonce, nonce_len, err);

	if (r == 0)
		r = check_log(evidence, err);
	if (r == 0)
		r = expected_compare(evidence->log.p, evidence->log.len, expected, err);
	return r;
}

void record_extend(uint8_t pcr[SHA256_SIZE], const char *record)
{
	struct pcrs pcrs = {.pcr = {{{0}, {0}}}};
	struct error ignored = ERROR_INIT;
	struct digests digests;
	size_t len = 0;

	digests_of(record, strlen(record), &digests);
	if (strlen(record) == (size_t)2 * SHA256_SIZE)
		(void)hex_decode(record, digests.sha256, SHA256_SIZE, &len, &ignored);
	memcpy(pcrs.pcr[HOST_PCR].sha256, pcr, SHA256_SIZE);
	pcrs_extend(&pcrs, HOST_PCR, &digests);
	memcpy(pcr, pcrs.pcr[HOST_PCR].sha256, SHA256_SIZE);
}

/* Whether a record is of the launch of the pod: its last argument is the UUID. */
static bool is_launch_of(const char *record, const char *pod)
{
	cleanup_free char *end = xasprintf(" %s", pod);

	return str_starts_with(record, "rkt: Rootfs: ") && strstr(record, " Stage1 args: ") &&
	       str_ends_with(record, end);
}

int verify_host(const struct host_evidence *host, const struct evidence *evidence,
		const void *nonce, size_t nonce_len, struct error *err)
{
	char name[QUOTE_HEX_MAX(QUOTE_NAME_MAX)];
	const uint8_t *value = host->quote.pcrs.values.pcr[HOST_PCR].sha256;
	cleanup_free char *key = NULL;
	bool launched = false, vouched = false;
	uint8_t pcr[SHA256_SIZE];
	int r = quote_verify(&host->quote, nonce, nonce_len, err);

	if (r == 0)
		r = quote_key_name(&evidence->quote, name, err);
	if (r < 0)
		return error_wrap(err, "host");
	key = record_of_key(evidence->pod, name);
	memcpy(pcr, host->start, sizeof(pcr));
	for (size_t i = 0; i < host->records.n; i++) {
		record_extend(pcr, host->records.v[i]);
		launched = launched || is_launch_of(host->records.v[i], evidence->pod);
		/* a key is the pod's when the pod was launched before */
		vouched = vouched || (launched && strcmp(host->records.v[i], key) == 0);
	}
	if (!(host->quote.pcrs.mask[BANK_SHA256] & (1U << HOST_PCR)))
		return error_set(err, -EBADMSG, "host: PCR %d was not quoted", HOST_PCR);
	if (memcmp(pcr, value, sizeof(pcr)) != 0)
		return error_set(err, -EBADMSG, "host: PCR %d is not what its records give",
				 HOST_PCR);
	if (!launched)
		return error_set(err, -EPERM, "host: no record of the launch of pod %s",
				 evidence->pod);
	if (!vouched)
		return error_set(err, -EPERM,
				 "host: no record of the key that signed the pod's quote");
	return 0;
}
