/* SPDX-License-Identifier: Apache-2.0 */
#include "common/eventlog.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/buf.h"
#include "common/hash.h"
#include "common/util.h"

#define TPM_ALG_SHA256 0x000b
#define TPM_ALG_SHA384 0x000c

#define SHA1_SIZE 20 /* of the digest in the header record, all zero */

static const char spec_id_signature[16] = "Spec ID Event03";

/* A record's bytes but for its event: pcr, type, digest count, both digests with ids, event size */
#define RECORD_SIZE (4 + 4 + 4 + (2 + SHA256_SIZE) + (2 + SHA384_SIZE) + 4)

static void digest_of(enum hash_alg alg, const void *a, size_t alen, const void *b, size_t blen,
		      uint8_t *ret)
{
	cleanup_hash struct hash *hash = hash_new(alg);

	hash_update(hash, a, alen);
	hash_update(hash, b, blen);
	hash_final(hash, ret);
}

void digests_of(const void *data, size_t len, struct digests *ret)
{
	digest_of(HASH_SHA256, data, len, NULL, 0, ret->sha256);
	digest_of(HASH_SHA384, data, len, NULL, 0, ret->sha384);
}

void pcrs_extend(struct pcrs *pcrs, unsigned pcr, const struct digests *digests)
{
	struct digests *value = &pcrs->pcr[pcr];

	assert(pcr < EVENTLOG_PCRS);
	digest_of(HASH_SHA256, value->sha256, SHA256_SIZE, digests->sha256, SHA256_SIZE,
		  value->sha256);
	digest_of(HASH_SHA384, value->sha384, SHA384_SIZE, digests->sha384, SHA384_SIZE,
		  value->sha384);
}

/* Writing; the caller has made sure of the room. All hosts we run on are little endian. */

static void put(struct eventlog *log, const void *p, size_t len)
{
	assert(len <= EVENTLOG_MAX - log->len);
	memcpy(log->data + log->len, p, len);
	log->len += len;
}

static void put_u8(struct eventlog *log, uint8_t v)
{
	put(log, &v, sizeof(v));
}

static void put_u16(struct eventlog *log, uint16_t v)
{
	put(log, &v, sizeof(v));
}

static void put_u32(struct eventlog *log, uint32_t v)
{
	put(log, &v, sizeof(v));
}

void eventlog_init(struct eventlog *log)
{
	static const uint8_t zero[SHA1_SIZE];

	log->data = xcalloc(1, EVENTLOG_MAX);
	log->len = 0;
	put_u32(log, 0);
	put_u32(log, EV_NO_ACTION);
	put(log, zero, SHA1_SIZE);
	put_u32(log, sizeof(spec_id_signature) + 4 + 4 + 4 + 2 * 4 + 1);
	put(log, spec_id_signature, sizeof(spec_id_signature));
	put_u32(log, 0); /* platform class: client */
	put_u8(log, 0);	 /* version 2.0, errata 0 */
	put_u8(log, 2);
	put_u8(log, 0);
	put_u8(log, 2); /* uintn is 64 bits */
	put_u32(log, 2);
	put_u16(log, TPM_ALG_SHA256);
	put_u16(log, SHA256_SIZE);
	put_u16(log, TPM_ALG_SHA384);
	put_u16(log, SHA384_SIZE);
	put_u8(log, 0); /* vendor info */
}

void eventlog_free(struct eventlog *log)
{
	free(log->data);
	*log = (struct eventlog){.data = NULL};
}

int eventlog_add(struct eventlog *log, uint32_t pcr, uint32_t type, const struct digests *digests,
		 const void *event, size_t event_len, struct error *err)
{
	assert(pcr < EVENTLOG_PCRS && event_len <= EVENTLOG_EVENT_MAX);
	if (EVENTLOG_MAX - log->len < RECORD_SIZE + event_len)
		return error_set(err, -ENOSPC, "event log is full at %zu bytes", log->len);
	put_u32(log, pcr);
	put_u32(log, type);
	put_u32(log, 2);
	put_u16(log, TPM_ALG_SHA256);
	put(log, digests->sha256, SHA256_SIZE);
	put_u16(log, TPM_ALG_SHA384);
	put(log, digests->sha384, SHA384_SIZE);
	put_u32(log, (uint32_t)event_len);
	put(log, event, event_len);
	return 0;
}

/* Reading */

static bool spec_id_is_ours(struct buf *event)
{
	const uint8_t *signature = buf_bytes(event, sizeof(spec_id_signature));

	if (!signature || memcmp(signature, spec_id_signature, sizeof(spec_id_signature)) != 0)
		return false;
	buf_bytes(event, 4 + 1 + 1 + 1 + 1); /* platform class, version, errata, uintn size */
	return buf_le32(event) == 2 && buf_le16(event) == TPM_ALG_SHA256 &&
	       buf_le16(event) == SHA256_SIZE && buf_le16(event) == TPM_ALG_SHA384 &&
	       buf_le16(event) == SHA384_SIZE && !event->failed;
}

int eventlog_open(struct eventlog_reader *reader, const void *data, size_t len, struct error *err)
{
	struct buf buf = buf_from(data, len), event;
	uint32_t pcr = buf_le32(&buf), type = buf_le32(&buf);

	buf_bytes(&buf, SHA1_SIZE);
	event = buf_sub(&buf, buf_le32(&buf));
	if (buf.failed || pcr != 0 || type != EV_NO_ACTION || !spec_id_is_ours(&event))
		return error_set(err, -EINVAL,
				 "event log: no header of a log with SHA-256 and SHA-384 banks");
	*reader = (struct eventlog_reader){.p = buf.p, .len = buf.len};
	return 0;
}

int eventlog_next(struct eventlog_reader *reader, struct eventlog_record *ret, struct error *err)
{
	struct buf buf = buf_from(reader->p, reader->len);
	struct eventlog_record record = {.pcr = 0};
	bool algs;

	if (reader->len == 0)
		return 0;
	record.pcr = buf_le32(&buf);
	record.type = buf_le32(&buf);
	algs = buf_le32(&buf) == 2 && buf_le16(&buf) == TPM_ALG_SHA256;
	buf_copy(&buf, record.digests.sha256, SHA256_SIZE);
	algs = buf_le16(&buf) == TPM_ALG_SHA384 && algs;
	buf_copy(&buf, record.digests.sha384, SHA384_SIZE);
	record.event_len = buf_le32(&buf);
	record.event = buf_bytes(&buf, record.event_len);
	if (buf.failed || !algs)
		return error_set(err, -EINVAL, "event log: record %u is malformed", reader->index);
	if (record.pcr >= EVENTLOG_PCRS)
		return error_set(err, -EINVAL, "event log: record %u is for PCR %u", reader->index,
				 record.pcr);
	reader->p = buf.p;
	reader->len = buf.len;
	reader->index++;
	*ret = record;
	return 1;
}

int eventlog_replay(const void *data, size_t len, struct pcrs *ret, struct error *err)
{
	struct pcrs pcrs = {.pcr = {{{0}, {0}}}};
	struct eventlog_reader reader;
	struct eventlog_record record;
	int r = eventlog_open(&reader, data, len, err);

	if (r < 0)
		return r;
	while ((r = eventlog_next(&reader, &record, err)) > 0)
		if (record.type != EV_NO_ACTION)
			pcrs_extend(&pcrs, record.pcr, &record.digests);
	if (r == 0)
		*ret = pcrs;
	return r;
}
