/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/review.h"
#include "stage0/fetch/key_import.h"

struct trust_options {
	char *prefix;
	bool root;
	bool skip_review;
	bool allow_http;
};

static const struct option options[] = {
	{"insecure-allow-http", OPT_BOOL, offsetof(struct trust_options, allow_http),
	 .help = "let discovery and keys come by plain http"},
	{"prefix", OPT_STRING, offsetof(struct trust_options, prefix), .arg = "PREFIX",
	 .help = "trust the keys for images whose names are PREFIX or below it"},
	{"root", OPT_BOOL, offsetof(struct trust_options, root),
	 .help = "trust the keys for all images"},
	{"skip-fingerprint-review", OPT_BOOL, offsetof(struct trust_options, skip_review),
	 .help = "do not ask whether a key is the right one"},
	{.name = NULL},
};

static int check_request(const struct globals *globals, const struct trust_options *trust,
			 const struct strv *args, struct error *err)
{
	if (globals->insecure & INSECURE_IMAGE)
		return error_set(err, -EINVAL,
				 "--insecure-options=image is without keys: there is nothing to "
				 "trust");
	if (trust->root && trust->prefix && trust->prefix[0])
		return error_set(err, -EINVAL,
				 "--root is for all names, --prefix for some: choose");
	if (trust->root && args->n == 0)
		return error_set(err, -EINVAL,
				 "keys for all names are not looked for: name their files or URLs");
	if (trust->root)
		return 0;
	if (!trust->prefix || !trust->prefix[0])
		return error_set(err, -EINVAL,
				 "say what the keys are for: --prefix=PREFIX for names under "
				 "PREFIX, --root for all names");
	if (strstr(trust->prefix, "://"))
		return error_set(err, -EINVAL,
				 "--prefix: \"%s\" is a URL; a prefix is the beginning of names, "
				 "such as example.com/app",
				 trust->prefix);
	if (!keystore_name_is_valid(trust->prefix))
		return error_set(err, -EINVAL, "--prefix: \"%s\" is not a prefix of image names",
				 trust->prefix);
	return 0;
}

static void on_info(void *priv, const char *line)
{
	(void)priv;
	log_info("%s", line);
}

static void on_debug(void *priv, const char *line)
{
	(void)priv;
	log_debug("%s", line);
}

static int new_http(const struct globals *globals, bool allow_http, struct http **ret,
		    struct error *err)
{
	cleanup_free char *agent =
		xasprintf("%s/%s", globals->as_rkt ? "rkt" : "tripod", TRIPOD_VERSION);
	struct http_settings settings;

	http_settings_init(&settings);
	http_settings_env(&settings);
	settings.user_agent = agent;
	settings.insecure_tls = globals->insecure & INSECURE_TLS;
	settings.allow_http = allow_http;
	return http_new(&settings, ret, err);
}

/* All keys, as far as they go: what is wrong with one does not keep the others out. */
static size_t import_all(const struct key_import *import, const char *prefix,
			 const struct strv *args)
{
	size_t failed = 0;

	if (args->n == 0) {
		struct error err = ERROR_INIT;

		if (key_import_discovered(import, prefix, &err) < 0) {
			log_error("%s", err.msg);
			failed++;
		}
	}
	for (size_t i = 0; i < args->n; i++) {
		struct error err = ERROR_INIT;

		if (key_import(import, prefix, args->v[i], &err) < 0) {
			log_error("%s", err.msg);
			failed++;
		}
	}
	return failed;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	static char without_terminal[] = "compare the fingerprint with the signer's, then run it "
					 "again with --skip-fingerprint-review";
	const struct trust_options *trust = opts;
	const char *prefix = trust->root ? NULL : trust->prefix;
	const struct config_dirs dirs = globals_config_dirs(globals);
	cleanup_config struct config config = CONFIG_INIT;
	struct trust_web web = {
		.config = &config,
		.allow_http = trust->allow_http,
		.insecure_tls = globals->insecure & INSECURE_TLS,
	};
	const struct key_import import = {
		.dirs = &dirs,
		.web = &web,
		.review = trust->skip_review ? NULL : review_key,
		.review_priv = without_terminal,
		.info = on_info,
		.debug = on_debug,
	};
	struct error err = ERROR_INIT;
	size_t failed = 1;

	if (args->n == 0 && !trust->root && !trust->prefix)
		return usage_error(globals->prog, &cmd_trust, "name a prefix, or keys with --root");
	if (check_request(globals, trust, args, &err) < 0 ||
	    globals_config(globals, &config, &err) < 0 ||
	    new_http(globals, trust->allow_http, &web.http, &err) < 0)
		log_error("%s", err.msg);
	else
		failed = import_all(&import, prefix, args);
	http_free(web.http);
	return failed ? EXIT_FAILED : 0;
}

const struct command cmd_trust = {
	.name = "trust",
	.args = "[options] [PUBKEY...]",
	.summary = "trust keys that sign images",
	.text = "Put OpenPGP public keys into the keystore. PUBKEY is a file, or an https URL. "
		"With\n"
		"a prefix and no PUBKEY the keys are looked for where the prefix leads\n"
		"(ac-discovery-pubkeys). Each key is shown and asked about before it counts.",
	.options = options,
	.size = sizeof(struct trust_options),
	.max_args = UINT_MAX,
	.run = run,
};
