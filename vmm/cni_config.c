/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which networks there are. Files of LOCAL/net.d in the order of their names: *.conflist hold a list
 * of plugins, *.conf and *.json one. The built-in networks come last, unless a file has their name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/cni.h"

#define CONF_MAX     (256 * 1024) /* bytes of a configuration */
#define CONF_FILES   256
#define CONF_VERSION "0.4.0" /* of configurations that do not say */
#define BUILT_IN     "built-in"

static const struct {
	const char *name, *text;
} built_in[] = {
	{"default",
	 "{\"cniVersion\":\"0.4.0\",\"name\":\"default\",\"type\":\"ptp\",\"ipMasq\":true,"
	 "\"ipam\":{\"type\":\"host-local\",\"subnet\":\"172.16.28.0/24\","
	 "\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}}"},
	{"default-restricted",
	 "{\"cniVersion\":\"0.4.0\",\"name\":\"default-restricted\",\"type\":\"ptp\","
	 "\"ipam\":{\"type\":\"host-local\",\"subnet\":\"172.31.0.0/16\"}}"},
};

static void network_free(struct cni_network *network)
{
	free(network->name);
	free(network->file);
	free(network->args);
	json_object_put(network->conf);
	*network = (struct cni_network){.name = NULL};
}

void cni_networks_free(struct cni_networks *networks)
{
	for (unsigned i = 0; i < networks->n; i++)
		network_free(&networks->v[i]);
	networks->n = 0;
}

/* A name that is a file's and a chain's part: letters, digits and ".-_", as CNI has it. */
static bool name_valid(const char *name)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t len = strlen(name);

	return len && len <= CNI_NAME_MAX && strchr(chars, name[0]) &&
	       strspn(name + 1,
		      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
		       len - 1;
}

/* A plugin's type is a file's name in a search path. */
static int check_plugins(struct json_object *plugins, struct error *err)
{
	size_t n = plugins ? json_object_array_length(plugins) : 0;

	if (!n || n > CNI_PLUGINS_MAX)
		return error_set(err, -EINVAL, "not between 1 and %d plugins", CNI_PLUGINS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct json_object *plugin = json_object_array_get_idx(plugins, i);
		const char *type = NULL;

		if (!json_object_is_type(plugin, json_type_object) ||
		    json_get_string(plugin, "type", &type, err) < 0 || !type || !name_valid(type))
			return error_set(err, -EINVAL, "plugin %zu has no valid type", i);
	}
	return 0;
}

/* One plugin's configuration as a list of one. */
static struct json_object *listed(struct json_object *conf)
{
	struct json_object *list = json_object_new_object(), *plugins = json_object_new_array();

	json_object_array_add(plugins, json_object_get(conf));
	json_add(list, "plugins", plugins);
	return list;
}

static int parse_conf(const char *text, size_t len, const char *file, struct cni_network *ret,
		      struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	struct json_object *plugins = NULL, *conf;
	const char *name = NULL, *version = NULL;
	int r = json_parse(text, len, file, &doc, err);

	if (r == 0)
		r = json_get_string(doc, "name", &name, err);
	if (r == 0)
		r = json_get_string(doc, "cniVersion", &version, err);
	if (r == 0)
		r = json_get_array(doc, "plugins", &plugins, err);
	if (r < 0)
		return error_wrap(err, "%s", file);
	if (!name || !name_valid(name))
		return error_set(err, -EINVAL, "%s: the network has no valid name", file);
	conf = plugins ? json_object_get(doc) : listed(doc);
	*ret = (struct cni_network){.name = xstrdup(name), .file = xstrdup(file), .conf = conf};
	if (!version)
		json_add_string(conf, "cniVersion", CONF_VERSION);
	else if (!plugins)
		json_add_string(conf, "cniVersion", version);
	if (!plugins)
		json_add_string(conf, "name", name);
	json_get_array(conf, "plugins", &plugins, err);
	r = check_plugins(plugins, err);
	if (r < 0) {
		network_free(ret);
		return error_wrap(err, "%s", file);
	}
	return 0;
}

/* All networks there are. */
struct known {
	struct cni_network v[CONF_FILES + ARRAY_SIZE(built_in)];
	size_t n;
};

static void known_free(struct known **known)
{
	for (size_t i = 0; *known && i < (*known)->n; i++)
		network_free(&(*known)->v[i]);
	free(*known);
}

static const struct cni_network *known_find(const struct known *known, const char *name)
{
	for (size_t i = 0; i < known->n; i++)
		if (!strcmp(known->v[i].name, name))
			return &known->v[i];
	return NULL;
}

/* Take a network unless another has its name; the one that came first counts. */
static void learn(struct known *known, struct cni_network *network)
{
	const struct cni_network *other = known_find(known, network->name);

	if (!other) {
		known->v[known->n++] = *network;
		return;
	}
	if (!strcmp(network->file, BUILT_IN))
		log_debug("network %s: %s overrides the built-in one", other->name, other->file);
	else
		log_warn("network %s: %s is ignored, %s has that name", other->name, network->file,
			 other->file);
	network_free(network);
}

static int is_conf(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
	       (str_ends_with(entry->d_name, ".conf") ||
		str_ends_with(entry->d_name, ".conflist") || str_ends_with(entry->d_name, ".json"));
}

static int learn_file(struct known *known, const char *dir, const char *name, struct error *err)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name), *text = NULL;
	struct cni_network network;
	size_t len;
	int r;

	if (known->n == CONF_FILES)
		return error_set(err, -E2BIG, "%s: more than %d networks", dir, CONF_FILES);
	r = file_read(AT_FDCWD, path, CONF_MAX, &text, &len, err);
	if (r == 0)
		r = parse_conf(text, len, path, &network, err);
	if (r < 0)
		return r;
	log_debug("network %s: from %s", network.name, path);
	learn(known, &network);
	return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int learn_dir(struct known *known, const char *local_config, struct error *err)
{
	cleanup_free char *dir = xasprintf("%s/net.d", local_config);
	struct dirent **names;
	int n = scandir(dir, &names, is_conf, by_name), r = 0;

	if (n < 0)
		return errno == ENOENT ? 0 : error_errno(err, "%s", dir);
	log_debug("networks: looking into %s", dir);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = learn_file(known, dir, names[i]->d_name, err);
		free(names[i]);
	}
	free(names);
	return r;
}

static int learn_built_in(struct known *known, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(built_in); i++) {
		struct cni_network network;
		int r = parse_conf(built_in[i].text, strlen(built_in[i].text), BUILT_IN, &network,
				   err);

		if (r < 0)
			return r;
		learn(known, &network);
	}
	return 0;
}

static int join(struct cni_networks *ret, const struct cni_network *network, const char *args,
		struct error *err)
{
	if (ret->n == CNI_NETWORKS_MAX)
		return error_set(err, -E2BIG, "a pod joins at most %d networks", CNI_NETWORKS_MAX);
	ret->v[ret->n++] = (struct cni_network){
		.name = xstrdup(network->name),
		.file = xstrdup(network->file),
		.args = xstrdup(args),
		.conf = json_object_get(network->conf),
	};
	return 0;
}

/* The arguments behind a network's name in the list, NULL when it is not in it. */
static const char *asked_for(const struct strv *items, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < items->n; i++) {
		const char *item = items->v[i];

		if (strncmp(item, name, len) == 0 && (!item[len] || item[len] == ':'))
			return item[len] ? item + len + 1 : item + len;
	}
	return NULL;
}

static int join_all_asked(const struct known *known, const struct strv *items,
			  struct cni_networks *ret, struct error *err)
{
	bool all = asked_for(items, "all") != NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < known->n; i++) {
		const char *args = asked_for(items, known->v[i].name);

		if (args || all)
			r = join(ret, &known->v[i], args ? args : "", err);
	}
	return r;
}

/* Every name asked for must be one. */
static int check_names(const struct known *known, const struct strv *items, struct error *err)
{
	for (size_t i = 0; i < items->n; i++) {
		cleanup_free char *name = xstrndup(items->v[i], strcspn(items->v[i], ":"));

		if (strcmp(name, "all") != 0 && !known_find(known, name))
			return error_set(err, -ENOENT, "no network \"%s\"", name);
	}
	return 0;
}

int cni_find(const char *local_config, const char *list, struct cni_networks *ret,
	     struct error *err)
{
	cleanup(known_free) struct known *known = xcalloc(1, sizeof(*known));
	cleanup_strv struct strv items = STRV_INIT;
	struct cni_networks networks = {.n = 0};
	int r = learn_dir(known, local_config, err);

	if (r == 0)
		r = learn_built_in(known, err);
	strv_split(&items, *list ? list : "default", ',');
	if (r == 0)
		r = check_names(known, &items, err);
	if (r == 0)
		r = join_all_asked(known, &items, &networks, err);
	if (r < 0) {
		cni_networks_free(&networks);
		return r;
	}
	*ret = networks;
	return 0;
}
