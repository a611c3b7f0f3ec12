/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/quotemake.h"

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include "common/hash.h"
#include "common/util.h"

EVP_PKEY *quotemake_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	assert(key);
	return key;
}

struct quote_plan quotemake_plan(EVP_PKEY *key, const struct eventlog *log, const char *nonce)
{
	struct quote_plan plan = {
		.attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
			      TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
			      TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT,
		.magic = TPM2_GENERATED_VALUE,
		.type = TPM2_ST_ATTEST_QUOTE,
		.nonce = nonce,
		.nonce_len = strlen(nonce),
		.mask = {0x8313, 0x8313},
		.key = key,
	};
	struct error err;

	if (log) {
		int r = eventlog_replay(log->data, log->len, &plan.pcrs, &err);

		assert(r == 0);
		(void)r;
	}
	return plan;
}

static struct bytes make_public(const struct quote_plan *plan)
{
	TPM2B_PUBLIC public = {.publicArea = {
				       .type = TPM2_ALG_ECC,
				       .nameAlg = TPM2_ALG_SHA256,
				       .objectAttributes = plan->attributes,
			       }};
	TPMS_ECC_PARMS *parms = &public.publicArea.parameters.eccDetail;
	TPMS_ECC_POINT *point = &public.publicArea.unique.ecc;
	uint8_t buffer[sizeof(public)], octets[65];
	size_t len = 0;

	parms->symmetric.algorithm = TPM2_ALG_NULL;
	parms->scheme.scheme = TPM2_ALG_ECDSA;
	parms->scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
	parms->curveID = TPM2_ECC_NIST_P256;
	parms->kdf.scheme = TPM2_ALG_NULL;
	EVP_PKEY_get_octet_string_param(plan->key, OSSL_PKEY_PARAM_PUB_KEY, octets, sizeof(octets),
					&len);
	assert(len == sizeof(octets));
	point->x.size = point->y.size = 32;
	memcpy(point->x.buffer, octets + 1, 32);
	memcpy(point->y.buffer, octets + 33, 32);
	len = 0;
	Tss2_MU_TPM2B_PUBLIC_Marshal(&public, buffer, sizeof(buffer), &len);
	return bytes_copy(buffer, len);
}

static struct bytes make_quoted(const struct quote_plan *plan)
{
	TPMS_ATTEST attest = {.magic = plan->magic, .type = plan->type};
	TPML_PCR_SELECTION *select = &attest.attested.quote.pcrSelect;
	cleanup_hash struct hash *hash = hash_new(HASH_SHA256);
	uint8_t buffer[sizeof(attest)];
	size_t len = 0;

	attest.extraData.size = (uint16_t)plan->nonce_len;
	memcpy(attest.extraData.buffer, plan->nonce, plan->nonce_len);
	for (enum bank bank = 0; bank < BANKS; bank++) {
		TPMS_PCR_SELECTION *one = &select->pcrSelections[select->count];

		if (!plan->mask[bank])
			continue;
		select->count++;
		one->hash = (uint16_t)bank_alg(bank);
		one->sizeofSelect = 3;
		for (unsigned i = 0; i < 3; i++)
			one->pcrSelect[i] = (uint8_t)(plan->mask[bank] >> (8 * i));
		for (unsigned pcr = 0; pcr < EVENTLOG_PCRS; pcr++) {
			struct digests value = plan->pcrs.pcr[pcr];

			if (plan->mask[bank] & (1U << pcr))
				hash_update(hash, bank_digest(&value, bank), bank_size(bank));
		}
	}
	attest.attested.quote.pcrDigest.size = SHA256_SIZE;
	hash_final(hash, attest.attested.quote.pcrDigest.buffer);
	if (plan->type != TPM2_ST_ATTEST_QUOTE) /* the union is another's then */
		memset(&attest.attested, 0, sizeof(attest.attested));
	Tss2_MU_TPMS_ATTEST_Marshal(&attest, buffer, sizeof(buffer), &len);
	return bytes_copy(buffer, len);
}

static struct bytes make_signature(const struct quote_plan *plan, const struct bytes *quoted)
{
	TPMT_SIGNATURE signature = {.sigAlg = TPM2_ALG_ECDSA};
	TPMS_SIGNATURE_ECDSA *ecdsa = &signature.signature.ecdsa;
	uint8_t der[128], buffer[sizeof(signature)];
	const uint8_t *p = der;
	size_t der_len = sizeof(der), len = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ECDSA_SIG *sig;
	int good;

	good = EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, plan->key, NULL) == 1 &&
	       EVP_DigestSign(ctx, der, &der_len, quoted->p, quoted->len) == 1;
	assert(good);
	(void)good;
	EVP_MD_CTX_free(ctx);
	sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
	ecdsa->hash = TPM2_ALG_SHA256;
	ecdsa->signatureR.size = ecdsa->signatureS.size = 32;
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), ecdsa->signatureR.buffer, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), ecdsa->signatureS.buffer, 32);
	ECDSA_SIG_free(sig);
	Tss2_MU_TPMT_SIGNATURE_Marshal(&signature, buffer, sizeof(buffer), &len);
	return bytes_copy(buffer, len);
}

struct quote quotemake(const struct quote_plan *plan)
{
	struct quote quote = {
		.nonce = bytes_copy(plan->nonce, plan->nonce_len),
		.quoted = make_quoted(plan),
		.public = make_public(plan),
		.pcrs = {.values = plan->pcrs, .mask = {plan->mask[0], plan->mask[1]}},
	};

	quote.signature = make_signature(plan, &quote.quoted);
	return quote;
}

struct eventlog quotemake_log(const char *text)
{
	static const struct {
		uint32_t pcr, type;
		const char *event;
	} records[] = {
		{0, EV_S_CRTM_VERSION, "tripod-vmm 1"},
		{1, EV_PLATFORM_CONFIG_FLAGS, "device tree"},
		{4, EV_IPL, "kernel"},
		{8, EV_IPL, NULL},
		{9, EV_IPL, "initrd"},
		{15, EV_RKT, "rkt: Rootfs: web"},
		{15, EV_SEPARATOR, "\0\0\0\0"},
	};
	struct eventlog log;

	eventlog_init(&log);
	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		const char *event = records[i].event ? records[i].event : text;
		size_t len = records[i].type == EV_SEPARATOR ? 4 : strlen(event);
		struct digests digests;
		struct error err;

		digests_of(event, len, &digests);
		eventlog_add(&log, records[i].pcr, records[i].type, &digests, event, len, &err);
	}
	return log;
}

struct evidence quotemake_evidence(EVP_PKEY *key, const struct eventlog *log, const char *nonce)
{
	const struct quote_plan plan = quotemake_plan(key, log, nonce);

	return (struct evidence){
		.pod = "0b1cdb3e-9a44-4d41-8b4a-6f6a3f9d2c11",
		.quote = quotemake(&plan),
		.log = bytes_copy(log->data, log->len),
	};
}
