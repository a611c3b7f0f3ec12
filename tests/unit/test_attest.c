/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/hash.h"
#include "common/util.h"
#include "stage0/attest/expected.h"
#include "stage0/attest/quote_trust.h"
#include "stage0/attest/verify.h"
#include "tests/unit/quotemake.h"

#define NONCE	  "nonce of the one who asks"
#define OTHER	  "nonce of another occasion"
#define NONCE_LEN (sizeof(NONCE) - 1)

struct given {
	EVP_PKEY *key;
	struct eventlog log;
	struct evidence evidence;
};

static int set_up(void **state)
{
	struct given *given = xcalloc(1, sizeof(*given));

	given->key = quotemake_key();
	given->log = quotemake_log("kernel_cmdline: quiet");
	given->evidence = quotemake_evidence(given->key, &given->log, NONCE);
	*state = given;
	return 0;
}

static int tear_down(void **state)
{
	struct given *given = *state;

	evidence_free(&given->evidence);
	eventlog_free(&given->log);
	EVP_PKEY_free(given->key);
	free(given);
	return 0;
}

static void refused(int r, const struct error *err, const char *why)
{
	assert_true(r < 0);
	assert_int_equal(r, err->code);
	if (!strstr(err->msg, why))
		fail_msg("\"%s\" is not in \"%s\"", why, err->msg);
}

static void assert_refused(const struct evidence *evidence, const struct eventlog *expected,
			   const char *why)
{
	struct error err = ERROR_INIT;
	int r = verify_pod(evidence, NONCE, NONCE_LEN, expected, &err);

	refused(r, &err, why);
}

static void a_good_quote_is_accepted(void **state)
{
	struct given *given = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(verify_pod(&given->evidence, NONCE, NONCE_LEN, &given->log, &err), 0);
}

static void evidence_survives_its_file(void **state)
{
	struct given *given = *state;
	struct evidence again;
	struct error err = ERROR_INIT;
	struct json_object *doc;
	const char *text;

	given->evidence.certificates = xstrdup("-----BEGIN");
	doc = evidence_json(&given->evidence);
	text = json_text(doc);
	assert_int_equal(evidence_parse(text, strlen(text), &again, &err), 0);
	json_object_put(doc);
	assert_string_equal(again.pod, given->evidence.pod);
	assert_string_equal(again.certificates, "-----BEGIN");
	assert_null(again.endorsement);
	assert_int_equal(verify_pod(&again, NONCE, NONCE_LEN, &given->log, &err), 0);
	evidence_free(&again);
}

static void another_nonce_is_refused(void **state)
{
	struct given *given = *state;
	struct error err = ERROR_INIT;
	int r = verify_pod(&given->evidence, OTHER, strlen(OTHER), &given->log, &err);

	refused(r, &err, "answers another nonce");
	/* the beginning of it is not it either */
	err.code = 0;
	r = verify_pod(&given->evidence, NONCE, NONCE_LEN - 1, &given->log, &err);
	refused(r, &err, "answers another nonce");
}

static void a_replayed_quote_is_refused(void **state)
{
	struct given *given = *state;
	struct evidence old = quotemake_evidence(given->key, &given->log, OTHER);

	bytes_free(&old.quote.nonce);
	old.quote.nonce = bytes_copy(NONCE, NONCE_LEN);
	assert_refused(&old, &given->log, "replayed");
	evidence_free(&old);
}

static void an_edited_log_is_refused(void **state)
{
	struct given *given = *state;
	struct eventlog other = quotemake_log("kernel_cmdline: init=/bin/sh");

	/* the attacker makes the log look like what is expected */
	bytes_free(&given->evidence.log);
	given->evidence.log = bytes_copy(other.data, other.len);
	assert_refused(&given->evidence, &other, "sha256 PCR 8 is not what the event log gives");
	eventlog_free(&other);
}

static void a_shortened_log_is_refused(void **state)
{
	struct given *given = *state;

	given->evidence.log.len -= 20;
	assert_refused(&given->evidence, &given->log, "malformed");
}

static void an_edited_pcr_is_refused(void **state)
{
	struct given *given = *state;

	given->evidence.quote.pcrs.values.pcr[4].sha384[47] ^= 1;
	assert_refused(&given->evidence, &given->log, "not those that were quoted");
}

static void pcrs_that_were_not_quoted_are_refused(void **state)
{
	struct given *given = *state;
	struct quote_plan plan = quotemake_plan(given->key, &given->log, NONCE);

	given->evidence.quote.pcrs.mask[BANK_SHA256] |= 1U << 7;
	assert_refused(&given->evidence, &given->log, "was not quoted");
	given->evidence.quote.pcrs.mask[BANK_SHA256] = 0x8013;
	assert_refused(&given->evidence, &given->log, "has no value of it");
	/* a log with more than the quote covers proves nothing of the rest */
	quote_free(&given->evidence.quote);
	plan.mask[BANK_SHA256] = plan.mask[BANK_SHA384] = 0x8013;
	given->evidence.quote = quotemake(&plan);
	assert_refused(&given->evidence, &given->log, "PCR 8 is in the event log and was not");
	/* one bank is enough */
	quote_free(&given->evidence.quote);
	plan.mask[BANK_SHA256] = 0;
	plan.mask[BANK_SHA384] = 0x8313;
	given->evidence.quote = quotemake(&plan);
	assert_int_equal(
		verify_pod(&given->evidence, NONCE, NONCE_LEN, &given->log, &(struct error){0}), 0);
}

static void what_was_extended_after_the_launch_shows(void **state)
{
	struct given *given = *state;
	struct quote_plan plan = quotemake_plan(given->key, &given->log, NONCE);

	plan.pcrs.pcr[15].sha256[0] ^= 1;
	quote_free(&given->evidence.quote);
	given->evidence.quote = quotemake(&plan);
	assert_refused(&given->evidence, &given->log, "extended after the launch");
}

static void the_first_event_that_differs_is_named(void **state)
{
	struct given *given = *state;
	struct eventlog other = quotemake_log("kernel_cmdline: loud");
	struct error err = ERROR_INIT;
	struct digests digests = {.sha256 = {0}};

	assert_refused(&given->evidence, &other,
		       "event 3 differs: PCR 8, kernel_cmdline: loud: SHA-256");
	eventlog_free(&other);
	other = quotemake_log("kernel_cmdline: quiet");
	assert_int_equal(eventlog_add(&other, 4, EV_IPL, &digests, "more", 4, &err), 0);
	assert_refused(&given->evidence, &other, "event 7 is missing: PCR 4, more");
	refused(expected_compare(other.data, other.len, &given->log, &err), &err,
		"event 7 is not expected: PCR 4, more");
	eventlog_free(&other);
}

static void another_key_is_refused(void **state)
{
	struct given *given = *state;
	struct error err = ERROR_INIT;
	EVP_PKEY *key = quotemake_key();
	struct evidence theirs = quotemake_evidence(key, &given->log, NONCE);
	char name[QUOTE_HEX_MAX(QUOTE_NAME_MAX)];
	struct bytes public;
	int r;

	/* the name and the file of the right key */
	assert_int_equal(quote_key_name(&given->evidence.quote, name, &err), 0);
	assert_int_equal(strlen(name), 68);
	assert_int_equal(quote_trust_name(&given->evidence.quote, name, &err), 0);
	public = given->evidence.quote.public;
	assert_int_equal(
		quote_trust_key(&given->evidence.quote, (char *)public.p, public.len, &err), 0);
	/* and of the wrong one, which makes good quotes */
	assert_int_equal(verify_pod(&theirs, NONCE, NONCE_LEN, &given->log, &err), 0);
	refused(quote_trust_name(&theirs.quote, name, &err), &err, "signed by another key");
	err.code = 0;
	r = quote_trust_key(&theirs.quote, (char *)public.p, public.len, &err);
	refused(r, &err, "signed by another key");
	/* their signature under our key's name */
	bytes_free(&theirs.quote.public);
	theirs.quote.public = bytes_copy(public.p, public.len);
	assert_refused(&theirs, &given->log, "not of this quote by this key");
	evidence_free(&theirs);
	EVP_PKEY_free(key);
}

static void a_key_in_pem_is_compared(void **state)
{
	struct given *given = *state;
	EVP_PKEY *other = quotemake_key();
	struct error err = ERROR_INIT;
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	size_t len;
	int r;

	PEM_write_bio_PUBKEY(bio, given->key);
	len = (size_t)BIO_get_mem_data(bio, &pem);
	assert_int_equal(quote_trust_key(&given->evidence.quote, pem, len, &err), 0);
	refused(quote_trust_key(&given->evidence.quote, pem, len / 2, &err), &err,
		"neither a public key");
	(void)BIO_reset(bio);
	PEM_write_bio_PUBKEY(bio, other);
	len = (size_t)BIO_get_mem_data(bio, &pem);
	err.code = 0;
	r = quote_trust_key(&given->evidence.quote, pem, len, &err);
	refused(r, &err, "signed by another key");
	BIO_free(bio);
	EVP_PKEY_free(other);
}

static void keys_that_may_sign_anything_are_refused(void **state)
{
	static const TPMA_OBJECT bits[] = {TPMA_OBJECT_RESTRICTED, TPMA_OBJECT_FIXEDTPM,
					   TPMA_OBJECT_FIXEDPARENT,
					   TPMA_OBJECT_SENSITIVEDATAORIGIN};
	struct given *given = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		struct quote_plan plan = quotemake_plan(given->key, &given->log, NONCE);

		plan.attributes &= ~bits[i];
		quote_free(&given->evidence.quote);
		given->evidence.quote = quotemake(&plan);
		assert_refused(&given->evidence, &given->log, "may have signed anything");
	}
}

static void what_is_no_quote_is_refused(void **state)
{
	struct given *given = *state;
	struct quote_plan plan = quotemake_plan(given->key, &given->log, NONCE);

	plan.magic ^= 1;
	quote_free(&given->evidence.quote);
	given->evidence.quote = quotemake(&plan);
	assert_refused(&given->evidence, &given->log, "not made by a TPM");
	plan = quotemake_plan(given->key, &given->log, NONCE);
	plan.type = TPM2_ST_ATTEST_TIME;
	quote_free(&given->evidence.quote);
	given->evidence.quote = quotemake(&plan);
	assert_refused(&given->evidence, &given->log, "not a quote");
}

static void flipped_and_missing_bytes_of_the_quote_are_refused(void **state)
{
	struct given *given = *state;
	struct quote *quote = &given->evidence.quote;
	struct bytes *parts[] = {&quote->quoted, &quote->signature};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t whole = parts[i]->len;

		for (size_t at = 0; at < whole; at++) {
			parts[i]->p[at] ^= 0x20;
			assert_true(verify_pod(&given->evidence, NONCE, NONCE_LEN, &given->log,
					       &err) < 0);
			parts[i]->p[at] ^= 0x20;
			parts[i]->len = at;
			assert_true(verify_pod(&given->evidence, NONCE, NONCE_LEN, &given->log,
					       &err) < 0);
			parts[i]->len = whole;
		}
	}
}

static void truncated_and_hostile_files_are_refused(void **state)
{
	static const char *const hostile[] = {
		"",
		"[]",
		"null",
		"{}",
		"{\"kind\":\"tripod-quote\"}",
		"{\"kind\":\"tripod-quote\",\"version\":2}",
		"{\"kind\":\"tripod-quote\",\"version\":1,\"pod\":\"../..\"}",
		"{\"kind\":\"tripod-expected\",\"version\":1}",
		"{\"kind\":[],\"version\":1}",
	};
	struct given *given = *state;
	struct json_object *doc = evidence_json(&given->evidence);
	const char *text = json_text(doc);
	struct evidence evidence;
	struct error err = ERROR_INIT;

	for (size_t len = 0; len < strlen(text); len += 7)
		assert_true(evidence_parse(text, len, &evidence, &err) < 0);
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
		assert_true(evidence_parse(hostile[i], strlen(hostile[i]), &evidence, &err) < 0);
	json_object_put(doc);
}

static void values_in_a_file_have_bounds(void **state)
{
	static const struct {
		const char *key, *value, *why;
	} bad[] = {
		{"nonce", "", "nonce is empty"},       {"nonce", "0", "odd number"},
		{"quoted", "AAA", "not base64"},       {"quoted", "", "quoted is empty"},
		{"eventlog", "", "eventlog is empty"}, {"pod", "x", "not a UUID"},
	};
	struct given *given = *state;
	cleanup_free char *long_one = xcalloc(1, 4096);

	memset(long_one, 'A', 4092);
	for (size_t i = 0; i < ARRAY_SIZE(bad) + 2; i++) {
		struct json_object *doc = evidence_json(&given->evidence);
		bool more = i >= ARRAY_SIZE(bad);
		const char *text;
		struct evidence evidence;
		struct error err = ERROR_INIT;
		int r;

		if (more)
			json_add_string(doc, i == ARRAY_SIZE(bad) ? "public" : "nonce", long_one);
		else
			json_add_string(doc, bad[i].key, bad[i].value);
		text = json_text(doc);
		r = evidence_parse(text, strlen(text), &evidence, &err);
		refused(r, &err, more ? "more than" : bad[i].why);
		json_object_put(doc);
	}
}

static void reference_values_survive_their_file(void **state)
{
	struct given *given = *state;
	struct json_object *doc = NULL;
	struct eventlog again;
	struct error err = ERROR_INIT;
	const char *text;

	assert_int_equal(expected_from_log(given->log.data, given->log.len, &doc, &err), 0);
	text = json_text(doc);
	assert_int_equal(expected_parse(text, strlen(text), &again, &err), 0);
	assert_int_equal(again.len, given->log.len);
	assert_memory_equal(again.data, given->log.data, again.len);
	eventlog_free(&again);
	json_object_put(doc);
}

static void reference_values_that_contradict_themselves_are_refused(void **state)
{
	struct given *given = *state;
	struct json_object *doc = NULL, *pcrs, *bank, *events;
	struct eventlog log;
	struct error err = ERROR_INIT;
	const char *text;

	assert_int_equal(expected_from_log(given->log.data, given->log.len, &doc, &err), 0);
	json_object_object_get_ex(doc, "pcrs", &pcrs);
	json_object_object_get_ex(pcrs, "sha384", &bank);
	json_object_object_del(bank, "15");
	text = json_text(doc);
	refused(expected_parse(text, strlen(text), &log, &err), &err, "sha384 PCR 15 is not what");
	json_object_object_get_ex(doc, "events", &events);
	json_add_int(json_object_array_get_idx(events, 2), "pcr", 24);
	text = json_text(doc);
	err.code = 0;
	refused(expected_parse(text, strlen(text), &log, &err), &err, "event 2");
	json_object_put(doc);
}

/* A host's evidence with these records. */
static struct host_evidence host_with(EVP_PKEY *key, const char *const *records, size_t n)
{
	struct host_evidence host = {.records = STRV_INIT};
	struct quote_plan plan = quotemake_plan(key, NULL, NONCE);

	memset(host.start, 0x5a, sizeof(host.start));
	memcpy(plan.pcrs.pcr[HOST_PCR].sha256, host.start, SHA256_SIZE);
	for (size_t i = 0; i < n; i++) {
		struct digests digests;

		strv_add(&host.records, records[i]);
		digests_of(records[i], strlen(records[i]), &digests);
		pcrs_extend(&plan.pcrs, HOST_PCR, &digests);
	}
	plan.mask[BANK_SHA256] = 1U << HOST_PCR;
	plan.mask[BANK_SHA384] = 0;
	host.quote = quotemake(&plan);
	return host;
}

static void a_host_vouches_for_the_pods_key(void **state)
{
	struct given *given = *state;
	EVP_PKEY *key = quotemake_key();
	struct error err = ERROR_INIT;
	char name[QUOTE_HEX_MAX(QUOTE_NAME_MAX)];
	cleanup_free char *args = xasprintf("--hostname=x %s", given->evidence.pod);
	cleanup_free char *launch = record_of_launch("{}", args), *ak = NULL;
	char hex[QUOTE_HEX_MAX(SHA256_SIZE)];
	struct host_evidence host, again;
	struct digests digests;
	struct json_object *doc;
	const char *text;
	int r;

	assert_string_equal(launch, "rkt: Rootfs:  Manifest: {} Stage1 args: --hostname=x "
				    "0b1cdb3e-9a44-4d41-8b4a-6f6a3f9d2c11");
	assert_int_equal(quote_key_name(&given->evidence.quote, name, &err), 0);
	ak = record_of_key(given->evidence.pod, name);
	host = host_with(key, (const char *const[]){"other", launch, "more", ak}, 4);
	doc = host_evidence_json(&host);
	text = json_text(doc);
	assert_int_equal(host_evidence_parse(text, strlen(text), &again, &err), 0);
	json_object_put(doc);
	assert_int_equal(verify_host(&again, &given->evidence, NONCE, NONCE_LEN, &err), 0);
	r = verify_host(&again, &given->evidence, OTHER, strlen(OTHER), &err);
	refused(r, &err, "host: the quote answers another nonce");
	host_evidence_free(&again);
	/* records of others as their digests */
	digests_of("more", 4, &digests);
	hash_hex(digests.sha256, SHA256_SIZE, hex);
	free(host.records.v[2]);
	host.records.v[2] = xstrdup(hex);
	assert_int_equal(verify_host(&host, &given->evidence, NONCE, NONCE_LEN, &err), 0);
	/* a record that is left out */
	err.code = 0;
	free(host.records.v[2]);
	host.records.v[2] = xstrdup("less");
	r = verify_host(&host, &given->evidence, NONCE, NONCE_LEN, &err);
	refused(r, &err, "host: PCR 15 is not what its records give");
	host_evidence_free(&host);
	/* records of another pod or key, or of the key first */
	err.code = 0;
	host = host_with(key, (const char *const[]){ak}, 1);
	r = verify_host(&host, &given->evidence, NONCE, NONCE_LEN, &err);
	refused(r, &err, "no record of the launch");
	host_evidence_free(&host);
	err.code = 0;
	host = host_with(key, (const char *const[]){ak, launch}, 2);
	r = verify_host(&host, &given->evidence, NONCE, NONCE_LEN, &err);
	refused(r, &err, "no record of the key");
	host_evidence_free(&host);
	EVP_PKEY_free(key);
}

/* A certificate of subject's key by issuer's, in PEM. */
static char *certify(EVP_PKEY *subject, const char *name, EVP_PKEY *issuer, const char *issuer_name,
		     long serial)
{
	X509 *certificate = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *pem;
	long len;

	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_NAME_add_entry_by_txt(X509_get_issuer_name(certificate), "CN", MBSTRING_ASC,
				   (const unsigned char *)issuer_name, -1, -1, 0);
	X509_set_pubkey(certificate, subject);
	X509_sign(certificate, issuer, EVP_sha256());
	PEM_write_bio_X509(bio, certificate);
	len = BIO_get_mem_data(bio, &data);
	pem = xstrndup(data, (size_t)len);
	BIO_free(bio);
	X509_free(certificate);
	return pem;
}

static void certificates_lead_to_one_that_is_trusted(void **state)
{
	struct given *given = *state;
	EVP_PKEY *ca = quotemake_key(), *other = quotemake_key();
	const char *pod = given->evidence.pod;
	cleanup_free char *root = certify(ca, "ca", ca, "ca", 1);
	cleanup_free char *stranger = certify(other, "ca", other, "ca", 1);
	cleanup_free char *own = certify(given->key, pod, ca, "ca", 2);
	cleanup_free char *theirs = certify(other, pod, ca, "ca", 3);
	const struct quote *quote = &given->evidence.quote;
	struct error err = ERROR_INIT;

	assert_int_equal(quote_trust_certificates(quote, pod, own, root, &err), 0);
	refused(quote_trust_certificates(quote, "another", own, root, &err), &err,
		"of another pod");
	refused(quote_trust_certificates(quote, pod, NULL, root, &err), &err, "has no certificate");
	refused(quote_trust_certificates(quote, pod, theirs, root, &err), &err, "of another key");
	refused(quote_trust_certificates(quote, pod, own, stranger, &err), &err,
		"the key's certificate: ");
	refused(quote_trust_certificates(quote, pod, "junk", root, &err), &err, "malformed");
	refused(quote_trust_certificates(quote, pod, own, "junk", &err), &err,
		"no certificates to trust");
	EVP_PKEY_free(ca);
	EVP_PKEY_free(other);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(a_good_quote_is_accepted),
		WITH(evidence_survives_its_file),
		WITH(another_nonce_is_refused),
		WITH(a_replayed_quote_is_refused),
		WITH(an_edited_log_is_refused),
		WITH(a_shortened_log_is_refused),
		WITH(an_edited_pcr_is_refused),
		WITH(pcrs_that_were_not_quoted_are_refused),
		WITH(what_was_extended_after_the_launch_shows),
		WITH(the_first_event_that_differs_is_named),
		WITH(another_key_is_refused),
		WITH(a_key_in_pem_is_compared),
		WITH(keys_that_may_sign_anything_are_refused),
		WITH(what_is_no_quote_is_refused),
		WITH(flipped_and_missing_bytes_of_the_quote_are_refused),
		WITH(truncated_and_hostile_files_are_refused),
		WITH(values_in_a_file_have_bounds),
		WITH(reference_values_survive_their_file),
		WITH(reference_values_that_contradict_themselves_are_refused),
		WITH(a_host_vouches_for_the_pods_key),
		WITH(certificates_lead_to_one_that_is_trusted),
	};

	/* tpm2-tss tells of each malformed structure on stderr otherwise */
	setenv("TSS2_LOG", "all+none", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
