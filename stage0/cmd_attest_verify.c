/* SPDX-License-Identifier: Apache-2.0 */
/* attest verify: files in, a verdict out. No pod, no TPM, no data directory. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/encode.h"
#include "common/file.h"
#include "common/log.h"
#include "common/util.h"
#include "stage0/attest/expected.h"
#include "stage0/attest/quote_trust.h"
#include "stage0/attest/verify.h"
#include "stage0/cmds.h"
#include "stage0/format.h"

#define EXIT_REJECTED 1

struct verify_options {
	char *expected;
	char *nonce;
	char *ak_name;
	char *ak;
	char *ca;
	char *host_quote;
	char *host_ak_name;
	char *host_ak;
	char *format;
};

#define OPTION(field) OPT_STRING, offsetof(struct verify_options, field)

static const struct option options[] = {
	{"ak", OPTION(ak), .arg = "FILE",
	 .help = "the key that must have signed: a public key in PEM, or a TPM2B_PUBLIC"},
	{"ak-name", OPTION(ak_name), .arg = "HEX",
	 .help = "the Name of the key that must have signed"},
	{"ca", OPTION(ca), .arg = "FILE",
	 .help = "certificates (PEM) of the authority that must have certified the key"},
	{"expected", OPTION(expected), .arg = "FILE",
	 .help = "what the pod must have measured, as attest expected printed it"},
	{"format", OPTION(format), .arg = "FORMAT",
	 .help = "print json or json-pretty instead of key=value lines"},
	{"host-ak", OPTION(host_ak), .arg = "FILE",
	 .help = "the key that must have signed the host's quote, as --ak"},
	{"host-ak-name", OPTION(host_ak_name), .arg = "HEX", .help = "its Name, as --ak-name"},
	{"host-quote", OPTION(host_quote), .arg = "FILE",
	 .help = "a quote of the host's TPM, which must vouch for the pod's key"},
	{"nonce", OPTION(nonce), .arg = "HEX", .help = "what the quote must answer"},
	{.name = NULL},
};

/* Everything that was read. */
struct verification {
	const struct verify_options *given;
	uint8_t nonce[QUOTE_NONCE_MAX];
	size_t nonce_len;
	struct eventlog expected;
	struct evidence evidence;
	struct host_evidence host;
};

static void verification_free(struct verification *v)
{
	eventlog_free(&v->expected);
	evidence_free(&v->evidence);
	host_evidence_free(&v->host);
}

static int read_text(const char *path, char **ret, size_t *ret_len, struct error *err)
{
	return file_read(AT_FDCWD, path, JSON_SIZE_MAX, ret, ret_len, err);
}

/* What the verifier brings: a failure here says nothing of the evidence. */
static int read_own(struct verification *v, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	if (!v->given->expected || !v->given->nonce || !*v->given->nonce)
		return error_set(err, -EINVAL, "--expected and --nonce are needed");
	if (!v->given->host_quote && (v->given->host_ak || v->given->host_ak_name))
		return error_set(err, -EINVAL, "--host-ak and --host-ak-name go with --host-quote");
	if (hex_decode(v->given->nonce, v->nonce, sizeof(v->nonce), &v->nonce_len, err) < 0)
		return error_wrap(err, "--nonce");
	r = read_text(v->given->expected, &text, &len, err);
	if (r == 0)
		r = expected_parse(text, len, &v->expected, err);
	return r < 0 ? error_wrap(err, "--expected") : 0;
}

/* Whether quote's key is the one that the options name. *ret_how: by which of them. */
static int check_key(const struct quote *quote, const char *name, const char *file,
		     const char **ret_how, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = 0;

	if (name) {
		r = quote_trust_name(quote, name, err);
		*ret_how = "name";
	}
	if (r == 0 && file) {
		r = read_text(file, &text, &len, err);
		if (r == 0)
			r = quote_trust_key(quote, text, len, err);
		*ret_how = "key";
	}
	return r;
}

static int check_ca(const struct verification *v, const char **ret_how, struct error *err)
{
	cleanup_free char *roots = NULL;
	size_t len;
	int r;

	if (!v->given->ca)
		return 0;
	r = read_text(v->given->ca, &roots, &len, err);
	if (r == 0)
		r = quote_trust_certificates(&v->evidence.quote, v->evidence.pod,
					     v->evidence.certificates, roots, err);
	*ret_how = "certificate";
	return r;
}

static int check_host(struct verification *v, const char **ret_how, struct error *err)
{
	cleanup_free char *text = NULL;
	const char *host_how = NULL;
	size_t len;
	int r;

	if (!v->given->host_quote)
		return 0;
	r = read_text(v->given->host_quote, &text, &len, err);
	if (r == 0)
		r = host_evidence_parse(text, len, &v->host, err);
	if (r == 0)
		r = check_key(&v->host.quote, v->given->host_ak_name, v->given->host_ak, &host_how,
			      err);
	if (r == 0)
		r = verify_host(&v->host, &v->evidence, v->nonce, v->nonce_len, err);
	if (r < 0)
		return r;
	if (!host_how)
		log_warn("nothing says that the host's quote is of a TPM: name its key with "
			 "--host-ak-name or --host-ak");
	*ret_how = host_how ? "host" : NULL;
	return 0;
}

static int verify(struct verification *v, const char *file, const char **ret_how, struct error *err)
{
	cleanup_free char *text = NULL;
	const char *by_host = NULL;
	size_t len;
	int r = read_text(file, &text, &len, err);

	if (r == 0)
		r = evidence_parse(text, len, &v->evidence, err);
	if (r == 0)
		r = check_key(&v->evidence.quote, v->given->ak_name, v->given->ak, ret_how, err);
	if (r == 0)
		r = check_ca(v, ret_how, err);
	if (r == 0)
		r = verify_pod(&v->evidence, v->nonce, v->nonce_len, &v->expected, err);
	if (r == 0)
		r = check_host(v, &by_host, err);
	if (r == 0 && by_host)
		*ret_how = by_host;
	return r;
}

static void show(const struct verification *v, const char *how, enum format format)
{
	char name[QUOTE_HEX_MAX(QUOTE_NAME_MAX)] = "", host[QUOTE_HEX_MAX(QUOTE_NAME_MAX)] = "";
	struct error ignored = ERROR_INIT;
	struct json_object *doc;

	(void)quote_key_name(&v->evidence.quote, name, &ignored);
	if (v->given->host_quote)
		(void)quote_key_name(&v->host.quote, host, &ignored);
	if (!how)
		log_warn("nothing says that the quote is of a TPM: name its key with --ak-name, "
			 "--ak, --ca or --host-quote");
	how = how ? how : "none";
	if (format == FORMAT_TEXT) {
		printf("pod=%s\nkey=%s\n", v->evidence.pod, name);
		if (*host)
			printf("host_key=%s\n", host);
		printf("trust=%s\n", how);
		return;
	}
	doc = json_object_new_object();
	json_add_string(doc, "pod", v->evidence.pod);
	json_add_string(doc, "key", name);
	if (*host)
		json_add_string(doc, "host_key", host);
	json_add_string(doc, "trust", how);
	json_add(doc, "pcrs", pcr_set_json(&v->evidence.quote.pcrs));
	if (*host)
		json_add(doc, "host_pcrs", pcr_set_json(&v->host.quote.pcrs));
	format_json(stdout, doc, format);
	json_object_put(doc);
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct verification v = {.given = opts, .host = {.records = STRV_INIT}};
	struct error err = ERROR_INIT;
	const char *how = NULL;
	enum format format;
	int status = 0;

	if (format_parse(v.given->format, &format, &err) < 0)
		return usage_error(globals->prog, &cmd_attest_verify, err.msg);
	if (read_own(&v, &err) < 0)
		status = EXIT_FAILED;
	else if (verify(&v, args->v[0], &how, &err) < 0)
		status = EXIT_REJECTED;
	if (status == 0)
		show(&v, how, format);
	else
		log_error("%s", err.msg);
	verification_free(&v);
	return status;
}

const struct command cmd_attest_verify = {
	.name = "attest verify",
	.args = "[options] --expected=FILE --nonce=HEX FILE",
	.summary = "check a pod's quote",
	.text = "Check what attest quote has printed, on any machine: that a TPM's key signed it, "
		"that\n"
		"it answers the nonce, and that the pod's launch measured what is expected. The "
		"exit\n"
		"status is 0 when all of that holds, 1 when the evidence is rejected, and 254 when "
		"it\n"
		"could not be checked.",
	.options = options,
	.size = sizeof(struct verify_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
