/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's evidence as a JSON file, verified against itself; and every structure in it. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "stage0/attest/quote_priv.h"
#include "stage0/attest/quote_trust.h"
#include "stage0/attest/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct eventlog none; /* a header, and no event */
	char name[QUOTE_HEX_MAX(QUOTE_NAME_MAX)];
	struct error err = ERROR_INIT;
	struct bytes der = {.p = NULL};
	struct evidence evidence;
	struct quote *quote = &evidence.quote;

	if (!none.data)
		eventlog_init(&none);
	setenv("TSS2_LOG", "all+none", 0);
	if (evidence_parse((const char *)data, size, &evidence, &err) < 0)
		return 0;
	(void)quote_key_name(quote, name, &err);
	(void)quote_key_der(quote, &der, &err);
	(void)quote_check_quoted(quote, HASH_SHA256, quote->nonce.p, quote->nonce.len, &err);
	/* no signature of the seeds is of a quote over no PCRs */
	assert(verify_pod(&evidence, quote->nonce.p, quote->nonce.len, &none, &err) < 0);
	if (evidence.certificates)
		(void)quote_trust_certificates(quote, evidence.pod, evidence.certificates,
					       evidence.certificates, &err);
	bytes_free(&der);
	evidence_free(&evidence);
	return 0;
}
