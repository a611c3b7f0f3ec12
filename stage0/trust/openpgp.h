/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_TRUST_OPENPGP_H
#define STAGE0_TRUST_OPENPGP_H

#include <rnp/rnp.h>
#include <rnp/rnp_err.h>

#include "common/error.h"
#include "stage0/trust/verify.h"

/*
 * librnp, loaded where it is used: in a confined child. Its C++ and its cryptography then are not
 * in tripod's own process, and no command pays the milliseconds of linking them.
 */

/* clang-format off */
#define RNP_FUNCTIONS(F) \
	F(ffi_create) \
	F(add_security_rule) \
	F(get_security_rule) \
	F(input_from_memory) \
	F(input_from_callback) \
	F(input_destroy) \
	F(output_to_memory) \
	F(output_memory_get_buf) \
	F(output_destroy) \
	F(buffer_destroy) \
	F(import_keys) \
	F(get_secret_key_count) \
	F(identifier_iterator_create) \
	F(identifier_iterator_next) \
	F(identifier_iterator_destroy) \
	F(locate_key) \
	F(key_handle_destroy) \
	F(key_is_primary) \
	F(key_is_revoked) \
	F(key_is_expired) \
	F(key_is_valid) \
	F(key_valid_till64) \
	F(key_get_fprint) \
	F(key_get_primary_fprint) \
	F(key_get_subkey_count) \
	F(key_get_subkey_at) \
	F(key_get_uid_count) \
	F(key_get_uid_at) \
	F(key_get_uid_handle_at) \
	F(uid_get_type) \
	F(uid_is_valid) \
	F(uid_handle_destroy) \
	F(op_verify_detached_create) \
	F(op_verify_execute) \
	F(op_verify_destroy) \
	F(op_verify_get_signature_count) \
	F(op_verify_get_signature_at) \
	F(op_verify_signature_get_status) \
	F(op_verify_signature_get_key) \
	F(op_verify_signature_get_handle) \
	F(signature_get_type) \
	F(signature_get_hash_alg) \
	F(signature_get_creation) \
	F(signature_get_expiration) \
	F(signature_get_keyid) \
	F(signature_get_key_fprint) \
	F(signature_handle_destroy) \
	F(ffi_destroy) \
	F(dearmor) \
	F(enarmor)
/* clang-format on */

#define RNP_MEMBER(name) typeof(&rnp_##name) name;
struct rnp {
	RNP_FUNCTIONS(RNP_MEMBER)
};

/* Load the library. */
int openpgp_load(struct rnp *ret, struct error *err) __attribute__((nonnull));

/*
 * For a confined child before its filter goes on: load the library, let it do what it does once,
 * point the standard streams to /dev/null (it talks to stderr) and limit memory and CPU time.
 */
int openpgp_prepare(struct rnp *ret, struct error *err) __attribute__((nonnull));

/* A context without keys, with our rules about digests. */
int openpgp_context(const struct rnp *rnp, rnp_ffi_t *ret, struct error *err)
	__attribute__((nonnull));

/*
 * Import one key file, armoured or binary, into ffi, and see that it is exactly one public key with
 * nothing secret. Why not is in err, without the file's name.
 */
int openpgp_import(const struct rnp *rnp, rnp_ffi_t ffi, const void *bytes, size_t len,
		   char ret_fingerprint[FINGERPRINT_HEX + 1], struct error *err)
	__attribute__((nonnull));

/*
 * The signature packets of a signature file, armoured (several blocks are fine) or binary, in one
 * piece, and how many. A file that holds anything else is refused: a verifier that is handed a
 * whole message, or a key, might take its own content for the signed bytes. The caller frees *ret.
 */
int openpgp_signatures(const struct rnp *rnp, const void *bytes, size_t len, uint8_t **ret,
		       size_t *ret_len, size_t *ret_count, struct error *err)
	__attribute__((nonnull));

/* The user IDs that a primary key vouches for, at most max, until the first empty one. Not escaped. */
void openpgp_user_ids(const struct rnp *rnp, rnp_key_handle_t key, char (*ret)[USER_ID_MAX],
		      size_t max) __attribute__((nonnull));

/*
 * A version 4 fingerprint or key ID in lower case, "" when text is neither. Takes text from the
 * library and gives it back.
 */
void openpgp_take_hex(const struct rnp *rnp, char *text, char ret[FINGERPRINT_HEX + 1])
	__attribute__((nonnull(1, 3)));

#endif
