/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tpm2-tss's ESYS, one command after the other. Nothing here waits with a deadline, which not all
 * ways to a TPM know of: child.h has one around all of it.
 *
 * The list of what is in PCR 15 (host_records.h) is locked while the PCR is read, extended and
 * quoted, so processes of one data directory do not come between each other's steps. Others may;
 * a quote that does not fit the values that were read is asked for again.
 */
#include "stage0/attest/host_tpm.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include "common/hash.h"
#include "common/util.h"
#include "stage0/attest/host_records.h"
#include "stage0/attest/verify.h"

#define QUOTED_PCRS 0x83ffU /* 0 to 9: firmware, loader, kernel; 15: ours. Not 10, which moves */
#define QUOTE_TRIES 5	    /* while others extend PCRs */
#define READ_MAX    8	    /* PCRs that TPM2_PCR_Read gives at once */

struct host_tpm {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
};

static int failed(TSS2_RC rc, const char *what, struct error *err)
{
	return error_set(err, -EIO, "the host's TPM: %s: error %#x", what, rc);
}

int host_tpm_use_parse(const char *text, enum host_tpm_use *ret, struct error *err)
{
	static const char *const words[] = {"off", "auto", "on"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret = (enum host_tpm_use)i;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "--host-tpm: \"%s\" is neither auto nor on nor off", text);
}

int host_tpm_find(const char *tcti, struct error *err)
{
	const char *device = strchr(HOST_TPM_DEFAULT, ':') + 1;

	if (!tcti && access(device, R_OK | W_OK) < 0)
		return error_set(err, -ENOENT, "the host has no TPM for us: %s: %s", device,
				 strerror(errno));
	return 0;
}

int host_tpm_open(const char *tcti, struct host_tpm **ret, struct error *err)
{
	cleanup_host_tpm struct host_tpm *tpm = xcalloc(1, sizeof(*tpm));
	TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti ? tcti : HOST_TPM_DEFAULT, &tpm->tcti);

	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_Initialize(&tpm->esys, tpm->tcti, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return error_set(err, -EIO, "the host's TPM: no connection by %s: error %#x",
				 tcti ? tcti : HOST_TPM_DEFAULT, rc);
	*ret = take_ptr(tpm);
	return 0;
}

void host_tpm_free(struct host_tpm *tpm)
{
	if (!tpm)
		return;
	if (tpm->esys)
		Esys_Finalize(&tpm->esys);
	if (tpm->tcti)
		Tss2_TctiLdr_Finalize(&tpm->tcti);
	free(tpm);
}

static TPML_PCR_SELECTION select_pcrs(uint32_t mask)
{
	return (TPML_PCR_SELECTION){
		.count = 1,
		.pcrSelections = {{
			.hash = TPM2_ALG_SHA256,
			.sizeofSelect = 3,
			.pcrSelect = {(uint8_t)mask, (uint8_t)(mask >> 8), (uint8_t)(mask >> 16)},
		}},
	};
}

/* Read those of the SHA-256 PCRs of mask that come at once; *done tells which. */
static int read_some(struct host_tpm *tpm, uint32_t mask, struct pcr_set *set, uint32_t *done,
		     struct error *err)
{
	const TPML_PCR_SELECTION in = select_pcrs(mask);
	TPML_PCR_SELECTION *out = NULL;
	TPML_DIGEST *values = NULL;
	unsigned k = 0;
	TSS2_RC rc = Esys_PCR_Read(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &in, NULL,
				   &out, &values);

	if (rc != TSS2_RC_SUCCESS)
		return failed(rc, "TPM2_PCR_Read", err);
	*done = 0;
	for (unsigned pcr = 0; out->count > 0 && pcr < EVENTLOG_PCRS; pcr++) {
		if (!(out->pcrSelections[0].pcrSelect[pcr / 8] & (1U << pcr % 8)) ||
		    k >= values->count || values->digests[k].size != SHA256_SIZE)
			continue;
		memcpy(set->values.pcr[pcr].sha256, values->digests[k++].buffer, SHA256_SIZE);
		*done |= 1U << pcr;
	}
	Esys_Free(out);
	Esys_Free(values);
	return 0;
}

static int read_pcrs(struct host_tpm *tpm, uint32_t mask, struct pcr_set *ret, struct error *err)
{
	struct pcr_set set = {.mask = {mask, 0}};

	while (mask) {
		uint32_t done = 0;
		int r = read_some(tpm, mask, &set, &done, err);

		if (r < 0)
			return r;
		if ((done & mask) == 0)
			return error_set(err, -ENOTSUP,
					 "the host's TPM has no SHA-256 PCRs in use");
		mask &= ~done;
	}
	*ret = set;
	return 0;
}

/* The digests of text in every active bank of the TPM. */
static int digest_text(struct host_tpm *tpm, const char *text, TPML_DIGEST_VALUES *ret,
		       struct error *err)
{
	static const struct {
		TPMI_ALG_HASH alg;
		const char *name;
	} algs[] = {
		{TPM2_ALG_SHA1, "SHA1"},
		{TPM2_ALG_SHA256, "SHA256"},
		{TPM2_ALG_SHA384, "SHA384"},
		{TPM2_ALG_SHA512, "SHA512"},
	};
	TPML_DIGEST_VALUES digests = {.count = 0};
	TPMS_CAPABILITY_DATA *data = NULL;
	TSS2_RC rc = Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					TPM2_CAP_PCRS, 0, 1, NULL, &data);
	int r = rc == TSS2_RC_SUCCESS ? 0 : failed(rc, "TPM2_GetCapability", err);

	for (unsigned i = 0; r == 0 && i < data->data.assignedPCR.count; i++) {
		const TPMS_PCR_SELECTION *bank = &data->data.assignedPCR.pcrSelections[i];
		size_t k = 0;

		if (!(bank->pcrSelect[HOST_PCR / 8] & (1U << HOST_PCR % 8)))
			continue;
		while (k < ARRAY_SIZE(algs) && algs[k].alg != bank->hash)
			k++;
		if (k == ARRAY_SIZE(algs))
			continue; /* nobody looks at a bank that tripod does not know */
		digests.digests[digests.count].hashAlg = bank->hash;
		if (!EVP_Q_digest(NULL, algs[k].name, NULL, text, strlen(text),
				  (unsigned char *)&digests.digests[digests.count].digest, NULL))
			r = error_set(err, -EIO, "%s can not be computed", algs[k].name);
		digests.count++;
	}
	Esys_Free(data);
	if (r == 0)
		*ret = digests;
	return r;
}

int host_tpm_record(struct host_tpm *tpm, const char *data_dir, const char *record,
		    struct error *err)
{
	cleanup(host_records_close) struct host_records records = HOST_RECORDS_NONE;
	TPML_DIGEST_VALUES digests;
	struct pcr_set now;
	TSS2_RC rc;
	int r = digest_text(tpm, record, &digests, err);

	if (r == 0)
		r = host_records_lock(data_dir, &records, err);
	if (r == 0)
		r = read_pcrs(tpm, 1U << HOST_PCR, &now, err);
	if (r == 0)
		r = host_records_read(&records, now.values.pcr[HOST_PCR].sha256, err);
	if (r < 0)
		return r;
	rc = Esys_PCR_Extend(tpm->esys, HOST_PCR, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
			     &digests);
	if (rc != TSS2_RC_SUCCESS)
		r = failed(rc, "TPM2_PCR_Extend", err);
	if (r == 0)
		r = host_records_add(&records, record, err);
	return r;
}

/* The key that quotes: derived from the TPM's endorsement seed, so it is the same each time. */
static int make_key(struct host_tpm *tpm, ESYS_TR *ret, struct bytes *ret_public, struct error *err)
{
	const TPM2B_SENSITIVE_CREATE sensitive = {.size = 0};
	const TPML_PCR_SELECTION none = {.count = 0};
	const TPM2B_DATA outside = {.size = 0};
	const TPM2B_PUBLIC template = {
		.publicArea =
			{
				.type = TPM2_ALG_ECC,
				.nameAlg = TPM2_ALG_SHA256,
				.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
						    TPMA_OBJECT_SENSITIVEDATAORIGIN |
						    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
						    TPMA_OBJECT_RESTRICTED |
						    TPMA_OBJECT_SIGN_ENCRYPT,
				.parameters.eccDetail =
					{
						.symmetric.algorithm = TPM2_ALG_NULL,
						.scheme = {.scheme = TPM2_ALG_ECDSA,
							   .details.ecdsa.hashAlg =
								   TPM2_ALG_SHA256},
						.curveID = TPM2_ECC_NIST_P256,
						.kdf.scheme = TPM2_ALG_NULL,
					},
			},
	};
	TPM2B_PUBLIC *public = NULL;
	uint8_t buffer[sizeof(template)];
	ESYS_TR key = ESYS_TR_NONE;
	size_t len = 0;
	TSS2_RC rc = Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
					ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &template, &outside,
					&none, &key, &public, NULL, NULL, NULL);

	if (rc != TSS2_RC_SUCCESS)
		return failed(rc, "TPM2_CreatePrimary", err);
	Tss2_MU_TPM2B_PUBLIC_Marshal(public, buffer, sizeof(buffer), &len);
	Esys_Free(public);
	*ret = key;
	*ret_public = bytes_copy(buffer, len);
	return 0;
}

static int quote_once(struct host_tpm *tpm, ESYS_TR key, struct quote *quote, struct error *err)
{
	const TPML_PCR_SELECTION pcrs = select_pcrs(QUOTED_PCRS);
	const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_NULL};
	TPM2B_DATA nonce = {.size = (uint16_t)quote->nonce.len};
	TPMT_SIGNATURE *signature = NULL;
	TPM2B_ATTEST *quoted = NULL;
	uint8_t buffer[sizeof(*signature)];
	size_t len = 0;
	TSS2_RC rc;

	memcpy(nonce.buffer, quote->nonce.p, quote->nonce.len);
	rc = Esys_Quote(tpm->esys, key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &nonce,
			&scheme, &pcrs, &quoted, &signature);
	if (rc != TSS2_RC_SUCCESS)
		return failed(rc, "TPM2_Quote", err);
	Tss2_MU_TPMT_SIGNATURE_Marshal(signature, buffer, sizeof(buffer), &len);
	bytes_free(&quote->quoted);
	bytes_free(&quote->signature);
	quote->quoted = bytes_copy(quoted->attestationData, quoted->size);
	quote->signature = bytes_copy(buffer, len);
	Esys_Free(quoted);
	Esys_Free(signature);
	return read_pcrs(tpm, QUOTED_PCRS, &quote->pcrs, err);
}

static int quote(struct host_tpm *tpm, struct quote *ret, struct error *err)
{
	struct error ignored = ERROR_INIT;
	ESYS_TR key = ESYS_TR_NONE;
	int r = make_key(tpm, &key, &ret->public, err);

	if (r < 0)
		return r;
	for (int i = 0; r == 0 && i < QUOTE_TRIES; i++) {
		r = quote_once(tpm, key, ret, err);
		if (r == 0 && quote_verify(ret, ret->nonce.p, ret->nonce.len, &ignored) == 0)
			break;
	}
	if (r == 0)
		r = quote_verify(ret, ret->nonce.p, ret->nonce.len, err);
	/* a key that stays would be gone with the connection, or the next start */
	(void)Esys_FlushContext(tpm->esys, key);
	return r;
}

/* The record of that digest as its text, if it is among texts. */
static const char *text_of(const char *digest, const struct strv *texts)
{
	for (size_t i = 0; i < texts->n; i++) {
		char hex[2 * SHA256_SIZE + 1];
		struct digests digests;

		digests_of(texts->v[i], strlen(texts->v[i]), &digests);
		hash_hex(digests.sha256, SHA256_SIZE, hex);
		if (strcmp(hex, digest) == 0)
			return texts->v[i];
	}
	return digest;
}

/* The list that explains the PCR, and the quote. */
static int gather(struct host_tpm *tpm, const char *data_dir, const struct strv *texts,
		  struct host_evidence *evidence, struct error *err)
{
	cleanup(host_records_close) struct host_records records = HOST_RECORDS_NONE;
	struct pcr_set now;
	int r = host_records_lock(data_dir, &records, err);

	if (r == 0)
		r = read_pcrs(tpm, 1U << HOST_PCR, &now, err);
	if (r == 0)
		r = host_records_read(&records, now.values.pcr[HOST_PCR].sha256, err);
	if (r == 0)
		r = quote(tpm, &evidence->quote, err);
	if (r < 0)
		return r;
	memcpy(evidence->start, records.start, SHA256_SIZE);
	for (size_t i = 0; i < records.digests.n; i++)
		strv_add(&evidence->records, text_of(records.digests.v[i], texts));
	return 0;
}

int host_tpm_quote(struct host_tpm *tpm, const char *data_dir, const struct bytes *nonce,
		   const struct strv *texts, struct host_evidence *ret, struct error *err)
{
	struct host_evidence evidence = {.records = STRV_INIT};
	int r;

	evidence.quote.nonce = bytes_copy(nonce->p, nonce->len);
	r = gather(tpm, data_dir, texts, &evidence, err);
	if (r < 0)
		host_evidence_free(&evidence);
	else
		*ret = evidence;
	return r;
}
