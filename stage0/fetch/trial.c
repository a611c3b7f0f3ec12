/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of images that are being fetched: the keys that count, the verdict. */
#include <errno.h>

#include "stage0/command.h"
#include "stage0/fetch/fetch_priv.h"
#include "stage0/fetch/key_import.h"

void trial_end(struct trial *trial)
{
	verify_free(trial->verify);
	keyring_free(trial->keys);
	*trial = (struct trial)TRIAL_INIT;
}

int trial_begin(struct fetch *fetch, struct trial *trial, const char *name, const void *signature,
		size_t len, struct error *err)
{
	int r = keyring_load(&fetch->opt.dirs, name, &trial->keys, err);

	if (r == 0 && name)
		r = verify_issuer(trial->keys, name, signature, len, err);
	if (r == 0)
		r = verify_start(trial->keys, signature, len, &trial->verify, err);
	return r;
}

int trial_decide(struct fetch *fetch, struct trial *trial, const char *name, struct error *err)
{
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *warning = NULL;
	const struct signer *signer = NULL;
	int r = verify_finish(trial->verify, signers, err);

	if (r == 0)
		r = signers_decide(signers, trial->keys, name, &signer, &warning, err);
	if (r < 0)
		return r;
	if (warning)
		fetch_warn(fetch, "%s", warning);
	signer_describe(signer, &lines);
	for (size_t i = 0; i < lines.n; i++)
		fetch_info(fetch, "%s", lines.v[i]);
	return 0;
}

/* What did not come by https all the way has to be looked at, and there is nobody. */
static int refuse_key(void *priv, const struct public_key *key, const char *prefix,
		      const char *location, struct error *err)
{
	(void)priv;
	(void)prefix;
	return error_set(err, -EPERM, "%s: key %s did not come over https", location,
			 key->fingerprint);
}

int trial_find_keys(struct fetch *fetch, const char *name, struct error *err)
{
	struct trust_web web = {
		.config = fetch->opt.config,
		.allow_http = (fetch->opt.insecure & INSECURE_HTTP) &&
			      (fetch->opt.insecure & INSECURE_PUBKEY),
		.insecure_tls = fetch->opt.insecure & INSECURE_TLS,
	};
	const struct key_import import = {
		.dirs = &fetch->opt.dirs,
		.web = &web,
		.review = fetch->opt.review ? fetch->opt.review : refuse_key,
		.review_priv = fetch->opt.review_priv,
		.review_no_https = fetch->opt.trust_keys_from_https,
		.priv = fetch->opt.report.priv,
		.info = fetch->opt.report.info,
		.debug = fetch->opt.report.debug,
	};
	struct error why = ERROR_INIT;
	int r = fetch_http(fetch, &web.http, err);

	if (r < 0)
		return r;
	/* without a key the signature will be refused, with the better message */
	if (key_import_missing(&import, name, &why) < 0)
		fetch_warn(fetch, "image: keys for \"%s\": %s", name, why.msg);
	return 0;
}
