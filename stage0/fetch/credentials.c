/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which credentials are looked for (spec/images.md 15.1): the first place that knows
 * the registry decides, even when what it knows is nothing.
 */
#include "stage0/fetch/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/fetch/credentials_priv.h"
#include "stage0/fetch/dockerref.h"

#define FILES_MAX 5

/* What a helper answered, so that it is asked once. */
struct helped {
	char *suffix, *server;
	int found; /* as credential_helper_get() */
	struct credential credential;
};

struct credentials {
	struct auth_file file[FILES_MAX];
	size_t nfiles;
	size_t before_config; /* files that come before config */
	const struct config *config;
	pthread_mutex_t lock; /* of helped; also: one helper at a time */
	struct helped *helped;
	size_t nhelped;
};

static void wipe(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

void credential_free(struct credential *credential)
{
	free(credential->user);
	credential->user = NULL;
	wipe(&credential->password);
	wipe(&credential->identity_token);
	wipe(&credential->registry_token);
}

static char *dup_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static void credential_copy(const struct credential *from, struct credential *ret)
{
	*ret = (struct credential){
		.user = dup_or_null(from->user),
		.password = dup_or_null(from->password),
		.identity_token = dup_or_null(from->identity_token),
		.registry_token = dup_or_null(from->registry_token),
	};
}

static int add_file(struct credentials *credentials, const char *path, bool must_exist, bool old,
		    struct strv *warnings, struct error *err)
{
	cleanup_free char *text = NULL;
	struct error why = ERROR_INIT;
	struct stat st;
	size_t len;
	int r;

	if (!path)
		return 0;
	r = file_read(AT_FDCWD, path, CREDENTIALS_FILE_MAX, &text, &len, &why);
	if (!must_exist && (r == -ENOENT || r == -ENOTDIR || r == -EACCES))
		return 0;
	if (r < 0)
		return error_set(err, r, "%s", why.msg);
	if (stat(path, &st) == 0 && (st.st_mode & S_IROTH)) {
		cleanup_free char *line =
			xasprintf("%s: holds credentials and can be read by everybody", path);

		strv_add(warnings, line);
	}
	r = auth_file_parse(text, len, path, old, &credentials->file[credentials->nfiles], err);
	explicit_bzero(text, len);
	if (r == 0)
		credentials->nfiles++;
	return r;
}

int credentials_load(const struct credential_files *files, struct credentials **ret,
		     struct strv *warnings, struct error *err)
{
	struct credentials *credentials = xcalloc(1, sizeof(*credentials));
	int r;

	pthread_mutex_init(&credentials->lock, NULL);
	credentials->config = files->config;
	r = add_file(credentials, files->authfile, true, false, warnings, err);
	credentials->before_config = credentials->nfiles;
	if (r < 0 ||
	    (r = add_file(credentials, files->containers_run, false, false, warnings, err)) < 0 ||
	    (r = add_file(credentials, files->containers_config, false, false, warnings, err)) <
		    0 ||
	    (r = add_file(credentials, files->docker_config, false, false, warnings, err)) < 0 ||
	    (r = add_file(credentials, files->dockercfg, false, true, warnings, err)) < 0) {
		credentials_free(credentials);
		return r;
	}
	*ret = credentials;
	return 0;
}

/* dir/rest, when dir is an absolute path */
static char *below(const char *dir, const char *rest)
{
	return dir && dir[0] == '/' ? xasprintf("%s/%s", dir, rest) : NULL;
}

int credentials_load_env(const struct config *config, struct credentials **ret,
			 struct strv *warnings, struct error *err)
{
	const char *home = getenv("HOME"), *authfile = getenv("REGISTRY_AUTH_FILE"),
		   *config_home = getenv("XDG_CONFIG_HOME"), *docker = getenv("DOCKER_CONFIG");
	cleanup_free char *run = below(getenv("XDG_RUNTIME_DIR"), "containers/auth.json");
	cleanup_free char *containers = config_home && *config_home
						? below(config_home, "containers/auth.json")
						: below(home, ".config/containers/auth.json");
	cleanup_free char *docker_config = docker && *docker ? xasprintf("%s/config.json", docker)
							     : below(home, ".docker/config.json");
	cleanup_free char *dockercfg = below(home, ".dockercfg");
	struct credential_files files = {
		.authfile = authfile && *authfile ? authfile : NULL,
		.config = config,
		.containers_run = run,
		.containers_config = containers,
		.docker_config = docker_config,
		.dockercfg = dockercfg,
	};

	return credentials_load(&files, ret, warnings, err);
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	for (size_t i = 0; i < credentials->nfiles; i++)
		auth_file_free(&credentials->file[i]);
	for (size_t i = 0; i < credentials->nhelped; i++) {
		free(credentials->helped[i].suffix);
		free(credentials->helped[i].server);
		credential_free(&credentials->helped[i].credential);
	}
	free(credentials->helped);
	pthread_mutex_destroy(&credentials->lock);
	free(credentials);
}

/* The helper's answer, asked now or before. The lock is held. */
static int helper_answer(struct credentials *credentials, const char *suffix, const char *server,
			 struct credential *ret, struct error *err)
{
	struct helped new = {.found = 0};

	for (size_t i = 0; i < credentials->nhelped; i++) {
		const struct helped *h = &credentials->helped[i];

		if (strcmp(h->suffix, suffix) != 0 || strcmp(h->server, server) != 0)
			continue;
		credential_copy(&h->credential, ret);
		return h->found;
	}
	new.found = credential_helper_get(suffix, server, CREDENTIAL_HELPER_TIMEOUT_MS,
					  &new.credential, err);
	if (new.found < 0)
		return new.found;
	new.suffix = xstrdup(suffix);
	new.server = xstrdup(server);
	credentials->helped = xrealloc(credentials->helped, credentials->nhelped + 1, sizeof(new));
	credentials->helped[credentials->nhelped++] = new;
	credential_copy(&new.credential, ret);
	return new.found;
}

static int ask_helper(struct credentials *credentials, const char *suffix, const char *host,
		      struct credential *ret, struct error *err)
{
	const char *server =
		strcmp(registry_host_canonical(host), DOCKER_HUB) == 0 ? DOCKER_HUB_AUTH_KEY : host;
	int r;

	pthread_mutex_lock(&credentials->lock);
	r = helper_answer(credentials, suffix, server, ret, err);
	pthread_mutex_unlock(&credentials->lock);
	return r;
}

/* 1: found, 0: not here */
static int find_in_file(struct credentials *credentials, const struct auth_file *file,
			const char *host, const char *repository, struct credential *ret,
			struct error *err)
{
	const char *suffix = auth_file_helper(file, host);
	int r = 0;

	if (suffix)
		r = ask_helper(credentials, suffix, host, ret, err);
	return r != 0 ? r : auth_file_find(file, host, repository, ret, err);
}

static int find_in_config(const struct config *config, const char *host, struct credential *ret)
{
	static const char *const hub[] = {DOCKER_HUB_ENDPOINT, DOCKER_HUB, DOCKER_HUB_INDEX};
	const struct config_docker_auth *auth = NULL;

	if (!config)
		return 0;
	if (strcmp(registry_host_canonical(host), DOCKER_HUB) != 0)
		auth = config_docker_auth_for(config, host);
	else
		for (size_t i = 0; i < ARRAY_SIZE(hub) && !auth; i++)
			auth = config_docker_auth_for(config, hub[i]);
	if (!auth)
		return 0;
	*ret = (struct credential){.user = xstrdup(auth->user),
				   .password = xstrdup(auth->password)};
	return 1;
}

int credentials_find(struct credentials *credentials, const char *host, const char *repository,
		     struct credential *ret, struct error *err)
{
	struct credential found = {.user = NULL};
	int r = 0;

	for (size_t i = 0; r == 0 && i <= credentials->nfiles; i++) {
		if (i == credentials->before_config)
			r = find_in_config(credentials->config, host, &found);
		if (r == 0 && i < credentials->nfiles)
			r = find_in_file(credentials, &credentials->file[i], host, repository,
					 &found, err);
	}
	if (r < 0)
		return r;
	*ret = found;
	return 0;
}
