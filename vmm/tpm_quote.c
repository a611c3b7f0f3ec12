/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/tpm_quote.h"

#include <errno.h>
#include <string.h>

#include "common/buf.h"
#include "common/util.h"
#include "vmm/tpm_command.h"

#define TPM_CAP_HANDLES	     1
#define TRANSIENT_FIRST	     0x80000000
#define TRANSIENT_MAX	     8 /* more than libtpms has */
#define TPM_RC_OBJECT_MEMORY 0x902
#define TPM_ECC_NIST_P256    0x0003

/* fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign */
#define KEY_ATTRIBUTES 0x00050472

/* PCR values a TPM gives in one answer: a list of digests holds eight. */
#define PCRS_AT_ONCE 8

/* A conversation while the TPM is borrowed. */
struct talk {
	struct tis *tis;
	struct tpm_command command;
	uint8_t response[TIS_BUFFER];
	struct buf buf; /* what follows the response's header */
	uint32_t rc;
};

/* Execute the command. 0 with the TPM's result in rc, or negative when there is none. */
static int try_run(struct talk *talk, const char *what, struct error *err)
{
	struct tpm_command *c = &talk->command;
	int n;

	tpm_end(c);
	n = tis_execute(talk->tis, c->bytes, c->len, talk->response, sizeof(talk->response),
			TPM_QUOTE_WAIT_MS);
	if (n < 0)
		return error_set(err, n, "the TPM: %s: %s", what,
				 n == -ETIMEDOUT ? "no answer" : "it is gone");
	talk->buf = buf_from(talk->response, (size_t)n);
	buf_bytes(&talk->buf, 6); /* tag and size */
	talk->rc = buf_be32(&talk->buf);
	return 0;
}

static int run(struct talk *talk, const char *what, struct error *err)
{
	int r = try_run(talk, what, err);

	if (r == 0 && talk->rc != 0)
		r = error_set(err, -EIO, "the TPM: %s: error %#x", what, talk->rc);
	return r;
}

static int malformed(const char *what, struct error *err)
{
	return error_set(err, -EPROTO, "the TPM: %s: malformed answer", what);
}

static void put_selection(struct tpm_command *c, uint16_t alg, uint32_t mask)
{
	tpm_put_u16(c, alg);
	tpm_put_u8(c, EVENTLOG_PCRS / 8);
	for (unsigned i = 0; i < EVENTLOG_PCRS / 8; i++)
		tpm_put_u8(c, (uint8_t)(mask >> 8 * i));
}

/* Read up to PCRS_AT_ONCE PCRs of one bank. */
static int read_some(struct talk *talk, bool sha384, uint32_t mask, struct pcrs *ret,
		     struct error *err)
{
	uint16_t alg = sha384 ? TPM_ALG_SHA384 : TPM_ALG_SHA256;
	uint32_t selected = 0, n;
	int r;

	tpm_begin(&talk->command, TPM_ST_NO_SESSIONS, TPM_CC_PCR_READ);
	tpm_put_u32(&talk->command, 1);
	put_selection(&talk->command, alg, mask);
	r = run(talk, "TPM2_PCR_Read", err);
	if (r < 0)
		return r;
	buf_be32(&talk->buf); /* update counter */
	if (buf_be32(&talk->buf) != 1 || buf_be16(&talk->buf) != alg ||
	    buf_u8(&talk->buf) != EVENTLOG_PCRS / 8)
		return malformed("TPM2_PCR_Read", err);
	for (unsigned i = 0; i < EVENTLOG_PCRS / 8; i++)
		selected |= (uint32_t)buf_u8(&talk->buf) << 8 * i;
	n = buf_be32(&talk->buf);
	if (selected != mask || n != (uint32_t)__builtin_popcount(mask))
		return malformed("TPM2_PCR_Read", err);
	for (unsigned pcr = 0; pcr < EVENTLOG_PCRS; pcr++) {
		size_t size = sha384 ? SHA384_SIZE : SHA256_SIZE;

		if (!(mask & 1U << pcr))
			continue;
		if (buf_be16(&talk->buf) != size)
			return malformed("TPM2_PCR_Read", err);
		buf_copy(&talk->buf, sha384 ? ret->pcr[pcr].sha384 : ret->pcr[pcr].sha256, size);
	}
	return talk->buf.failed ? malformed("TPM2_PCR_Read", err) : 0;
}

static int read_values(struct talk *talk, uint32_t mask, struct tpm_quote *ret, struct error *err)
{
	int r = 0;

	ret->mask = mask;
	for (unsigned first = 0; first < EVENTLOG_PCRS; first += PCRS_AT_ONCE) {
		uint32_t part = mask & ((1U << PCRS_AT_ONCE) - 1) << first;

		for (int bank = 0; r == 0 && part && bank < 2; bank++)
			r = read_some(talk, bank, part, &ret->pcrs, err);
	}
	return r;
}

/* Copy a TPM2B or the like out of a response. */
static int copy_out(struct buf *buf, size_t len, uint8_t *ret, size_t max, size_t *ret_len,
		    const char *what, struct error *err)
{
	if (len == 0 || len > max)
		return malformed(what, err);
	buf_copy(buf, ret, len);
	if (buf->failed)
		return malformed(what, err);
	*ret_len = len;
	return 0;
}

static int try_create(struct talk *talk, const uint8_t *auth, struct error *err)
{
	struct tpm_command *c = &talk->command;

	tpm_begin(c, TPM_ST_SESSIONS, TPM_CC_CREATEPRIMARY);
	tpm_put_u32(c, TPM_RH_PLATFORM);
	tpm_put_auth(c, auth, TPM_AUTH_SIZE);
	tpm_put_u16(c, 4); /* sensitive: no password, no data */
	tpm_put_u32(c, 0);
	tpm_put_u16(c, 24); /* the template */
	tpm_put_u16(c, TPM_ALG_ECC);
	tpm_put_u16(c, TPM_ALG_SHA256);
	tpm_put_u32(c, KEY_ATTRIBUTES);
	tpm_put_u16(c, 0);	      /* policy */
	tpm_put_u16(c, TPM_ALG_NULL); /* symmetric */
	tpm_put_u16(c, TPM_ALG_ECDSA);
	tpm_put_u16(c, TPM_ALG_SHA256);
	tpm_put_u16(c, TPM_ECC_NIST_P256);
	tpm_put_u16(c, TPM_ALG_NULL); /* kdf */
	tpm_put_u32(c, 0);	      /* unique */
	tpm_put_u16(c, 0);	      /* outside info */
	tpm_put_u32(c, 0);	      /* creation PCRs */
	return try_run(talk, "TPM2_CreatePrimary", err);
}

static int flush(struct talk *talk, uint32_t handle, struct error *err)
{
	tpm_begin(&talk->command, TPM_ST_NO_SESSIONS, TPM_CC_FLUSHCONTEXT);
	tpm_put_u32(&talk->command, handle);
	return run(talk, "TPM2_FlushContext", err);
}

/* An object of the guest's that gives way to ours. */
struct saved {
	size_t len; /* 0: none */
	uint8_t context[TIS_BUFFER];
};

/* All slots are taken: the last one's object is saved, so that its slot is the only free one. */
static int make_room(struct talk *talk, struct saved *saved, struct error *err)
{
	uint32_t n, handle = 0;
	int r;

	tpm_begin(&talk->command, TPM_ST_NO_SESSIONS, TPM_CC_GETCAPABILITY);
	tpm_put_u32(&talk->command, TPM_CAP_HANDLES);
	tpm_put_u32(&talk->command, TRANSIENT_FIRST);
	tpm_put_u32(&talk->command, TRANSIENT_MAX);
	r = run(talk, "TPM2_GetCapability", err);
	if (r < 0)
		return r;
	buf_u8(&talk->buf); /* more data */
	buf_be32(&talk->buf);
	n = buf_be32(&talk->buf);
	for (uint32_t i = 0; i < n && i < TRANSIENT_MAX; i++)
		handle = buf_be32(&talk->buf);
	if (talk->buf.failed || handle < TRANSIENT_FIRST)
		return malformed("TPM2_GetCapability", err);
	tpm_begin(&talk->command, TPM_ST_NO_SESSIONS, TPM_CC_CONTEXTSAVE);
	tpm_put_u32(&talk->command, handle);
	r = run(talk, "TPM2_ContextSave", err);
	if (r < 0)
		return r;
	r = copy_out(&talk->buf, talk->buf.len, saved->context,
		     sizeof(saved->context) - TPM_HEADER_SIZE, &saved->len, "TPM2_ContextSave",
		     err);
	return r < 0 ? r : flush(talk, handle, err);
}

static int put_back(struct talk *talk, const struct saved *saved, struct error *err)
{
	if (!saved->len)
		return 0;
	tpm_begin(&talk->command, TPM_ST_NO_SESSIONS, TPM_CC_CONTEXTLOAD);
	tpm_put(&talk->command, saved->context, saved->len);
	return run(talk, "TPM2_ContextLoad", err);
}

/* Make the key: its handle, and its public part. */
static int create_key(struct talk *talk, const uint8_t *auth, struct saved *saved,
		      uint32_t *ret_handle, struct tpm_quote *ret, struct error *err)
{
	int r = try_create(talk, auth, err);

	if (r == 0 && talk->rc == TPM_RC_OBJECT_MEMORY) {
		r = make_room(talk, saved, err);
		if (r == 0)
			r = try_create(talk, auth, err);
	}
	if (r == 0 && talk->rc != 0)
		r = error_set(err, -EIO, "the TPM: TPM2_CreatePrimary: error %#x", talk->rc);
	if (r < 0)
		return r;
	*ret_handle = buf_be32(&talk->buf);
	buf_be32(&talk->buf); /* size of the parameters */
	return copy_out(&talk->buf, buf_be16(&talk->buf), ret->public, sizeof(ret->public),
			&ret->public_len, "TPM2_CreatePrimary", err);
}

static int quote(struct talk *talk, uint32_t handle, const uint8_t *nonce, size_t nonce_len,
		 struct tpm_quote *ret, struct error *err)
{
	struct tpm_command *c = &talk->command;
	struct buf params;
	int r;

	tpm_begin(c, TPM_ST_SESSIONS, TPM_CC_QUOTE);
	tpm_put_u32(c, handle);
	tpm_put_auth(c, NULL, 0);
	tpm_put_u16(c, (uint16_t)nonce_len);
	tpm_put(c, nonce, nonce_len);
	tpm_put_u16(c, TPM_ALG_NULL); /* the key's scheme */
	tpm_put_u32(c, 2);
	put_selection(c, TPM_ALG_SHA256, ret->mask);
	put_selection(c, TPM_ALG_SHA384, ret->mask);
	r = run(talk, "TPM2_Quote", err);
	if (r < 0)
		return r;
	params = buf_sub(&talk->buf, buf_be32(&talk->buf));
	r = copy_out(&params, buf_be16(&params), ret->quoted, sizeof(ret->quoted), &ret->quoted_len,
		     "TPM2_Quote", err);
	return r < 0 ? r
		     : copy_out(&params, params.len, ret->signature, sizeof(ret->signature),
				&ret->signature_len, "TPM2_Quote", err);
}

static int make(struct talk *talk, struct saved *saved, const uint8_t *auth, const uint8_t *nonce,
		size_t nonce_len, struct tpm_quote *ret, struct error *err)
{
	struct error ignored = ERROR_INIT;
	uint32_t handle = 0;
	int r = create_key(talk, auth, saved, &handle, ret, err), end = 0;

	if (r == 0)
		r = quote(talk, handle, nonce, nonce_len, ret, err);
	/* whatever happened, the guest's TPM is as before */
	if (handle)
		end = flush(talk, handle, r == 0 ? err : &ignored);
	if (end == 0)
		end = put_back(talk, saved, r == 0 ? err : &ignored);
	return r < 0 ? r : end;
}

static int borrow(struct tis *tis, struct error *err)
{
	int r = tis_borrow(tis, TPM_QUOTE_WAIT_MS);

	return r < 0 ? error_set(err, r, "the TPM is busy with a command of the guest's") : 0;
}

int tpm_quote_read(struct tis *tis, uint32_t mask, struct tpm_quote *ret, struct error *err)
{
	struct talk talk = {.tis = tis};
	int r = borrow(tis, err);

	if (r < 0)
		return r;
	*ret = (struct tpm_quote){.mask = 0};
	r = read_values(&talk, mask, ret, err);
	tis_return(tis);
	return r;
}

int tpm_quote_make(struct tis *tis, const uint8_t auth[TPM_AUTH_SIZE], const uint8_t *nonce,
		   size_t nonce_len, uint32_t mask, struct tpm_quote *ret, struct error *err)
{
	struct talk talk = {.tis = tis};
	struct saved saved = {.len = 0};
	int r = borrow(tis, err);

	if (r < 0)
		return r;
	*ret = (struct tpm_quote){.mask = 0};
	r = read_values(&talk, mask, ret, err);
	if (r == 0)
		r = make(&talk, &saved, auth, nonce, nonce_len, ret, err);
	tis_return(tis);
	return r;
}
