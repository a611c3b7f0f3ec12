/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/fetching.h"

#include <errno.h>

#include "common/log.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/image/oci_origin.h"
#include "stage0/review.h"

static int parse_oci(const struct fetching_options *options, struct fetching *fetching,
		     struct error *err)
{
	unsigned long long jobs = 0;

	if (options->jobs && (!str_to_u64(options->jobs, OCI_JOBS_MAX, &jobs) || jobs == 0))
		return error_set(err, -EINVAL, "--jobs: \"%s\" is no number from 1 to %d",
				 options->jobs, OCI_JOBS_MAX);
	fetching->jobs = (unsigned)jobs;
	fetching->has_platform = options->platform && options->platform[0];
	return fetching->has_platform
		       ? oci_platform_parse(options->platform, &fetching->platform, err)
		       : 0;
}

int fetching_parse(const struct fetching_options *options, struct fetching *fetching,
		   struct error *err)
{
	int r = parse_oci(options, fetching, err);

	if (r < 0)
		return r;
	if (options->no_store && options->store_only)
		return error_set(err, -EINVAL,
				 "--no-store and --store-only can not both be: choose a "
				 "--pull-policy");
	if (options->no_store)
		log_warn("--no-store is deprecated, use --pull-policy=update");
	if (options->store_only)
		log_warn("--store-only is deprecated, use --pull-policy=never");
	if (options->no_store || options->store_only) {
		fetching->policy = options->no_store ? PULL_UPDATE : PULL_NEVER;
		return 0;
	}
	return pull_policy_parse(options->pull_policy, &fetching->policy, err);
}

int fetching_open(const struct globals *globals, struct store *store, bool quiet,
		  struct fetching *fetching, struct error *err)
{
	struct fetch_options options = {
		.policy = fetching->policy,
		.insecure = globals->insecure,
		.trust_keys_from_https = globals->trust_keys_from_https,
		.config = &fetching->config,
		.jobs = fetching->jobs,
		.platform = fetching->has_platform ? &fetching->platform : NULL,
		.dirs = globals_config_dirs(globals),
		.review = review_on_terminal() ? review_key : NULL,
		.review_priv = (void *)"trust the key with the command trust",
	};
	int r = globals_config(globals, &fetching->config, err);

	if (r < 0)
		return r;
	fetching->store = store;
	fetching->progress = progress_new(progress_on_terminal(), quiet);
	fetching->user_agent =
		xasprintf("%s/%s", globals->as_rkt ? "rkt" : "tripod", TRIPOD_VERSION);
	options.report = progress_report(fetching->progress);
	options.user_agent = fetching->user_agent;
	r = fetch_new(store, &options, &fetching->fetch, err);
	if (r < 0)
		return r;
	options.trusted = true;
	return fetch_new(store, &options, &fetching->trusted, err);
}

int fetching_image(struct fetching *fetching, const char *text, const char *signature, bool trusted,
		   char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_strv struct strv warnings = STRV_INIT;
	int r = fetch_image(trusted ? fetching->trusted : fetching->fetch, text, signature, ret_key,
			    &warnings, err);

	for (size_t i = 0; r == 0 && i < warnings.n; i++)
		log_warn("%s: %s", text, warnings.v[i]);
	return r;
}

void fetching_close(struct fetching *fetching)
{
	fetch_free(fetching->fetch);
	fetch_free(fetching->trusted);
	progress_free(fetching->progress);
	free(fetching->user_agent);
	config_free(&fetching->config);
	*fetching = (struct fetching)FETCHING_INIT;
}
