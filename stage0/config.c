/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a host: read, checked, merged.
 *
 * Theory of operation: each of the three directories is read into a struct config of its own, where
 * a key that is there already is an error (config_kinds.c), and then laid over what the directories
 * before it said. Once everything is read the lists are sorted, which is the order "config" prints.
 */
#include "stage0/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/config_priv.h"

static void auth_free(struct config_auth *auth)
{
	free(auth->host);
	free(auth->user);
	free(auth->secret);
	free(auth->region);
}

static void docker_auth_free(struct config_docker_auth *auth)
{
	free(auth->registry);
	free(auth->user);
	free(auth->password);
}

void config_registry_free(struct config_registry *registry)
{
	free(registry->prefix);
	strv_free(&registry->endpoints);
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config->nauth; i++)
		auth_free(&config->auth[i]);
	for (size_t i = 0; i < config->ndocker_auth; i++)
		docker_auth_free(&config->docker_auth[i]);
	for (size_t i = 0; i < config->nregistries; i++)
		config_registry_free(&config->registries[i]);
	free(config->auth);
	free(config->docker_auth);
	free(config->registries);
	free(config->data);
	free(config->stage1_images);
	free(config->stage1_name);
	free(config->stage1_version);
	free(config->stage1_location);
	*config = (struct config)CONFIG_INIT;
}

struct config_auth *config_find_auth(const struct config *config, const char *host)
{
	for (size_t i = 0; i < config->nauth; i++)
		if (strcasecmp(config->auth[i].host, host) == 0)
			return &config->auth[i];
	return NULL;
}

struct config_docker_auth *config_find_docker_auth(const struct config *config,
						   const char *registry)
{
	for (size_t i = 0; i < config->ndocker_auth; i++)
		if (strcasecmp(config->docker_auth[i].registry, registry) == 0)
			return &config->docker_auth[i];
	return NULL;
}

struct config_registry *config_find_registry(const struct config *config, const char *prefix)
{
	for (size_t i = 0; i < config->nregistries; i++)
		if (strcmp(config->registries[i].prefix, prefix) == 0)
			return &config->registries[i];
	return NULL;
}

static int read_file(int fd, const char *name, config_document_fn *each, void *arg,
		     struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(fd, name, CONFIG_FILE_MAX, &text, &len, err);

	if (r == 0)
		r = json_parse(text, len, name, &doc, err);
	return r < 0 ? r : each(arg, doc, err);
}

/* The names of the regular files in fd that end in .json, sorted, so that messages are the same. */
static int list_files(int *fd, struct strv *ret, struct error *err)
{
	DIR *dir = fdopendir(*fd);
	struct dirent *entry;

	if (!dir)
		return error_errno(err, "reading the directory");
	*fd = -1;
	while ((entry = readdir(dir))) {
		struct stat st;

		if (str_ends_with(entry->d_name, ".json") &&
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			strv_add(ret, entry->d_name);
	}
	closedir(dir);
	return 0;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int config_each_document(const char *top, const char *sub, config_document_fn *each, void *arg,
			 struct error *err)
{
	cleanup_free char *path = xasprintf("%s/%s", top, sub);
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), listed = -1;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, "%s", path);
	listed = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (listed < 0)
		return error_errno(err, "%s", path);
	r = list_files(&listed, &names, err);
	if (r < 0)
		return error_wrap(err, "%s", path);
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), compare_text);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		r = read_file(fd, names.v[i], each, arg, err);
		if (r < 0)
			error_wrap(err, "%s/%s", path, names.v[i]);
	}
	return r;
}

/* A subdirectory being read into a struct config. */
struct reading {
	struct config *config;
	const char *sub;
};

static int read_document(void *arg, struct json_object *doc, struct error *err)
{
	const struct reading *reading = arg;

	return config_read_document(reading->config, reading->sub, doc, err);
}

static int read_subdirectory(struct config *config, const char *top, const char *sub,
			     struct error *err)
{
	struct reading reading = {config, sub};

	return config_each_document(top, sub, read_document, &reading, err);
}

/* Take over what is set, freeing what was there. */
static void lay_over(char **field, char **with)
{
	if (!*with)
		return;
	free(*field);
	*field = take_ptr(*with);
}

/* Lay what a later directory says over config. with is left empty of what was taken. */
static void merge(struct config *config, struct config *with)
{
	for (size_t i = 0; i < with->nauth; i++) {
		struct config_auth *slot = config_find_auth(config, with->auth[i].host);

		if (slot)
			auth_free(slot);
		else
			slot = list_grow(config->auth, config->nauth);
		*slot = with->auth[i];
	}
	with->nauth = 0;
	for (size_t i = 0; i < with->ndocker_auth; i++) {
		struct config_docker_auth *slot =
			config_find_docker_auth(config, with->docker_auth[i].registry);

		if (slot)
			docker_auth_free(slot);
		else
			slot = list_grow(config->docker_auth, config->ndocker_auth);
		*slot = with->docker_auth[i];
	}
	with->ndocker_auth = 0;
	for (size_t i = 0; i < with->nregistries; i++) {
		struct config_registry *slot =
			config_find_registry(config, with->registries[i].prefix);

		if (slot)
			config_registry_free(slot);
		else
			slot = list_grow(config->registries, config->nregistries);
		*slot = with->registries[i];
	}
	with->nregistries = 0;
	lay_over(&config->data, &with->data);
	lay_over(&config->stage1_images, &with->stage1_images);
	lay_over(&config->stage1_name, &with->stage1_name);
	lay_over(&config->stage1_version, &with->stage1_version);
	lay_over(&config->stage1_location, &with->stage1_location);
}

static int compare_auth(const void *a, const void *b)
{
	return strcmp(((const struct config_auth *)a)->host, ((const struct config_auth *)b)->host);
}

static int compare_docker_auth(const void *a, const void *b)
{
	return strcmp(((const struct config_docker_auth *)a)->registry,
		      ((const struct config_docker_auth *)b)->registry);
}

static int compare_registry(const void *a, const void *b)
{
	return strcmp(((const struct config_registry *)a)->prefix,
		      ((const struct config_registry *)b)->prefix);
}

static void sort(struct config *config)
{
	if (config->nauth)
		qsort(config->auth, config->nauth, sizeof(*config->auth), compare_auth);
	if (config->ndocker_auth)
		qsort(config->docker_auth, config->ndocker_auth, sizeof(*config->docker_auth),
		      compare_docker_auth);
	if (config->nregistries)
		qsort(config->registries, config->nregistries, sizeof(*config->registries),
		      compare_registry);
}

int config_load(const struct config_dirs *dirs, struct config *ret, struct error *err)
{
	static const char *const subs[] = {"auth.d", "registries.d", "paths.d", "stage1.d"};
	const char *const tops[] = {dirs->system, dirs->local, dirs->user};
	cleanup_config struct config all = CONFIG_INIT;

	for (size_t t = 0; t < ARRAY_SIZE(tops); t++) {
		cleanup_config struct config one = CONFIG_INIT;
		int r = 0;

		if (!tops[t] || !*tops[t])
			continue;
		for (size_t s = 0; r == 0 && s < ARRAY_SIZE(subs); s++)
			r = read_subdirectory(&one, tops[t], subs[s], err);
		if (r < 0)
			return r;
		merge(&all, &one);
	}
	sort(&all);
	*ret = all;
	all = (struct config)CONFIG_INIT;
	return 0;
}

const struct config_auth *config_auth_for(const struct config *config, const char *host)
{
	return config_find_auth(config, host);
}

const struct config_docker_auth *config_docker_auth_for(const struct config *config,
							const char *registry)
{
	return config_find_docker_auth(config, registry);
}

/* How well the prefix covers the reference, more is better; 0: it does not. */
static size_t covered(const char *prefix, const char *reference)
{
	size_t len = strlen(prefix), host = strcspn(reference, "/");

	if (str_starts_with(prefix, "*.")) {
		size_t name = strcspn(reference, "/:"), tail = len - 1;

		if (name <= tail || strncasecmp(reference + name - tail, prefix + 1, tail) != 0)
			return 0;
		return len;
	}
	if (strncasecmp(prefix, reference, MIN(len, host)) != 0)
		return 0;
	if (len <= host)
		return len == host ? len + CONFIG_FILE_MAX : 0;
	if (strncmp(prefix + host, reference + host, len - host) != 0)
		return 0;
	return strchr("/:@", reference[len]) ? len + CONFIG_FILE_MAX : 0;
}

const struct config_registry *config_registry_for(const struct config *config,
						  const char *reference)
{
	const struct config_registry *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < config->nregistries; i++) {
		size_t len = covered(config->registries[i].prefix, reference);

		if (len > most) {
			best = &config->registries[i];
			most = len;
		}
	}
	return best;
}
