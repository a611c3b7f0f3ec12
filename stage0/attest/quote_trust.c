/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attest/quote_trust.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"

#define CERTIFICATES_MAX 16 /* of one PEM text */
#define CHAIN_DEPTH_MAX	 8

int quote_trust_name(const struct quote *quote, const char *name, struct error *err)
{
	char own[QUOTE_HEX_MAX(QUOTE_NAME_MAX)];
	int r = quote_key_name(quote, own, err);

	if (r == 0 && strcasecmp(own, name) != 0)
		r = error_set(err, -EPERM, "signed by another key, whose Name is %s", own);
	return r;
}

/* The DER of the first public key in PEM text. */
static int key_from_pem(const char *text, size_t len, struct bytes *ret, struct error *err)
{
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	unsigned char *der = NULL;
	int n = key ? i2d_PUBKEY(key, &der) : -1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	if (n <= 0)
		return error_set(err, -EINVAL,
				 "the file is neither a public key in PEM nor a "
				 "TPM2B_PUBLIC");
	*ret = bytes_copy(der, (size_t)n);
	OPENSSL_free(der);
	return 0;
}

int quote_trust_key(const struct quote *quote, const char *file, size_t len, struct error *err)
{
	cleanup(bytes_free) struct bytes own = {.p = NULL}, given = {.p = NULL};
	int r;

	if (len == quote->public.len && memcmp(file, quote->public.p, len) == 0)
		return 0;
	if (len > QUOTE_BLOB_MAX && len > EVIDENCE_PEM_MAX)
		return error_set(err, -EFBIG, "the key's file is too large");
	r = quote_key_der(quote, &own, err);
	if (r == 0 && len > 2 && file[0] == '\0') /* a TPM2B begins with its size */
		return error_set(err, -EPERM, "signed by another key than the one in the file");
	if (r == 0)
		r = key_from_pem(file, len, &given, err);
	if (r == 0 && (own.len != given.len || memcmp(own.p, given.p, own.len) != 0))
		r = error_set(err, -EPERM, "signed by another key than the one in the file");
	return r;
}

static void pop_free(STACK_OF(X509) * certificates)
{
	sk_X509_pop_free(certificates, X509_free);
}

/* All certificates of a PEM text, in order; the caller pop_free()s them. NULL: none, or malformed. */
static STACK_OF(X509) * read_certificates(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	STACK_OF(X509) *list = sk_X509_new_null();
	X509 *certificate;

	while (bio && list && sk_X509_num(list) < CERTIFICATES_MAX &&
	       (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		if (!sk_X509_push(list, certificate))
			X509_free(certificate);
	BIO_free(bio);
	ERR_clear_error();
	if (list && sk_X509_num(list) > 0)
		return list;
	pop_free(list);
	return NULL;
}

static int check_chain(STACK_OF(X509) * chain, STACK_OF(X509) * roots, struct error *err)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE *store = X509_STORE_new();
	int r = -EIO;

	for (int i = 0; store && i < sk_X509_num(roots); i++)
		X509_STORE_add_cert(store, sk_X509_value(roots, i));
	if (!ctx || !store || !X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain)) {
		error_set(err, r, "the key's certificate can not be checked");
	} else {
		X509_STORE_CTX_set_depth(ctx, CHAIN_DEPTH_MAX);
		/* an issuer that was named is trusted whether it is the last of its chain or not */
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
		r = X509_verify_cert(ctx) == 1 ? 0 : -EPERM;
		if (r < 0)
			error_set(err, r, "the key's certificate: %s",
				  X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return r;
}

/* Whether the certificate is of the quote's key, and for this pod. */
static int check_subject(const struct quote *quote, const char *pod, X509 *certificate,
			 struct error *err)
{
	cleanup(bytes_free) struct bytes own = {.p = NULL};
	unsigned char *der = NULL;
	char name[UUID_TEXT_LEN + 2];
	int n, r = quote_key_der(quote, &own, err);

	if (r < 0)
		return r;
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	if (n <= 0 || (size_t)n != own.len || memcmp(der, own.p, own.len) != 0)
		r = error_set(err, -EPERM, "the certificate is of another key");
	OPENSSL_free(der);
	if (r < 0)
		return r;
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
				      sizeof(name)) < 0 ||
	    strcmp(name, pod) != 0)
		return error_set(err, -EPERM, "the certificate is of another pod");
	return 0;
}

int quote_trust_certificates(const struct quote *quote, const char *pod, const char *certificates,
			     const char *roots, struct error *err)
{
	STACK_OF(X509) *chain = NULL, *trusted = NULL;
	int r = 0;

	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (!certificates)
		return error_set(err, -EPERM, "the file has no certificate of the key");
	trusted = read_certificates(roots);
	if (!trusted)
		return error_set(err, -EINVAL, "no certificates to trust");
	chain = read_certificates(certificates);
	if (!chain)
		r = error_set(err, -EINVAL, "the key's certificate is malformed");
	if (r == 0)
		r = check_subject(quote, pod, sk_X509_value(chain, 0), err);
	if (r == 0)
		r = check_chain(chain, trusted, err);
	pop_free(chain);
	pop_free(trusted);
	return r;
}
