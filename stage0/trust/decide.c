/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What signatures mean for a name: the one place that says yes, and all the ways of saying no.
 *
 * One valid signature of a key that counts for the name is enough. If there is none, the message is
 * about the best signature of a key that counts, else about a valid one of a key that does not,
 * else about the signer nobody knows.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/util.h"
#include "stage0/trust/keystore_priv.h"
#include "stage0/trust/verify_priv.h"

/* "2026-01-31", or "some day" for what no calendar has. */
static void date(int64_t seconds, char ret[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (seconds <= 0 || !gmtime_r(&t, &tm) || strftime(ret, 32, "%Y-%m-%d", &tm) == 0)
		snprintf(ret, 32, "some day");
}

/* What has no name of its own counts under the keys for all names. */
static const char *label(const char *name)
{
	return *name ? name : "the image";
}

static char *advice(const char *name)
{
	return *name ? xasprintf("\"trust --prefix=%s KEYFILE\"", name)
		     : xstrdup("\"trust --root KEYFILE\"");
}

/* Who signed, for messages: the fingerprint and the first user ID. */
static char *who(const struct signer *signer)
{
	cleanup_str struct str text = STR_INIT;
	const char *id = signer->fingerprint[0] ? signer->fingerprint : signer->issuer;

	str_addf(&text, "key %s", id[0] ? id : "that is not named");
	if (signer->user_ids[0][0]) {
		str_add(&text, " (");
		str_add_escaped(&text, signer->user_ids[0], strlen(signer->user_ids[0]));
		str_add(&text, ")");
	}
	return str_take(&text);
}

static bool counts(const struct signer *signer, const struct strv *trusted)
{
	return signer->verdict != SIGNATURE_UNKNOWN && strv_contains(trusted, signer->fingerprint);
}

/* Is a key file that would count for name unusable? */
static int check_faults(const struct signers *signers, const struct keyring *keys, const char *name,
			struct error *err)
{
	cleanup_free size_t *selected = xcalloc(keys->n + 1, sizeof(*selected));
	size_t n = keyring_select(keys, name, selected);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < signers->nfaults; k++)
			if (signers->fault[k].file == selected[i])
				return error_set(err, -EBADMSG, "keystore: %s: %s",
						 keys->file[selected[i]].path,
						 signers->fault[k].why);
	return 0;
}

static int refuse_unknown(const struct signers *signers, const struct strv *trusted,
			  const char *name, struct error *err)
{
	cleanup_free char *signer = NULL, *how = advice(name);

	for (size_t i = 0; i < signers->n; i++) {
		if (signers->signer[i].verdict == SIGNATURE_UNKNOWN)
			continue;
		signer = who(&signers->signer[i]);
		return error_set(err, -ENOKEY,
				 "openpgp: signature made by %s, which is not trusted for %s "
				 "(%s would change that)",
				 signer, label(name), how);
	}
	signer = who(&signers->signer[0]);
	return error_set(err, -ENOKEY,
			 "openpgp: signature made by unknown entity: %s, and %s for %s "
			 "(%s adds one)",
			 signer, trusted->n ? "only other keys are trusted" : "no key is trusted",
			 label(name), how);
}

static int refuse(const struct signer *signer, const char *name, struct error *err)
{
	cleanup_free char *key = who(signer);
	char until[32], made[32];

	date(signer->until, until);
	date(signer->made, made);
	switch (signer->verdict) {
	case SIGNATURE_KEY_REVOKED:
		return error_set(err, -EKEYREVOKED, "%s: signed by %s, which is revoked", name,
				 key);
	case SIGNATURE_KEY_INVALID:
		return error_set(err, -EKEYREJECTED,
				 "%s: signed by %s, which nothing valid allows to sign", name, key);
	case SIGNATURE_KEY_EXPIRED:
		return error_set(err, -EKEYEXPIRED, "%s: signed by %s, which expired on %s", name,
				 key, until);
	case SIGNATURE_EXPIRED:
		return error_set(err, -EKEYEXPIRED, "%s: the signature by %s expired on %s", name,
				 key, until);
	case SIGNATURE_KEY_TIME:
		return error_set(err, -EKEYEXPIRED,
				 "%s: signed on %s by %s, which had expired on %s", name, made, key,
				 until);
	case SIGNATURE_FUTURE:
		return error_set(err, -EKEYREJECTED,
				 "%s: the signature by %s is of a day to come, %s", name, key,
				 made);
	case SIGNATURE_WEAK:
		return error_set(err, -EKEYREJECTED,
				 "%s: the signature by %s uses %s, which proves nothing any more",
				 name, key, signer->digest);
	case SIGNATURE_KIND:
		return error_set(err, -EKEYREJECTED,
				 "%s: the signature by %s is not of the kind that signs files",
				 name, key);
	default:
		return error_set(err, -EKEYREJECTED,
				 "%s: bad signature by %s: the image was changed, or the signature "
				 "is of other bytes than the image's file",
				 name, key);
	}
}

int verify_issuer(const struct keyring *keys, const char *name, const void *signature, size_t len,
		  struct error *err)
{
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	cleanup_strv struct strv trusted = STRV_INIT;
	int r = verify_signers(keys, signature, len, signers, err);

	if (r == 0)
		r = check_faults(signers, keys, name, err);
	if (r < 0)
		return r;
	keyring_fingerprints(keys, name, &trusted);
	for (size_t i = 0; i < signers->n; i++)
		if (counts(&signers->signer[i], &trusted))
			return 0;
	return refuse_unknown(signers, &trusted, name, err);
}

static char *expiry_warning(const struct signer *signer, const char *name)
{
	cleanup_free char *key = who(signer);
	char until[32];

	date(signer->until, until);
	return xasprintf("%s: signed by %s while that was valid; it expired on %s", name, key,
			 until);
}

int signers_decide(const struct signers *signers, const struct keyring *keys, const char *name,
		   const struct signer **ret, char **ret_warning, struct error *err)
{
	cleanup_strv struct strv trusted = STRV_INIT;
	const struct signer *best = NULL;
	int r;

	if (*name && !keystore_name_is_valid(name))
		return error_set(err, -EINVAL, "\"%s\" is not a name that keys are trusted for",
				 name);
	r = check_faults(signers, keys, name, err);
	if (r < 0)
		return r;
	if (signers->n == 0)
		return error_set(err, -EBADMSG, "%s: there is no signature", label(name));
	keyring_fingerprints(keys, name, &trusted);
	for (size_t i = 0; i < signers->n; i++) {
		const struct signer *signer = &signers->signer[i];

		if (counts(signer, &trusted) && (!best || signer->verdict < best->verdict))
			best = signer;
	}
	if (!best)
		return refuse_unknown(signers, &trusted, name, err);
	if (best->verdict != SIGNATURE_VALID &&
	    (best->verdict != SIGNATURE_KEY_EXPIRED || keys->reject_expired))
		return refuse(best, label(name), err);
	if (best->verdict == SIGNATURE_KEY_EXPIRED && ret_warning)
		*ret_warning = expiry_warning(best, label(name));
	*ret = best;
	return 0;
}

int signers_check_bytes(const struct signers *signers, struct error *err)
{
	const struct signer *bad = NULL;

	for (size_t i = 0; i < signers->n; i++) {
		if (signers->signer[i].verdict == SIGNATURE_BAD)
			bad = &signers->signer[i];
		else if (signers->signer[i].verdict != SIGNATURE_UNKNOWN)
			return 0;
	}
	return bad ? refuse(bad, label(""), err) : 0;
}

void signer_describe(const struct signer *signer, struct strv *ret_lines)
{
	strv_add(ret_lines, "signature verified:");
	for (size_t i = 0; i < USER_IDS_MAX && signer->user_ids[i][0]; i++) {
		cleanup_str struct str line = STR_INIT;

		str_add(&line, "  ");
		str_add_escaped(&line, signer->user_ids[i], strlen(signer->user_ids[i]));
		strv_add(ret_lines, str_get(&line));
	}
	if (!signer->user_ids[0][0])
		strv_add_owned(ret_lines, xasprintf("  key %s", signer->fingerprint));
}
