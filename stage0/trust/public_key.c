/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in one key file, for those who are asked whether to trust it. The file is anybody's, so
 * it is read in a confined child; what comes back is text of bounded length.
 */
#include <string.h>

#include "common/util.h"
#include "stage0/image/confine.h"
#include "stage0/trust/openpgp.h"
#include "stage0/trust/verify.h"

#define SUBKEYS_MAX	32		       /* of a key that are told */
#define TOLD_IDS_MAX	32		       /* user IDs that are told */
#define ARMOURED_MAX	(KEY_FILE_MAX * 3 / 2) /* base64, line ends, header */
#define PARSE_TIMEOUT_S 60

struct answer {
	char fingerprint[FINGERPRINT_HEX + 1];
	char subkeys[SUBKEYS_MAX][FINGERPRINT_HEX + 1];
	char user_ids[TOLD_IDS_MAX][USER_ID_MAX];
	bool revoked, expired;
	char armoured[ARMOURED_MAX]; /* empty when the file is armoured */
};

struct job {
	struct rnp rnp;
	const void *bytes;
	size_t len;
};

static int prepare(void *arg, struct error *err)
{
	struct job *job = arg;

	return openpgp_prepare(&job->rnp, err);
}

static void tell_subkeys(const struct rnp *rnp, rnp_key_handle_t key, struct answer *answer)
{
	size_t n = 0;

	rnp->key_get_subkey_count(key, &n);
	for (size_t i = 0; i < MIN(n, SUBKEYS_MAX); i++) {
		rnp_key_handle_t subkey = NULL;
		char *text = NULL;

		if (rnp->key_get_subkey_at(key, i, &subkey) != RNP_SUCCESS)
			continue;
		if (rnp->key_get_fprint(subkey, &text) == RNP_SUCCESS)
			openpgp_take_hex(rnp, text, answer->subkeys[i]);
		rnp->key_handle_destroy(subkey);
	}
}

/* The library ends lines as mails do. */
static void copy_lines(char *dst, const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] != '\r')
			*dst++ = (char)text[i];
}

static int armour(const struct job *job, struct answer *answer, struct error *err)
{
	const struct rnp *rnp = &job->rnp;
	rnp_input_t input = NULL;
	rnp_output_t output = NULL;
	uint8_t *text;
	size_t n;
	int r = 0;

	if (rnp->input_from_memory(&input, job->bytes, job->len, false) != RNP_SUCCESS ||
	    rnp->output_to_memory(&output, 0) != RNP_SUCCESS ||
	    rnp->enarmor(input, output, "public key") != RNP_SUCCESS ||
	    rnp->output_memory_get_buf(output, &text, &n, false) != RNP_SUCCESS ||
	    n >= sizeof(answer->armoured))
		r = error_set(err, -EBADMSG, "can not be written as text");
	else
		copy_lines(answer->armoured, text, n);
	rnp->output_destroy(output);
	rnp->input_destroy(input);
	return r;
}

static int run(void *arg, void *result, struct error *err)
{
	struct job *job = arg;
	const struct rnp *rnp = &job->rnp;
	struct answer *answer = result;
	rnp_key_handle_t key = NULL;
	rnp_ffi_t ffi;
	int r = openpgp_context(rnp, &ffi, err);

	if (r == 0)
		r = openpgp_import(rnp, ffi, job->bytes, job->len, answer->fingerprint, err);
	if (r < 0)
		return r;
	if (rnp->locate_key(ffi, "fingerprint", answer->fingerprint, &key) != RNP_SUCCESS || !key)
		return error_set(err, -EBADMSG, "holds no OpenPGP key that can be read");
	openpgp_user_ids(rnp, key, answer->user_ids, TOLD_IDS_MAX);
	tell_subkeys(rnp, key, answer);
	rnp->key_is_revoked(key, &answer->revoked);
	rnp->key_is_expired(key, &answer->expired);
	if (*(const uint8_t *)job->bytes & 0x80)
		r = armour(job, answer, err);
	return r;
}

int public_key_parse(const void *bytes, size_t len, const char *what, struct public_key *ret,
		     struct error *err)
{
	struct job job = {.bytes = bytes, .len = len};
	const struct confined_job child = {
		.what = "key reader",
		.prepare = prepare,
		.run = run,
		.arg = &job,
		.result_len = sizeof(struct answer),
	};
	cleanup_free struct answer *answer = xcalloc(1, sizeof(*answer));
	struct confined confined = CONFINED_INIT;
	int r;

	if (len == 0 || len > KEY_FILE_MAX)
		return error_set(err, len ? -EFBIG : -EBADMSG, "%s: %s", what,
				 len ? "is larger than 1 MiB" : "is empty");
	if (!(*(const uint8_t *)bytes & 0x80) && memchr(bytes, '\0', len))
		return error_set(err, -EBADMSG, "%s: is not an OpenPGP public key", what);
	r = confined_start(&child, &confined, err);
	if (r == 0)
		r = confined_finish(&confined, answer, PARSE_TIMEOUT_S * 1000, err);
	confined_end(&confined);
	if (r < 0)
		return error_wrap(err, "%s", what);

	*ret = (struct public_key)PUBLIC_KEY_INIT;
	memcpy(ret->fingerprint, answer->fingerprint, FINGERPRINT_HEX);
	for (size_t i = 0; i < SUBKEYS_MAX && answer->subkeys[i][0]; i++)
		strv_add_owned(&ret->subkeys, xstrndup(answer->subkeys[i], FINGERPRINT_HEX));
	for (size_t i = 0; i < TOLD_IDS_MAX && answer->user_ids[i][0]; i++)
		strv_add_owned(&ret->user_ids, xstrndup(answer->user_ids[i], USER_ID_MAX - 1));
	ret->revoked = answer->revoked;
	ret->expired = answer->expired;
	ret->armoured = answer->armoured[0] ? xstrndup(answer->armoured, ARMOURED_MAX - 1)
					    : xstrndup(bytes, len);
	return 0;
}
