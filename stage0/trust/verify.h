/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_TRUST_VERIFY_H
#define STAGE0_TRUST_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"
#include "stage0/trust/keystore.h"

/*
 * Detached OpenPGP signatures over the bytes of an image as distributed (images.md 10.2, 24).
 *
 * Everything OpenPGP happens in a confined child that sees the keys, the signature and the stream,
 * and no file, network or process. One pass, fed as the bytes come by:
 *
 *   keyring_load(dirs, name or NULL, &keys)
 *   verify_issuer(keys, name, signature)     before a download by name: is the signer known at all?
 *   verify_start(keys, signature, &verify)
 *   verify_write(verify, bytes) ...          every byte of the file, in order
 *   verify_finish(verify, &signers)          what the signatures are worth, whoever made them
 *   signers_decide(&signers, keys, name)     for the name that the manifest says
 *
 * Nothing of the image may become visible before signers_decide() gave 0.
 */

#define SIGNATURE_FILE_MAX (1 << 20) /* bytes (images.md 27) */
#define SIGNATURES_MAX	   16	     /* in a file; more are refused */
#define KEY_FAULTS_MAX	   16	     /* unusable key files that are told; with more none is used */
#define USER_IDS_MAX	   8	     /* of a signer's key that are told; the rest is left out */
#define USER_ID_MAX	   256	     /* bytes; longer ones are cut */

/* What one signature is worth. From best to worst: the best one makes the message. */
enum signature_verdict {
	SIGNATURE_VALID,
	SIGNATURE_KEY_EXPIRED, /* made while the key was valid, which it is no more */
	SIGNATURE_KEY_REVOKED,
	SIGNATURE_KEY_INVALID, /* nothing valid says that this key may sign */
	SIGNATURE_EXPIRED,
	SIGNATURE_KEY_TIME, /* made before its key was, or after it had expired */
	SIGNATURE_FUTURE,   /* made later than now */
	SIGNATURE_WEAK,	    /* by a digest that no longer proves anything */
	SIGNATURE_KIND,	    /* of a type that is not for files, or not understood */
	SIGNATURE_BAD,	    /* of other bytes */
	SIGNATURE_UNKNOWN,  /* by a key that is not in the keyring */
};

struct signer {
	enum signature_verdict verdict;
	char fingerprint[FINGERPRINT_HEX + 1]; /* of the primary key, lower case; "" when unknown */
	char issuer[FINGERPRINT_HEX +
		    1];	 /* key ID or fingerprint that the signature names, or "" */
	char digest[16]; /* such as SHA256 */
	int64_t made;	 /* when, in seconds of the epoch */
	int64_t until;	 /* when the signature or its key expired, for those verdicts; or 0 */
	char user_ids[USER_IDS_MAX][USER_ID_MAX]; /* until the first empty one; not escaped */
};

/* A key file that can not be used: an error for the names it would count for. */
struct key_fault {
	size_t file; /* index in the keyring */
	char why[120];
};

struct signers {
	size_t n;
	struct signer signer[SIGNATURES_MAX];
	size_t nfaults;
	struct key_fault fault[KEY_FAULTS_MAX];
};

struct verify; /* a verification under way */

/*
 * Whether a key for name is among the signature's issuers, without any data. -ENOKEY when not, with
 * the message for the user; -EBADMSG when the file holds no signature.
 */
int verify_issuer(const struct keyring *keys, const char *name, const void *signature, size_t len,
		  struct error *err) __attribute__((nonnull));

/* Start. keys and signature are not needed any longer afterwards. The caller frees *ret. */
int verify_start(const struct keyring *keys, const void *signature, size_t len, struct verify **ret,
		 struct error *err) __attribute__((nonnull));
/* Feed the next bytes; blocks when the child is behind. After a failure only verify_free() may follow. */
int verify_write(struct verify *verify, const void *bytes, size_t len, struct error *err)
	__attribute__((nonnull));
/* The stream is complete. Call once; only verify_free() may follow. */
int verify_finish(struct verify *verify, struct signers *ret, struct error *err)
	__attribute__((nonnull));
/* Also ends a verification that was not finished. NULL is fine. */
void verify_free(struct verify *verify);
static inline void verify_freep(struct verify **verify)
{
	verify_free(*verify);
}
#define cleanup_verify cleanup(verify_freep)

/* The same for bytes in memory. */
int verify_bytes(const struct keyring *keys, const void *signature, size_t signature_len,
		 const void *bytes, size_t len, struct signers *ret, struct error *err)
	__attribute__((nonnull));

/*
 * Does one of the signatures make the image trusted under name? 0 with *ret, the one that does
 * (*ret_warning, when not NULL, becomes a line the user should see, or stays NULL), or a refusal
 * of one line: -ENOKEY unknown or not trusted for this name, -EKEYREVOKED, -EKEYEXPIRED,
 * -EKEYREJECTED all others.
 */
int signers_decide(const struct signers *signers, const struct keyring *keys, const char *name,
		   const struct signer **ret, char **ret_warning, struct error *err)
	__attribute__((nonnull(1, 2, 3, 4, 6)));

/*
 * Where an image can not be read at all, so that its name is not known: 0 when that may be as it was
 * signed, or the refusal when a key that is known signed other bytes than these.
 */
int signers_check_bytes(const struct signers *signers, struct error *err) __attribute__((nonnull));

/* The lines for the user: "signature verified:" and the user IDs, each on a line of its own. */
void signer_describe(const struct signer *signer, struct strv *ret_lines) __attribute__((nonnull));

#endif
