/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/fetch/registries.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"

#define CONF_FILE "/etc/containers/registries.conf"
#define CONF_DIR  "/etc/containers/registries.conf.d"
#define USER_FILE "containers/registries.conf"

static int load_file(int dirfd, const char *path, struct registries *registries, struct error *err)
{
	cleanup_free char *text = NULL;
	struct error why = ERROR_INIT;
	size_t len;
	int r = file_read(dirfd, path, REGISTRIES_CONF_MAX, &text, &len, &why);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return error_set(err, r, "%s", why.msg);
	return registries_parse(text, len, path, registries, err);
}

static int is_conf(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && str_ends_with(entry->d_name, ".conf");
}

int registries_load(const char *file, const char *dir, struct registries *registries,
		    struct error *err)
{
	int r = file ? load_file(AT_FDCWD, file, registries, err) : 0;
	struct dirent **names = NULL;
	int n = r == 0 && dir ? scandir(dir, &names, is_conf, alphasort) : 0;

	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(err, "%s", dir);
	for (int i = 0; i < n; i++) {
		cleanup_free char *path = xasprintf("%s/%s", dir, names[i]->d_name);

		if (r == 0)
			r = load_file(AT_FDCWD, path, registries, err);
		free(names[i]);
	}
	free(names);
	return r;
}

int registries_load_env(struct registries *registries, struct error *err)
{
	const char *named = getenv("CONTAINERS_REGISTRIES_CONF"), *home = getenv("HOME"),
		   *config = getenv("XDG_CONFIG_HOME");
	cleanup_free char *user = NULL;

	if (named && *named)
		return registries_load(named, NULL, registries, err);
	if (config && config[0] == '/')
		user = xasprintf("%s/" USER_FILE, config);
	else if (home && home[0] == '/')
		user = xasprintf("%s/.config/" USER_FILE, home);
	if (user && access(user, F_OK) == 0)
		return registries_load(user, NULL, registries, err);
	return registries_load(CONF_FILE, CONF_DIR, registries, err);
}

/* How much of name the prefix covers; 0: it is not for this name. */
static size_t covered(const char *prefix, const char *name)
{
	size_t len = strlen(prefix), host = strcspn(name, "/:");

	if (str_starts_with(prefix, "*.")) {
		len -= 1; /* with its dot */
		return host > len && strncasecmp(name + host - len, prefix + 1, len) == 0
			       ? strcspn(name, "/")
			       : 0;
	}
	return strncasecmp(name, prefix, len) == 0 && (name[len] == '\0' || name[len] == '/') ? len
											      : 0;
}

/* The entry for a name: any that names the host before a wildcard, then the longest. */
static const struct registries_entry *entry_for(const struct registries *registries,
						const char *name)
{
	const struct registries_entry *best = NULL;

	for (size_t i = 0; registries && i < registries->n; i++) {
		const struct registries_entry *entry = &registries->entry[i];
		bool wild = entry->prefix[0] == '*';

		if (!covered(entry->prefix, name))
			continue;
		if (!best || (best->prefix[0] == '*' && !wild) ||
		    (wild == (best->prefix[0] == '*') &&
		     strlen(entry->prefix) > strlen(best->prefix)))
			best = entry;
	}
	return best;
}

/* location in the place of what prefix covers of name: host[:port]/repository. */
static int add_place(struct registry_places *places, const char *location, const char *prefix,
		     const char *name, bool insecure, bool mirror, struct error *err)
{
	cleanup_free char *whole = xasprintf("%s%s", location, name + covered(prefix, name));
	size_t host = strcspn(whole, "/");

	if (!registry_location_valid(whole) || whole[host] != '/')
		return error_set(err, -EINVAL, "%s: no name of a repository at %s", whole,
				 location);
	places->place = xrealloc(places->place, places->n + 1, sizeof(*places->place));
	places->place[places->n++] = (struct registry_place){
		.host = xstrndup(whole, host),
		.repository = xstrdup(whole + host + 1),
		.insecure = insecure,
		.mirror = mirror,
	};
	return 0;
}

static int from_config(const struct config_registry *entry, const struct dockerref *ref,
		       const char *name, struct registry_places *places, struct error *err)
{
	int r = 0;

	if (entry->blocked)
		return error_set(err, -EPERM, "%s is blocked by the configuration (%s)", name,
				 entry->prefix);
	for (size_t i = 0; r == 0 && i < entry->endpoints.n; i++)
		if (!entry->by_digest_only || ref->digest[0])
			r = add_place(places, entry->endpoints.v[i], entry->prefix, name,
				      entry->insecure, true, err);
	return r < 0 ? r : add_place(places, name, "", "", entry->insecure, false, err);
}

static int from_registries(const struct registries_entry *entry, const struct dockerref *ref,
			   const char *name, struct registry_places *places, struct error *err)
{
	bool digest = ref->digest[0];
	int r = 0;

	if (entry->blocked)
		return error_set(err, -EPERM, "%s is blocked by the configuration (%s)", name,
				 entry->prefix);
	for (size_t i = 0; r == 0 && i < entry->nmirrors; i++) {
		const struct registries_mirror *mirror = &entry->mirror[i];

		if (((entry->by_digest_only || mirror->digest_only) && !digest) ||
		    (mirror->tag_only && digest))
			continue;
		r = add_place(places, mirror->location, entry->prefix, name, mirror->insecure, true,
			      err);
	}
	if (r < 0)
		return r;
	if (!entry->location)
		return add_place(places, name, "", "", entry->insecure, false, err);
	return add_place(places, entry->location, entry->prefix, name, entry->insecure, false, err);
}

int registry_places_find(const struct config *config, const struct registries *registries,
			 const struct dockerref *ref, struct registry_places *ret,
			 struct error *err)
{
	cleanup_free char *name = xasprintf("%s/%s", ref->domain, ref->repository);
	const struct config_registry *ours = config ? config_registry_for(config, name) : NULL;
	const struct registries_entry *theirs = entry_for(registries, name);
	struct registry_places places = {.n = 0};
	int r;

	if (ours)
		r = from_config(ours, ref, name, &places, err);
	else if (theirs)
		r = from_registries(theirs, ref, name, &places, err);
	else
		r = add_place(&places, name, "", "", false, false, err);
	if (r < 0)
		registry_places_free(&places);
	else
		*ret = places;
	return r;
}

void registry_places_free(struct registry_places *places)
{
	for (size_t i = 0; i < places->n; i++) {
		free(places->place[i].host);
		free(places->place[i].repository);
	}
	free(places->place);
	*places = (struct registry_places){.n = 0};
}
