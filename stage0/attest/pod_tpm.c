/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attest/pod_tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/attest/ca.h"
#include "stage0/attest/expected.h"
#include "stage0/attest/host_tpm.h"
#include "stage0/attest/verify.h"
#include "stage0/pod_info.h"

#define RECORD_FILE "host-record"	    /* the text of the launch's record in the host's TPM */
#define RECORD_MAX  (JSON_SIZE_MAX + 65536) /* bytes of it: a manifest and arguments */

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

static int record(const struct tpm_options *options, const struct pods *pods, const struct pod *pod,
		  const char *text, struct error *err)
{
	cleanup_host_tpm struct host_tpm *tpm = NULL;
	int r = host_tpm_open(options->host_tcti, &tpm, err);

	if (r == 0)
		r = write_again(pod, RECORD_FILE, text, strlen(text), err);
	if (r == 0)
		r = host_tpm_record(tpm, pods->data_dir, text, err);
	return r;
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

void pod_tpm_records(const struct pod *pod, const char *key_name, struct strv *ret)
{
	cleanup_free char *text = NULL;
	struct error ignored = ERROR_INIT;
	size_t len;

	if (pod_read(pod, RECORD_FILE, RECORD_MAX, &text, &len, &ignored) == 0)
		strv_add(ret, text);
	strv_add_owned(ret, record_of_key(pod->uuid, key_name));
}

int pod_tpm_pcrs(const struct pod *pod, struct pcr_set *ret, struct error *err)
{
	cleanup_free char *log = NULL;
	size_t len;
	int r = pod_read(pod, "measurements", EVENTLOG_MAX, &log, &len, err);

	return r < 0 ? r : expected_pcrs(log, len, ret, err);
}
