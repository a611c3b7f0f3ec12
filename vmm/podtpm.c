/* SPDX-License-Identifier: Apache-2.0 */
/* The pod's TPM between its thread, the loop and those who ask for quotes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/encode.h"
#include "common/hash.h"
#include "common/json.h"
#include "common/log.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/podrun_priv.h"

#define ALL_PCRS ((1U << EVENTLOG_PCRS) - 1)

int podtpm_start(struct podrun *run, struct error *err)
{
	int r;

	if (run->shape.tpm == TPM_OFF)
		return 0;
	r = tpm_new(&run->tpm, err);
	return r < 0 ? r : loop_add(&run->loop, tpm_event_fd(run->tpm), EPOLLIN, LOOP_TPM, 0, err);
}

void podtpm_hold(struct podrun *run)
{
	if (run->tpm)
		agent_hold(&run->agent);
}

void podtpm_launch(struct podrun *run)
{
	if (run->tpm)
		tpm_measure(run->tpm, &run->guest->log);
}

/* It is known whether there is a TPM: without one that should be there nothing runs. */
static int on_state(struct podrun *run, struct error *err)
{
	struct error why = ERROR_INIT;

	switch (tpm_get_state(run->tpm, &why)) {
	case TPM_FAILED:
		return error_set(err, why.code, "the pod's TPM: %s", why.msg);
	case TPM_ABSENT:
		if (run->shape.tpm == TPM_ON || run->shape.guest_tpm)
			return error_set(err, why.code, "a TPM is asked for: %s (package swtpm)",
					 why.msg);
		log_debug("swtpm is not installed; the pod has no TPM");
		break;
	case TPM_READY:
	case TPM_STARTING:
		break;
	}
	log_debug("phase: TPM %.1f ms (from exec)", (double)(clock_now_ns() - run->start_ns) / 1e6);
	agent_release(&run->agent);
	return 0;
}

static struct json_object *bank_json(const struct tpm_quote *quote, bool sha384)
{
	struct json_object *bank = json_object_new_object();

	for (unsigned i = 0; i < EVENTLOG_PCRS; i++) {
		const struct digests *value = &quote->pcrs.pcr[i];
		char hex[2 * SHA384_SIZE + 1], name[4];

		if (!(quote->mask & 1U << i))
			continue;
		snprintf(name, sizeof(name), "%u", i);
		hash_hex(sha384 ? value->sha384 : value->sha256, sha384 ? SHA384_SIZE : SHA256_SIZE,
			 hex);
		json_add_string(bank, name, hex);
	}
	return bank;
}

static void add_bytes(struct json_object *root, const char *key, const uint8_t *bytes, size_t len)
{
	cleanup_free char *text = base64_encode(bytes, len);

	json_add_string(root, key, text);
}

static struct json_object *answer_json(const struct tpm_answer *answer)
{
	struct json_object *root = json_object_new_object(), *pcrs = root;
	const struct tpm_quote *quote = &answer->quote;

	if (answer->error.code < 0) {
		json_add_string(root, "error", answer->error.msg);
		return root;
	}
	if (answer->request.quote) {
		add_bytes(root, "quoted", quote->quoted, quote->quoted_len);
		add_bytes(root, "signature", quote->signature, quote->signature_len);
		add_bytes(root, "public", quote->public, quote->public_len);
		pcrs = json_object_new_object();
		json_add(root, "pcrs", pcrs);
	}
	json_add(pcrs, "sha256", bank_json(quote, false));
	json_add(pcrs, "sha384", bank_json(quote, true));
	return root;
}

int podtpm_event(struct podrun *run, struct error *err)
{
	static struct tpm_answer answer; /* large, and the loop is one thread */
	enum tpm_event event;
	int r = 0;

	while (r == 0 && (event = tpm_take_event(run->tpm, &answer)) != TPM_EVENT_NONE) {
		cleanup_json struct json_object *root = NULL;

		if (event == TPM_EVENT_STATE) {
			r = on_state(run, err);
			continue;
		}
		if (answer.request.extend) {
			podmut_measured(run, &answer);
			continue;
		}
		root = answer_json(&answer);
		if (control_answer(&run->control, answer.request.client, answer.request.serial,
				   json_text(root)))
			podrun_control(run, answer.request.client);
	}
	return r;
}

/* "NONCE PCRS" */
static int parse_quote(const char *text, struct tpm_request *ret, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	uint8_t mask[3];
	size_t len;
	int r;

	strv_split(&words, text, ' ');
	if (words.n != 2)
		return error_set(err, -EINVAL, "expected: quote NONCE PCRS");
	r = hex_decode(words.v[0], ret->nonce, sizeof(ret->nonce), &ret->nonce_len, err);
	if (r == 0 && ret->nonce_len == 0)
		r = error_set(err, -EINVAL, "the nonce is empty");
	if (r == 0 && strlen(words.v[1]) % 2) {
		char *even = xasprintf("0%s", words.v[1]);

		free(words.v[1]);
		words.v[1] = even;
	}
	if (r == 0)
		r = hex_decode(words.v[1], mask, sizeof(mask), &len, err);
	if (r < 0)
		return r;
	ret->quote = true;
	ret->pcrs = 0;
	for (size_t i = 0; i < len; i++)
		ret->pcrs = ret->pcrs << 8 | mask[i];
	return ret->pcrs ? 0 : error_set(err, -EINVAL, "no PCR is selected");
}

void podtpm_ask(struct podrun *run, uint32_t client, enum control_verb verb)
{
	struct tpm_request request = {.client = client, .pcrs = ALL_PCRS};
	cleanup_json struct json_object *root = json_object_new_object();
	struct error err = ERROR_INIT;
	int r = 0;

	if (verb == CONTROL_QUOTE)
		r = parse_quote(control_args(&run->control, client), &request, &err);
	if (r == 0 && (!run->tpm || tpm_get_state(run->tpm, &err) == TPM_ABSENT))
		r = error_set(&err, -ENODEV, "the pod has no TPM");
	if (r == 0 && tpm_get_state(run->tpm, &err) != TPM_READY)
		r = error_set(&err, -EAGAIN, "the pod's launch is not measured yet");
	if (r == 0) {
		request.serial = control_wait(&run->control, client);
		if (tpm_ask(run->tpm, &request))
			return;
		/* a client waits for one answer only, and there are no more clients than room */
		error_set(&err, -EBUSY, "too many ask for the TPM");
		json_add_string(root, "error", err.msg);
		control_answer(&run->control, client, request.serial, json_text(root));
		return;
	}
	json_add_string(root, "error", err.msg);
	control_reply(&run->control, client, json_text(root));
}
