/* SPDX-License-Identifier: Apache-2.0 */
/* attest quote: have a running pod's TPM sign its PCRs, and gather what explains them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/encode.h"
#include "common/file.h"
#include "common/log.h"
#include "common/util.h"
#include "stage0/attest/ca.h"
#include "stage0/attest/evidence.h"
#include "stage0/attest/pod_tpm.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/pod_control.h"
#include "stage0/pod_info.h"

struct quote_options {
	char *nonce;
	char *pcrs;
	char *out;
	char *host_quote;
	struct tpm_options tpm;
};

static const struct option options[] = {
	{"host-quote", OPT_STRING, offsetof(struct quote_options, host_quote), .arg = "FILE",
	 .help = "write a quote of the host's TPM, which vouches for the pod's, to this file"},
	{"host-tcti", OPT_STRING, offsetof(struct quote_options, tpm.host_tcti), .arg = "CONF",
	 .help = "how tpm2-tss gets to the host's TPM (default: device:/dev/tpmrm0)"},
	{"host-tpm", OPT_STRING, offsetof(struct quote_options, tpm.host), .dflt = "auto",
	 .arg = "auto|on|off",
	 .help = "record the pod's key in the host's TPM; auto: when the launch was"},
	{"nonce", OPT_STRING, offsetof(struct quote_options, nonce), .arg = "HEX",
	 .help = "what the quote is to answer, 1 to 64 bytes of the verifier's choice"},
	{"out", OPT_STRING, offsetof(struct quote_options, out), .arg = "FILE",
	 .help = "write to this file instead of the standard output"},
	{"pcrs", OPT_STRING, offsetof(struct quote_options, pcrs), .arg = "LIST",
	 .help = "PCRs to quote, such as 0,4,15 (default: those the launch was measured into)"},
	{.name = NULL},
};

static int parse_pcrs(const char *list, uint32_t *ret, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	uint32_t mask = 0;

	strv_split(&words, list, ',');
	for (size_t i = 0; i < words.n; i++) {
		unsigned long long pcr;

		if (!str_to_u64(words.v[i], EVENTLOG_PCRS - 1, &pcr))
			return error_set(err, -EINVAL, "--pcrs: \"%s\" is not a PCR", words.v[i]);
		mask |= 1U << pcr;
	}
	*ret = mask;
	return 0;
}

/* The nonce, in the lower case that is sent to the pod. */
static int parse_nonce(const char *text, struct bytes *ret, struct error *err)
{
	uint8_t nonce[QUOTE_NONCE_MAX];
	size_t len = 0;

	if (!text || !*text)
		return error_set(err, -EINVAL, "--nonce is missing");
	if (hex_decode(text, nonce, sizeof(nonce), &len, err) < 0)
		return error_wrap(err, "--nonce");
	*ret = bytes_copy(nonce, len);
	return 0;
}

/* The pod's answer: the members of a quote, of which the nonce and the form of the key are ours. */
static int read_answer(struct json_object *answer, const struct bytes *nonce, struct quote *ret,
		       struct error *err)
{
	struct bytes tpmt = {.p = NULL}, public = {.p = NULL};
	int r = bytes_from_base64(answer, "public", QUOTE_BLOB_MAX, &tpmt, err);

	if (r == 0)
		r = quote_public_from_tpmt(tpmt.p, tpmt.len, &public, err);
	if (r == 0) {
		json_add_base64(answer, "public", public.p, public.len);
		json_add_hex(answer, "nonce", nonce->p, nonce->len);
		r = quote_from_json(answer, ret, err);
	}
	bytes_free(&tpmt);
	bytes_free(&public);
	return r;
}

static int ask_pod(const struct pod *pod, const struct bytes *nonce, uint32_t pcrs,
		   struct quote *ret, struct error *err)
{
	cleanup_json struct json_object *answer = NULL, *words = json_object_new_object();
	cleanup_free char *request = NULL;
	const char *hex = NULL;
	int r;

	json_add_hex(words, "nonce", nonce->p, nonce->len);
	(void)json_get_string(words, "nonce", &hex, err);
	request = xasprintf("quote %s %x", hex, pcrs);
	r = pod_control(pod, request, POD_CONTROL_TIMEOUT_MS, &answer, err);
	if (r == 0)
		r = read_answer(answer, nonce, ret, err);
	/* the pod's side is not believed: what is handed over holds */
	if (r == 0)
		r = quote_verify(ret, nonce->p, nonce->len, err);
	return r;
}

static int write_json(const char *file, struct json_object *doc, struct error *err)
{
	cleanup_free char *text = xasprintf("%s\n", json_text(doc));

	return file_write(AT_FDCWD, file, text, strlen(text), 0644, err);
}

/* All that is known of the pod's launch, and the pod's quote. */
static int gather(const struct quote_options *given, const struct pod *pod,
		  const struct bytes *nonce, struct evidence *evidence, struct error *err)
{
	struct pcr_set launched;
	uint32_t mask = 0;
	char *log = NULL;
	size_t len;
	int r = pod_tpm_pcrs(pod, &launched, err);

	if (r == 0)
		r = pod_read(pod, "measurements", EVENTLOG_MAX, &log, &len, err);
	if (r < 0)
		return r;
	evidence->log = (struct bytes){.p = (uint8_t *)log, .len = len};
	memcpy(evidence->pod, pod->uuid, sizeof(evidence->pod));
	mask = launched.mask[BANK_SHA256];
	if (given->pcrs)
		r = parse_pcrs(given->pcrs, &mask, err);
	if (r == 0)
		r = ask_pod(pod, nonce, mask, &evidence->quote, err);
	if (r == 0)
		r = ca_certificates(pod, &evidence->quote, &evidence->certificates,
				    &evidence->endorsement, err);
	return r;
}

/* What the host's TPM has to say. */
static int ask_host(const struct quote_options *given, const struct pods *pods,
		    const struct pod *pod, const struct evidence *evidence, struct error *err)
{
	cleanup(host_evidence_free) struct host_evidence host = {.records = STRV_INIT};
	cleanup_json struct json_object *doc = NULL;
	cleanup_free char *warning = NULL;
	int r = pod_tpm_vouch(&given->tpm, pods, pod, &evidence->quote,
			      given->host_quote ? &host : NULL, &warning, err);

	if (warning)
		log_warn("%s", warning);
	if (r < 0 || !given->host_quote)
		return r;
	doc = host_evidence_json(&host);
	return write_json(given->host_quote, doc, err);
}

static int quote(const struct globals *globals, const struct quote_options *given, const char *uuid,
		 struct error *err)
{
	cleanup(evidence_free) struct evidence evidence = {.certificates = NULL};
	cleanup(bytes_free) struct bytes nonce = {.p = NULL};
	cleanup_json struct json_object *doc = NULL;
	cleanup(pods_close) struct pods pods = {.fd = -1};
	cleanup_pod struct pod pod = POD_INIT;
	cleanup_free char *data_dir = NULL;
	int r = parse_nonce(given->nonce, &nonce, err);

	if (r == 0)
		r = globals_data_dir(globals, &data_dir, err);
	if (r == 0)
		r = pods_open(data_dir, &pods, err);
	if (r == 0)
		r = pod_find(&pods, uuid, &pod, err);
	if (r == 0)
		r = gather(given, &pod, &nonce, &evidence, err);
	if (r == 0)
		r = ask_host(given, &pods, &pod, &evidence, err);
	if (r < 0)
		return r;
	doc = evidence_json(&evidence);
	if (given->out)
		return write_json(given->out, doc, err);
	format_json(stdout, doc, FORMAT_JSON);
	return 0;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct error err = ERROR_INIT;

	if (quote(globals, opts, args->v[0], &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	return 0;
}

const struct command cmd_attest_quote = {
	.name = "attest quote",
	.args = "[options] --nonce=HEX UUID",
	.summary = "have a pod's TPM say what was measured",
	.text = "Print evidence of what runs in a pod, for attest verify: a quote of its TPM's "
		"PCRs,\n"
		"the event log that explains them, and certificates when there are some.",
	.options = options,
	.size = sizeof(struct quote_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
