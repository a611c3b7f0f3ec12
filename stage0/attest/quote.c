/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes a quote worth anything, in the order it is checked here:
 *
 *   the key is fixed to one TPM and restricted: it signs structures the TPM made, and bytes from
 *   outside only when they do not begin like one (TPM_GENERATED_VALUE);
 *   the signature is the key's;
 *   the structure is a quote, and has the nonce in it;
 *   the digest in it is that of the PCR values that come with it.
 *
 * Whether the key is a TPM's at all is another question: see quote_trust.h.
 */
#include "stage0/attest/quote_priv.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include "common/encode.h"
#include "common/util.h"

#define EC_COORDINATE_MAX 48 /* P-384 */

/* A curve's coordinate and what the key hashes with. */
struct key_kind {
	TPMI_ECC_CURVE curve;
	const char *group;
	size_t coordinate;
	TPMI_ALG_HASH alg;
	enum hash_alg hash;
};

static const struct key_kind key_kinds[] = {
	{TPM2_ECC_NIST_P256, SN_X9_62_prime256v1, 32, TPM2_ALG_SHA256, HASH_SHA256},
	{TPM2_ECC_NIST_P384, SN_secp384r1, 48, TPM2_ALG_SHA384, HASH_SHA384},
};

void quote_free(struct quote *quote)
{
	bytes_free(&quote->nonce);
	bytes_free(&quote->quoted);
	bytes_free(&quote->signature);
	bytes_free(&quote->public);
}

int quote_from_json(struct json_object *doc, struct quote *ret, struct error *err)
{
	struct quote quote = {.nonce = {.p = NULL}};
	struct json_object *pcrs = NULL;
	int r = bytes_from_hex(doc, "nonce", QUOTE_NONCE_MAX, &quote.nonce, err);

	if (r == 0)
		r = bytes_from_base64(doc, "quoted", QUOTE_BLOB_MAX, &quote.quoted, err);
	if (r == 0)
		r = bytes_from_base64(doc, "signature", QUOTE_BLOB_MAX, &quote.signature, err);
	if (r == 0)
		r = bytes_from_base64(doc, "public", QUOTE_BLOB_MAX, &quote.public, err);
	if (r == 0)
		r = json_get_object(doc, "pcrs", &pcrs, err);
	if (r == 0 && pcr_set_from_json(pcrs, &quote.pcrs, err) < 0)
		r = error_wrap(err, "pcrs");
	if (r < 0)
		quote_free(&quote);
	else
		*ret = quote;
	return r;
}

void quote_add_json(struct json_object *doc, const struct quote *quote)
{
	json_add_hex(doc, "nonce", quote->nonce.p, quote->nonce.len);
	json_add_base64(doc, "quoted", quote->quoted.p, quote->quoted.len);
	json_add_base64(doc, "signature", quote->signature.p, quote->signature.len);
	json_add_base64(doc, "public", quote->public.p, quote->public.len);
	json_add(doc, "pcrs", pcr_set_json(&quote->pcrs));
}

int quote_public_from_tpmt(const void *tpmt, size_t len, struct bytes *ret, struct error *err)
{
	TPM2B_PUBLIC public = {.size = 0};
	uint8_t buffer[sizeof(public)];
	size_t at = 0, out = 0;

	if (len > QUOTE_BLOB_MAX ||
	    Tss2_MU_TPMT_PUBLIC_Unmarshal(tpmt, len, &at, &public.publicArea) != TSS2_RC_SUCCESS ||
	    at != len ||
	    Tss2_MU_TPM2B_PUBLIC_Marshal(&public, buffer, sizeof(buffer), &out) != TSS2_RC_SUCCESS)
		return error_set(err, -EINVAL, "the public key is malformed");
	*ret = bytes_copy(buffer, out);
	return 0;
}

/* The TPMT_PUBLIC in a TPM2B_PUBLIC, and what is fixed about keys that we take. */
static int read_public(const struct quote *quote, TPMT_PUBLIC *ret,
		       const struct key_kind **ret_kind, struct error *err)
{
	const TPMA_OBJECT need = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				 TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |
				 TPMA_OBJECT_SIGN_ENCRYPT;
	TPM2B_PUBLIC public = {.size = 0};
	const TPMS_ECC_PARMS *parms = &public.publicArea.parameters.eccDetail;
	size_t at = 0;

	if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(quote->public.p, quote->public.len, &at, &public) !=
		    TSS2_RC_SUCCESS ||
	    at != quote->public.len)
		return error_set(err, -EINVAL, "the public key is malformed");
	if (public.publicArea.type != TPM2_ALG_ECC || parms->scheme.scheme != TPM2_ALG_ECDSA)
		return error_set(err, -EINVAL, "the key is not one for ECDSA");
	for (size_t i = 0; i < ARRAY_SIZE(key_kinds); i++) {
		const struct key_kind *kind = &key_kinds[i];

		if (parms->curveID != kind->curve ||
		    parms->scheme.details.ecdsa.hashAlg != kind->alg)
			continue;
		if ((public.publicArea.objectAttributes & need) != need)
			return error_set(err, -EINVAL,
					 "the key is not a restricted signing key that is fixed to "
					 "its TPM: it may have signed anything");
		*ret = public.publicArea;
		*ret_kind = kind;
		return 0;
	}
	return error_set(err, -EINVAL,
			 "the key is neither on P-256 with SHA-256 nor on P-384 with "
			 "SHA-384");
}

int quote_key_name(const struct quote *quote, char name[QUOTE_HEX_MAX(QUOTE_NAME_MAX)],
		   struct error *err)
{
	const struct key_kind *kind;
	uint8_t bytes[QUOTE_NAME_MAX];
	cleanup_hash struct hash *hash = NULL;
	TPMT_PUBLIC public;
	enum hash_alg alg;
	int r = read_public(quote, &public, &kind, err);

	if (r < 0)
		return r;
	if (public.nameAlg != TPM2_ALG_SHA256 && public.nameAlg != TPM2_ALG_SHA384)
		return error_set(err, -EINVAL, "the key's Name is no SHA-256 or SHA-384 digest");
	alg = public.nameAlg == TPM2_ALG_SHA256 ? HASH_SHA256 : HASH_SHA384;
	bytes[0] = (uint8_t)(public.nameAlg >> 8);
	bytes[1] = (uint8_t) public.nameAlg;
	hash = hash_new(alg);
	/* of the TPMT_PUBLIC: what follows the size */
	hash_update(hash, quote->public.p + 2, quote->public.len - 2);
	hash_final(hash, bytes + 2);
	hash_hex(bytes, 2 + hash_size(alg), name);
	return 0;
}

static EVP_PKEY *key_from_point(const struct key_kind *kind, const TPMS_ECC_POINT *point)
{
	unsigned char octets[1 + 2 * EC_COORDINATE_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
						 (char *)(uintptr_t)kind->group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, octets,
						  1 + 2 * kind->coordinate),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *key = NULL;

	if (point->x.size > kind->coordinate || point->y.size > kind->coordinate)
		return NULL;
	/* a TPM may leave leading zeros out */
	memcpy(octets + 1 + kind->coordinate - point->x.size, point->x.buffer, point->x.size);
	memcpy(octets + 1 + 2 * kind->coordinate - point->y.size, point->y.buffer, point->y.size);
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		key = NULL; /* also a point that is not on the curve */
	EVP_PKEY_CTX_free(ctx);
	return key;
}

int quote_key_der(const struct quote *quote, struct bytes *ret, struct error *err)
{
	const struct key_kind *kind;
	unsigned char *der = NULL;
	TPMT_PUBLIC public;
	EVP_PKEY *key;
	int len = -1, r = read_public(quote, &public, &kind, err);

	if (r < 0)
		return r;
	key = key_from_point(kind, &public.unique.ecc);
	if (key)
		len = i2d_PUBKEY(key, &der);
	EVP_PKEY_free(key);
	if (len <= 0)
		return error_set(err, -EINVAL, "the public key is malformed");
	*ret = bytes_copy(der, (size_t)len);
	OPENSSL_free(der);
	return 0;
}

/* The TPM's two numbers as the DER that libcrypto reads. */
static int signature_der(const struct quote *quote, const struct key_kind *kind,
			 unsigned char **ret, struct error *err)
{
	const TPMS_SIGNATURE_ECDSA *ecdsa;
	TPMT_SIGNATURE signature;
	ECDSA_SIG *sig = NULL;
	BIGNUM *r = NULL, *s = NULL;
	size_t at = 0;
	int len = -1;

	if (Tss2_MU_TPMT_SIGNATURE_Unmarshal(quote->signature.p, quote->signature.len, &at,
					     &signature) != TSS2_RC_SUCCESS ||
	    at != quote->signature.len)
		return error_set(err, -EINVAL, "the signature is malformed");
	ecdsa = &signature.signature.ecdsa;
	if (signature.sigAlg != TPM2_ALG_ECDSA || ecdsa->hash != kind->alg)
		return error_set(err, -EINVAL, "the signature is not of the key's kind");
	sig = ECDSA_SIG_new();
	r = BN_bin2bn(ecdsa->signatureR.buffer, ecdsa->signatureR.size, NULL);
	s = BN_bin2bn(ecdsa->signatureS.buffer, ecdsa->signatureS.size, NULL);
	if (sig && r && s && ECDSA_SIG_set0(sig, r, s)) {
		r = s = NULL; /* sig's now */
		len = i2d_ECDSA_SIG(sig, ret);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return len > 0 ? len : error_set(err, -EINVAL, "the signature is malformed");
}

static int check_signature(const struct quote *quote, struct error *err)
{
	const struct key_kind *kind;
	unsigned char *der = NULL;
	EVP_MD_CTX *ctx = NULL;
	TPMT_PUBLIC public;
	EVP_PKEY *key;
	bool good;
	int len, r = read_public(quote, &public, &kind, err);

	if (r < 0)
		return r;
	len = signature_der(quote, kind, &der, err);
	if (len < 0)
		return len;
	key = key_from_point(kind, &public.unique.ecc);
	ctx = EVP_MD_CTX_new();
	good = key && ctx &&
	       EVP_DigestVerifyInit_ex(ctx, NULL, kind->hash == HASH_SHA256 ? "SHA256" : "SHA384",
				       NULL, NULL, key, NULL) == 1 &&
	       EVP_DigestVerify(ctx, der, (size_t)len, quote->quoted.p, quote->quoted.len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	OPENSSL_free(der);
	return good ? 0
		    : error_set(err, -EBADMSG, "the signature is not of this quote by this key");
}

static int check_nonce(const struct quote *quote, const TPM2B_DATA *extra, const void *nonce,
		       size_t nonce_len, struct error *err)
{
	char said[QUOTE_HEX_MAX(sizeof(extra->buffer))];
	bool in_file = quote->nonce.len == nonce_len && !memcmp(quote->nonce.p, nonce, nonce_len);

	if (extra->size == nonce_len && !memcmp(extra->buffer, nonce, nonce_len)) {
		if (in_file)
			return 0;
		return error_set(err, -EBADMSG, "the file names another nonce than was quoted");
	}
	hash_hex(extra->buffer, extra->size, said);
	if (in_file)
		return error_set(err, -EBADMSG,
				 "replayed: the quote answers nonce %s, although the file says "
				 "otherwise",
				 said);
	return error_set(err, -EBADMSG, "the quote answers another nonce, %s", said);
}

static int bank_of(TPMI_ALG_HASH alg, enum bank *ret)
{
	for (enum bank bank = 0; bank < BANKS; bank++) {
		if (bank_alg(bank) == alg) {
			*ret = bank;
			return 0;
		}
	}
	return -EINVAL;
}

/* One bank's selection: its PCRs must be those the file has values of; hash these. */
static int hash_bank(const struct quote *quote, const TPMS_PCR_SELECTION *selection,
		     uint32_t seen[BANKS], struct hash *hash, struct error *err)
{
	enum bank bank = BANK_SHA256;
	uint32_t mask = 0;

	if (bank_of(selection->hash, &bank) < 0 || selection->sizeofSelect > 3 || seen[bank])
		return error_set(err, -EINVAL, "the quote is of PCRs in a way we do not know");
	for (unsigned i = 0; i < selection->sizeofSelect; i++)
		mask |= (uint32_t)selection->pcrSelect[i] << (8 * i);
	seen[bank] = mask;
	for (unsigned pcr = 0; pcr < EVENTLOG_PCRS; pcr++) {
		struct digests value = quote->pcrs.values.pcr[pcr];

		if ((mask ^ quote->pcrs.mask[bank]) & (1U << pcr))
			return error_set(err, -EBADMSG, "%s PCR %u is %s", bank_name(bank), pcr,
					 mask & (1U << pcr)
						 ? "quoted, and the file has no value of it"
						 : "in the file and was not quoted");
		if (mask & (1U << pcr))
			hash_update(hash, bank_digest(&value, bank), bank_size(bank));
	}
	return 0;
}

static int check_pcrs(const struct quote *quote, const TPMS_QUOTE_INFO *info, enum hash_alg alg,
		      struct error *err)
{
	cleanup_hash struct hash *hash = hash_new(alg);
	uint8_t digest[HASH_MAX_SIZE];
	uint32_t seen[BANKS] = {0};

	for (unsigned i = 0; i < info->pcrSelect.count; i++) {
		int r = hash_bank(quote, &info->pcrSelect.pcrSelections[i], seen, hash, err);

		if (r < 0)
			return r;
	}
	for (enum bank bank = 0; bank < BANKS; bank++)
		if (seen[bank] != quote->pcrs.mask[bank])
			return error_set(err, -EBADMSG,
					 "the file has %s PCRs and none of them was quoted",
					 bank_name(bank));
	hash_final(hash, digest);
	if (info->pcrDigest.size != hash_size(alg) ||
	    memcmp(info->pcrDigest.buffer, digest, hash_size(alg)) != 0)
		return error_set(err, -EBADMSG, "the PCR values are not those that were quoted");
	return 0;
}

int quote_check_quoted(const struct quote *quote, enum hash_alg alg, const void *nonce,
		       size_t nonce_len, struct error *err)
{
	TPMS_ATTEST attest;
	size_t at = 0;
	int r;

	if (Tss2_MU_TPMS_ATTEST_Unmarshal(quote->quoted.p, quote->quoted.len, &at, &attest) !=
		    TSS2_RC_SUCCESS ||
	    attest.magic != TPM2_GENERATED_VALUE)
		return error_set(err, -EBADMSG, "what was signed is not made by a TPM");
	if (attest.type != TPM2_ST_ATTEST_QUOTE || at != quote->quoted.len)
		return error_set(err, -EBADMSG, "what was signed is not a quote");
	r = check_nonce(quote, &attest.extraData, nonce, nonce_len, err);
	return r < 0 ? r : check_pcrs(quote, &attest.attested.quote, alg, err);
}

int quote_verify(const struct quote *quote, const void *nonce, size_t nonce_len, struct error *err)
{
	const struct key_kind *kind;
	TPMT_PUBLIC public;
	int r = read_public(quote, &public, &kind, err);

	if (r == 0)
		r = check_signature(quote, err);
	return r < 0 ? r : quote_check_quoted(quote, kind->hash, nonce, nonce_len, err);
}
