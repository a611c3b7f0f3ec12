/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attest/pod_tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/attest/ca.h"
#include "stage0/attest/child.h"
#include "stage0/attest/expected.h"
#include "stage0/attest/host_tpm.h"
#include "stage0/attest/verify.h"
#include "stage0/pod_info.h"

/* for all that is asked of it at once: making a key takes some chips seconds */
#define HOST_TPM_TIMEOUT_MS 15000
#define RECORD_FILE	    "host-record" /* the text of the launch's record in the host's TPM */
#define KEY_FILE	    "host-key"	  /* the same of its key */
#define RECORD_MAX	    (JSON_SIZE_MAX + 65536) /* bytes of it: a manifest and arguments */

int tpm_options_check(const struct tpm_options *options, struct error *err)
{
	static const char *const words[] = {"auto", "on", "off"};
	enum host_tpm_use use;
	size_t i = 0;

	while (i < ARRAY_SIZE(words) && strcmp(options->tpm, words[i]) != 0)
		i++;
	if (i == ARRAY_SIZE(words))
		return error_set(err, -EINVAL, "--tpm: \"%s\" is neither auto nor on nor off",
				 options->tpm);
	if (options->ca && strcmp(options->tpm, "on") != 0)
		return error_set(err, -EINVAL, "--tpm-ca goes with --tpm=on only");
	return host_tpm_use_parse(options->host, &use, err);
}

/* Write a file again that a launch which failed may have left in a prepared pod. */
static int write_again(const struct pod *pod, const char *name, const void *data, size_t len,
		       struct error *err)
{
	cleanup_fd int fd = -1;
	int r;

	unlinkat(pod->fd, name, 0);
	fd = openat(pod->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	r = fd < 0 ? -errno : write_all(fd, data, len);
	return r < 0 ? error_set(err, r, "pod %s: %s: %s", pod->uuid, name, strerror(-r)) : 0;
}

static int write_required(const char *file, const struct pod *pod, struct error *err)
{
	cleanup(eventlog_free) struct eventlog log = {.data = NULL};
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(AT_FDCWD, file, JSON_SIZE_MAX, &text, &len, err);

	if (r == 0)
		r = expected_parse(text, len, &log, err);
	if (r < 0)
		return error_wrap(err, "--require-measured");
	return write_again(pod, "require-measured", log.data, log.len, err);
}

int pod_tpm_write(const struct tpm_options *options, const struct pods *pods, const struct pod *pod,
		  struct error *err)
{
	int r = 0;

	if (strcmp(options->tpm, "auto") != 0)
		r = write_again(pod, "tpm", options->tpm, strlen(options->tpm), err);
	if (r == 0 && options->required)
		r = write_required(options->required, pod, err);
	if (r == 0 && options->ca)
		r = remove_tree(pod->fd, "tpm-ca", err);
	if (r == 0 && options->ca)
		r = remove_tree(pod->fd, "tpm-state", err);
	if (r == 0 && options->ca)
		r = ca_make_tpm(options->ca, pods, pod, err);
	return r;
}

/* What is asked of the host's TPM, in a child process: it may not answer. */
struct request {
	const char *tcti;
	const char *data_dir;
	const char *record;	   /* to extend, or NULL */
	const struct bytes *nonce; /* to quote over, or NULL */
	const struct strv *texts;
};

/* out: the host's evidence, when there is a nonce. */
static int ask(const void *arg, struct str *out, struct error *err)
{
	cleanup(host_evidence_free) struct host_evidence evidence = {.records = STRV_INIT};
	const struct request *request = arg;
	cleanup_host_tpm struct host_tpm *tpm = NULL;
	cleanup_json struct json_object *doc = NULL;
	int r = host_tpm_open(request->tcti, &tpm, err);

	if (r == 0 && request->record)
		r = host_tpm_record(tpm, request->data_dir, request->record, err);
	if (r == 0 && request->nonce)
		r = host_tpm_quote(tpm, request->data_dir, request->nonce, request->texts,
				   &evidence, err);
	if (r == 0 && request->nonce) {
		doc = host_evidence_json(&evidence);
		str_add(out, json_text(doc));
	}
	return r;
}

static int ask_host(const struct request *request, struct str *ret, struct error *err)
{
	int r = host_tpm_find(request->tcti, err);

	return r < 0 ? r
		     : child_call(ask, request, "the host's TPM", HOST_TPM_TIMEOUT_MS, ret, err);
}

static int record(const struct tpm_options *options, const struct pods *pods, const struct pod *pod,
		  const char *text, struct error *err)
{
	const struct request request = {
		.tcti = options->host_tcti, .data_dir = pods->data_dir, .record = text};
	cleanup_str struct str nothing = STR_INIT;
	int r = ask_host(&request, &nothing, err);

	return r < 0 ? r : write_again(pod, RECORD_FILE, text, strlen(text), err);
}

int pod_tpm_record(const struct tpm_options *options, const struct pods *pods,
		   const struct pod *pod, struct json_object *manifest, const struct strv *argv,
		   char **ret_warning, struct error *err)
{
	cleanup_str struct str args = STR_INIT;
	cleanup_free char *text = NULL;
	struct error failed = ERROR_INIT;
	enum host_tpm_use use;
	int r = host_tpm_use_parse(options->host, &use, err);

	*ret_warning = NULL;
	if (r < 0 || use == HOST_TPM_OFF)
		return r;
	for (size_t i = 0; i < argv->n; i++)
		str_addf(&args, "%s%s", i ? " " : "", argv->v[i]);
	text = record_of_launch(manifest ? json_text(manifest) : "", str_get(&args));
	r = record(options, pods, pod, text, &failed);
	if (r == 0)
		return 0;
	if (use == HOST_TPM_ON)
		return error_set(err, r, "%s", failed.msg);
	/* nobody asked, and there is none */
	if (r != -ENOENT || options->host_tcti)
		*ret_warning = xasprintf("the launch is not recorded: %s", failed.msg);
	return 0;
}

static int vouch(const struct tpm_options *options, const struct pods *pods, const struct pod *pod,
		 const struct quote *quote, struct host_evidence *ret, struct error *err)
{
	struct request request = {.tcti = options->host_tcti, .data_dir = pods->data_dir};
	cleanup_free char *launch = NULL, *known = NULL, *key = NULL;
	cleanup_strv struct strv texts = STRV_INIT;
	char name[QUOTE_HEX_MAX(QUOTE_NAME_MAX)];
	cleanup_str struct str text = STR_INIT;
	struct error unknown = ERROR_INIT;
	size_t len;
	int r = pod_read(pod, RECORD_FILE, RECORD_MAX, &launch, &len, err);

	if (r < 0)
		return error_set(err, r, "the launch of pod %s was not recorded in the host's TPM",
				 pod->uuid);
	r = quote_key_name(quote, name, err);
	if (r < 0)
		return r;
	key = record_of_key(pod->uuid, name);
	if (pod_read(pod, KEY_FILE, RECORD_MAX, &known, &len, &unknown) < 0 ||
	    strcmp(known, key) != 0)
		request.record = key;
	strv_add(&texts, launch);
	strv_add(&texts, key);
	request.texts = &texts;
	if (ret)
		request.nonce = &quote->nonce;
	if (request.record || request.nonce)
		r = ask_host(&request, &text, err);
	if (r == 0 && request.record)
		r = write_again(pod, KEY_FILE, key, strlen(key), err);
	if (r == 0 && ret)
		r = host_evidence_parse(str_get(&text), text.len, ret, err);
	return r;
}

int pod_tpm_vouch(const struct tpm_options *options, const struct pods *pods, const struct pod *pod,
		  const struct quote *quote, struct host_evidence *ret, char **ret_warning,
		  struct error *err)
{
	struct error failed = ERROR_INIT;
	enum host_tpm_use use;
	int r = host_tpm_use_parse(options->host, &use, err);

	*ret_warning = NULL;
	if (r < 0)
		return r;
	if (use == HOST_TPM_OFF)
		return ret ? error_set(err, -EINVAL, "--host-quote does not go with --host-tpm=off")
			   : 0;
	r = vouch(options, pods, pod, quote, ret, &failed);
	if (r == 0)
		return 0;
	if (use == HOST_TPM_ON || ret)
		return error_set(err, r, "%s", failed.msg);
	if (r != -ENOENT) /* else there is no such TPM, or it had no part in the launch */
		*ret_warning = xasprintf("the host does not vouch for the quote: %s", failed.msg);
	return 0;
}

int pod_tpm_pcrs(const struct pod *pod, struct pcr_set *ret, struct error *err)
{
	cleanup_free char *log = NULL;
	size_t len;
	int r = pod_read(pod, "measurements", EVENTLOG_MAX, &log, &len, err);

	return r < 0 ? r : expected_pcrs(log, len, ret, err);
}
