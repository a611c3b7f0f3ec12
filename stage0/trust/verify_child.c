/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification inside the confined child (images.md 24): keys in, signature in, bytes through, and
 * out comes what every single signature is worth.
 *
 * The library's own verdict says valid or not. Why not is worked out from what it says of the key
 * and of the signature, because "it is expired", "it is of other bytes" and "it was made with MD5"
 * ask different things of the user. Where both say something, the stricter word counts: a signature
 * of a revoked key is refused although it is valid.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"
#include "stage0/trust/keystore_priv.h"
#include "stage0/trust/verify_priv.h"

int verify_child_prepare(void *arg, struct error *err)
{
	struct verify_job *job = arg;

	return openpgp_prepare(&job->rnp, err);
}

static int import_keys(const struct verify_job *job, rnp_ffi_t ffi, struct signers *ret,
		       struct error *err)
{
	for (size_t i = 0; i < job->keys->n; i++) {
		const struct key_file *file = &job->keys->file[i];
		char fingerprint[FINGERPRINT_HEX + 1];
		struct error fault = ERROR_INIT;

		if (file->fault)
			error_set(&fault, -EBADMSG, "%s", file->fault);
		else if (file->len > 0 &&
			 openpgp_import(&job->rnp, ffi, file->bytes, file->len, fingerprint,
					&fault) == 0 &&
			 strcmp(fingerprint, file->name) != 0)
			error_set(&fault, -EBADMSG, "holds the key %s", fingerprint);
		if (fault.code == 0)
			continue;
		if (ret->nfaults == KEY_FAULTS_MAX)
			return error_set(err, -EBADMSG,
					 "keystore: more than %d bad key files, "
					 "such as %s: %s",
					 KEY_FAULTS_MAX, file->path, fault.msg);
		ret->fault[ret->nfaults].file = i;
		snprintf(ret->fault[ret->nfaults].why, sizeof(ret->fault[0].why), "%.*s",
			 (int)sizeof(ret->fault[0].why) - 1, fault.msg);
		ret->nfaults++;
	}
	return 0;
}

static bool read_stream(void *ctx, void *buf, size_t len, size_t *ret_n)
{
	struct verify_job *job = ctx;
	ssize_t n = 0;

	while (job->fd >= 0 && (n = read(job->fd, buf, len)) < 0 && errno == EINTR)
		;
	if (n < 0) {
		job->failed = true;
		return false;
	}
	*ret_n = (size_t)n;
	return true;
}

/* The other side writes all of it, whatever we make of it. */
static void drain(struct verify_job *job)
{
	cleanup_free char *buf = xcalloc(1, 64 * KIB);
	size_t n = 1;

	while (n > 0 && read_stream(job, buf, 64 * KIB, &n))
		;
}

/* What the signature says of itself. */
static void describe(const struct verify_job *job, rnp_op_verify_signature_t signature,
		     struct signer *ret, bool *ret_binary)
{
	const struct rnp *rnp = &job->rnp;
	rnp_signature_handle_t handle = NULL;
	uint32_t made = 0, lasts = 0;
	char *text = NULL;

	if (rnp->op_verify_signature_get_handle(signature, &handle) != RNP_SUCCESS)
		return;
	if (rnp->signature_get_type(handle, &text) == RNP_SUCCESS && text) {
		*ret_binary = strcmp(text, "binary") == 0;
		rnp->buffer_destroy(text);
	}
	text = NULL;
	if (rnp->signature_get_hash_alg(handle, &text) == RNP_SUCCESS && text) {
		snprintf(ret->digest, sizeof(ret->digest), "%s", text);
		rnp->buffer_destroy(text);
	}
	text = NULL;
	if (rnp->signature_get_key_fprint(handle, &text) == RNP_SUCCESS)
		openpgp_take_hex(rnp, text, ret->issuer);
	text = NULL;
	if (!ret->issuer[0] && rnp->signature_get_keyid(handle, &text) == RNP_SUCCESS)
		openpgp_take_hex(rnp, text, ret->issuer);
	rnp->signature_get_creation(handle, &made);
	rnp->signature_get_expiration(handle, &lasts);
	ret->made = made;
	ret->until = lasts ? (int64_t)made + lasts : 0;
	rnp->signature_handle_destroy(handle);
}

/* What is known of the key that made it, and of the primary key above. */
struct key_state {
	bool revoked, expired, valid;
	int64_t until; /* the earlier end; 0: none */
};

static void add_state(const struct rnp *rnp, rnp_key_handle_t key, struct key_state *state)
{
	bool revoked = true, expired = true, valid = false;
	uint64_t until = 0;

	rnp->key_is_revoked(key, &revoked);
	rnp->key_is_expired(key, &expired);
	rnp->key_is_valid(key, &valid);
	state->revoked |= revoked;
	state->expired |= expired;
	state->valid &= valid || expired; /* an expired one was valid */
	if (expired && rnp->key_valid_till64(key, &until) == RNP_SUCCESS && until > 0 &&
	    until < INT64_MAX && (state->until == 0 || (int64_t)until < state->until))
		state->until = (int64_t)until;
}

static bool find_key(const struct rnp *rnp, rnp_ffi_t ffi, rnp_op_verify_signature_t signature,
		     struct signer *signer, struct key_state *ret)
{
	struct key_state state = {.valid = true};
	rnp_key_handle_t key = NULL, primary = NULL;
	char *text = NULL;

	if (rnp->op_verify_signature_get_key(signature, &key) != RNP_SUCCESS || !key)
		return false;
	add_state(rnp, key, &state);
	/* a primary key has none above it */
	if (rnp->key_get_primary_fprint(key, &text) != RNP_SUCCESS)
		rnp->key_get_fprint(key, &text);
	openpgp_take_hex(rnp, text, signer->fingerprint);
	if (rnp->locate_key(ffi, "fingerprint", signer->fingerprint, &primary) == RNP_SUCCESS &&
	    primary) {
		add_state(rnp, primary, &state);
		openpgp_user_ids(rnp, primary, signer->user_ids, USER_IDS_MAX);
		rnp->key_handle_destroy(primary);
	}
	rnp->key_handle_destroy(key);
	*ret = state;
	return primary != NULL && strlen(signer->fingerprint) == FINGERPRINT_HEX;
}

static bool digest_is_weak(const struct rnp *rnp, rnp_ffi_t ffi, const struct signer *signer)
{
	uint32_t flags = RNP_SECURITY_VERIFY_DATA, level = RNP_SECURITY_DEFAULT;

	return rnp->get_security_rule(ffi, RNP_FEATURE_HASH_ALG, signer->digest,
				      (uint64_t)signer->made, &flags, NULL,
				      &level) == RNP_SUCCESS &&
	       level < RNP_SECURITY_DEFAULT;
}

static enum signature_verdict judge(const struct rnp *rnp, rnp_ffi_t ffi, rnp_result_t status,
				    bool binary, const struct key_state *key,
				    const struct signer *signer)
{
	int64_t now = time(NULL);

	if (key->revoked)
		return SIGNATURE_KEY_REVOKED;
	if (!binary || status == RNP_ERROR_SIGNATURE_UNKNOWN)
		return SIGNATURE_KIND;
	if (digest_is_weak(rnp, ffi, signer))
		return SIGNATURE_WEAK;
	if (signer->made > now)
		return SIGNATURE_FUTURE;
	if (status == RNP_ERROR_SIGNATURE_EXPIRED)
		return SIGNATURE_EXPIRED;
	if (status == RNP_SUCCESS)
		return key->expired ? SIGNATURE_KEY_EXPIRED : SIGNATURE_VALID;
	if (!key->valid)
		return SIGNATURE_KEY_INVALID;
	if (key->expired && key->until > 0 && signer->made > key->until)
		return SIGNATURE_KEY_TIME;
	return SIGNATURE_BAD;
}

static int tell_signatures(const struct verify_job *job, rnp_ffi_t ffi, rnp_op_verify_t op,
			   struct signers *ret, struct error *err)
{
	const struct rnp *rnp = &job->rnp;
	size_t n = 0;

	if (rnp->op_verify_get_signature_count(op, &n) != RNP_SUCCESS || n == 0)
		return error_set(err, -EBADMSG, "not a detached OpenPGP signature");
	if (n > SIGNATURES_MAX)
		return error_set(err, -E2BIG, "more than %d signatures", SIGNATURES_MAX);
	for (size_t i = 0; i < n; i++) {
		rnp_op_verify_signature_t signature = NULL;
		struct signer *signer = &ret->signer[ret->n];
		struct key_state key;
		bool binary = false;

		if (rnp->op_verify_get_signature_at(op, i, &signature) != RNP_SUCCESS)
			continue;
		describe(job, signature, signer, &binary);
		if (find_key(rnp, ffi, signature, signer, &key)) {
			signer->verdict =
				judge(rnp, ffi, rnp->op_verify_signature_get_status(signature),
				      binary, &key, signer);
			if (key.expired && signer->verdict != SIGNATURE_EXPIRED)
				signer->until = key.until;
		} else {
			signer->verdict = SIGNATURE_UNKNOWN;
			signer->fingerprint[0] = '\0';
		}
		ret->n++;
	}
	return 0;
}

static int verify(struct verify_job *job, rnp_ffi_t ffi, const uint8_t *packets, size_t len,
		  struct signers *ret, struct error *err)
{
	const struct rnp *rnp = &job->rnp;
	rnp_input_t data = NULL, signature = NULL;
	rnp_op_verify_t op = NULL;
	int r;

	if (rnp->input_from_callback(&data, read_stream, NULL, job) != RNP_SUCCESS ||
	    rnp->input_from_memory(&signature, packets, len, false) != RNP_SUCCESS ||
	    rnp->op_verify_detached_create(&op, ffi, data, signature) != RNP_SUCCESS) {
		r = error_set(err, -ENOMEM, "out of memory");
	} else {
		rnp->op_verify_execute(op); /* the single signatures have it all */
		drain(job);
		r = job->failed ? error_set(err, -EIO, "reading the image to verify failed")
				: tell_signatures(job, ffi, op, ret, err);
	}
	rnp->op_verify_destroy(op);
	rnp->input_destroy(signature);
	rnp->input_destroy(data);
	return r;
}

int verify_child_run(void *arg, void *result, struct error *err)
{
	struct verify_job *job = arg;
	struct signers *ret = result;
	cleanup_free uint8_t *packets = NULL;
	size_t len, count;
	rnp_ffi_t ffi;
	int r = openpgp_context(&job->rnp, &ffi, err);

	if (r < 0)
		return r;
	r = import_keys(job, ffi, ret, err);
	if (r == 0)
		r = openpgp_signatures(&job->rnp, job->signature, job->len, &packets, &len, &count,
				       err);
	if (r == 0)
		r = verify(job, ffi, packets, len, ret, err);
	if (r == 0 && ret->n != count)
		r = error_set(err, -EBADMSG, "a signature can not be read");
	if (r < 0)
		drain(job);
	job->rnp.ffi_destroy(ffi);
	return r;
}
