/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a Docker or OCI image config to an appc manifest.
 *
 * Theory of operation: one function a field, in the order of spec/images.md 17.1; each reads from
 * the "config" object (which may be absent) and adds to the app. Lists made of an object's keys are
 * sorted, so that the same config gives the same manifest.
 */
#include "stage0/image/oci_config.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/acname.h"
#include "stage0/image/entry.h"

#define APPC_VERSION "0.8.11"

#define ITEMS_MAX 4096 /* of a list of the config: far more than any image has */

struct convert {
	struct json_object *config; /* the inner "config", or NULL */
	struct json_object *app;
	struct json_object *annotations;
	struct strv *warnings;
};

static void warn(struct convert *convert, const char *what, const char *item)
{
	cleanup_free char *name = entry_name(item);

	strv_add_owned(convert->warnings, xasprintf("%s \"%.200s\" is left out", what, name));
}

static void add_pair(struct json_object *list, const char *name, const char *value)
{
	struct json_object *pair = json_object_new_object();

	json_add_string(pair, "name", name);
	json_add_string(pair, "value", value);
	json_object_array_add(list, pair);
}

static void annotate(struct convert *convert, const char *name, const char *value)
{
	if (value && value[0])
		add_pair(convert->annotations, name, value);
}

/*
 * A list of strings: absent, a list, or (very old images) one string for a shell. *ret is a new
 * array, empty when there is nothing.
 */
static int get_command(struct convert *convert, const char *key, struct json_object **ret,
		       struct error *err)
{
	cleanup_json struct json_object *list = json_object_new_array();
	struct json_object *value = NULL;

	if (convert->config)
		json_object_object_get_ex(convert->config, key, &value);
	if (json_object_is_type(value, json_type_string)) {
		json_object_array_add(list, json_object_new_string("/bin/sh"));
		json_object_array_add(list, json_object_new_string("-c"));
		json_object_array_add(list, json_object_get(value));
	} else if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++) {
			struct json_object *item = json_object_array_get_idx(value, i);

			if (!json_object_is_type(item, json_type_string) || i >= ITEMS_MAX)
				return error_set(err, -EBADMSG, "config: %s is no list of strings",
						 key);
			json_object_array_add(list, json_object_get(item));
		}
	} else if (value) {
		return error_set(err, -EBADMSG, "config: %s is no list of strings", key);
	}
	*ret = take_ptr(list);
	return 0;
}

static int add_exec(struct convert *convert, struct error *err)
{
	static const struct {
		const char *key, *annotation;
	} parts[] = {{"Entrypoint", "appc.io/docker/entrypoint"}, {"Cmd", "appc.io/docker/cmd"}};
	struct json_object *exec = json_object_new_array();

	json_add(convert->app, "exec", exec);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		cleanup_json struct json_object *list = NULL;
		int r = get_command(convert, parts[i].key, &list, err);

		if (r < 0)
			return r;
		if (json_object_array_length(list) > 0)
			annotate(convert, parts[i].annotation, json_text(list));
		for (size_t n = 0; n < json_object_array_length(list); n++)
			json_object_array_add(exec,
					      json_object_get(json_object_array_get_idx(list, n)));
	}
	if (json_object_array_length(exec) == 0)
		json_object_object_del(convert->app, "exec");
	return 0;
}

/*
 * "user", "user:group"; without a group it is named like the user, as docker2aci does. OCI's rule is
 * another one, the groups /etc/passwd and /etc/group give the user, which appc has no words for: the
 * annotation appc.io/docker/user has the string as it is (images.md 17.2).
 */
static int add_user(struct convert *convert, struct error *err)
{
	const char *text = "", *colon;
	cleanup_free char *user = NULL;
	int r = json_get_string(convert->config, "User", &text, err);

	if (r < 0)
		return r;
	colon = strchr(text, ':');
	user = xstrndup(text, colon ? (size_t)(colon - text) : strlen(text));
	json_add_string(convert->app, "user", user[0] ? user : "0");
	json_add_string(convert->app, "group",
			colon && colon[1] ? colon + 1
			: user[0]	  ? user
					  : "0");
	return 0;
}

/* The entry of a {name, value} list, or NULL. */
static struct json_object *find_pair(struct json_object *list, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *pair = json_object_array_get_idx(list, i), *key = NULL;

		json_object_object_get_ex(pair, "name", &key);
		if (strcmp(json_object_get_string(key), name) == 0)
			return pair;
	}
	return NULL;
}

static int add_environment(struct convert *convert, struct error *err)
{
	struct json_object *env = NULL, *list = json_object_new_array();
	int r = json_get_array(convert->config, "Env", &env, err);

	json_add(convert->app, "environment", list);
	for (size_t i = 0; r == 0 && env && i < json_object_array_length(env); i++) {
		struct json_object *item = json_object_array_get_idx(env, i), *old;
		const char *text = json_object_get_string(item), *equals;
		cleanup_free char *name = NULL;

		if (!json_object_is_type(item, json_type_string) || i >= ITEMS_MAX)
			return error_set(err, -EBADMSG, "config: Env is no list of strings");
		equals = strchr(text, '=');
		name = xstrndup(text, equals ? (size_t)(equals - text) : strlen(text));
		if (!equals || !acenv_is_valid(name)) {
			warn(convert, "environment", name);
			continue;
		}
		old = find_pair(list, name);
		if (old)
			json_add_string(old, "value", equals + 1);
		else
			add_pair(list, name, equals + 1);
	}
	return r;
}

static int add_directory(struct convert *convert, struct error *err)
{
	cleanup_free char *absolute = NULL;
	char path[ENTRY_PATH_MAX + 1];
	const char *text = "", *problem;
	int r = json_get_string(convert->config, "WorkingDir", &text, err);

	if (r < 0)
		return r;
	problem = entry_path_normalise(text, path);
	if (problem)
		return error_set(err, -EBADMSG, "config: WorkingDir %s", problem);
	absolute = xasprintf("/%s", path);
	json_add_string(convert->app, "workingDirectory", absolute);
	return 0;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The keys of an object of the config, sorted. */
static int sorted_keys(struct convert *convert, const char *key, struct strv *ret,
		       struct error *err)
{
	struct json_object *object = NULL;
	int r = json_get_object(convert->config, key, &object, err);

	if (r < 0 || !object)
		return r;
	if (json_object_object_length(object) > ITEMS_MAX)
		return error_set(err, -EBADMSG, "config: %s has too many members", key);
	json_object_object_foreach(object, name, value)
	{
		(void)value;
		strv_add(ret, name);
	}
	if (ret->n > 0)
		qsort(ret->v, ret->n, sizeof(*ret->v), compare_strings);
	return 0;
}

/* "80", "80/tcp", "8000-8005/udp". */
static bool parse_port(const char *text, unsigned long long *first, unsigned long long *last,
		       const char **protocol)
{
	const char *slash = strchr(text, '/');
	cleanup_free char *range = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
	char *dash = strchr(range, '-');

	if (dash)
		*dash = '\0';
	*protocol = slash ? slash + 1 : "tcp";
	if (strcmp(*protocol, "tcp") != 0 && strcmp(*protocol, "udp") != 0)
		return false;
	if (!str_to_u64(range, UINT16_MAX, first) || *first == 0)
		return false;
	*last = *first;
	return !dash || (str_to_u64(dash + 1, UINT16_MAX, last) && *last >= *first);
}

/* What there was before ExposedPorts: a list of "PORT", where the host's port may come first. */
static int port_specs(struct convert *convert, struct strv *ret, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(convert->config, "PortSpecs", &list, err);

	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		const char *text = json_object_get_string(item), *colon;

		if (!json_object_is_type(item, json_type_string) || i >= ITEMS_MAX)
			return error_set(err, -EBADMSG, "config: PortSpecs is no list of strings");
		colon = strrchr(text, ':');
		strv_add(ret, colon ? colon + 1 : text);
	}
	if (r == 0 && ret->n > 0) {
		qsort(ret->v, ret->n, sizeof(*ret->v), compare_strings);
		strv_add(convert->warnings, "the image names its ports in the old way (PortSpecs)");
	}
	return r;
}

static int add_ports(struct convert *convert, struct error *err)
{
	cleanup_strv struct strv keys = STRV_INIT;
	struct json_object *list = json_object_new_array();
	int r = sorted_keys(convert, "ExposedPorts", &keys, err);

	if (r == 0 && keys.n == 0)
		r = port_specs(convert, &keys, err);
	json_add(convert->app, "ports", list);
	for (size_t i = 0; r == 0 && i < keys.n; i++) {
		cleanup_free char *name = acname_sanitize(keys.v[i]);
		unsigned long long first, last;
		struct json_object *port;
		const char *protocol;

		if (!name || find_pair(list, name) ||
		    !parse_port(keys.v[i], &first, &last, &protocol)) {
			warn(convert, "port", keys.v[i]);
			continue;
		}
		port = json_object_new_object();
		json_add_string(port, "name", name);
		json_add_string(port, "protocol", protocol);
		json_add_int(port, "port", (int64_t)first);
		json_add_int(port, "count", (int64_t)(last - first + 1));
		json_object_array_add(list, port);
	}
	return r;
}

/* A name no other mount point has: NAME, NAME-1, NAME-2 ... */
static char *unique_name(struct json_object *list, const char *path)
{
	cleanup_free char *text = xasprintf("volume-%s", path);
	cleanup_free char *base = acname_sanitize(text);
	char *name = xstrdup(base ? base : "volume");

	for (unsigned n = 1; find_pair(list, name); n++) {
		free(name);
		name = xasprintf("%s-%u", base ? base : "volume", n);
	}
	return name;
}

static int add_volumes(struct convert *convert, struct error *err)
{
	cleanup_strv struct strv keys = STRV_INIT;
	struct json_object *list = json_object_new_array();
	int r = sorted_keys(convert, "Volumes", &keys, err);

	json_add(convert->app, "mountPoints", list);
	for (size_t i = 0; r == 0 && i < keys.n; i++) {
		cleanup_free char *name = NULL, *absolute = NULL;
		char path[ENTRY_PATH_MAX + 1];
		struct json_object *mount;
		const char *problem = entry_path_normalise(keys.v[i], path);

		if (problem || keys.v[i][0] != '/' || !path[0])
			return error_set(err, -EBADMSG, "config: a path of Volumes %s",
					 problem ? problem : "is not absolute");
		name = unique_name(list, path);
		absolute = xasprintf("/%s", path);
		mount = json_object_new_object();
		json_add_string(mount, "name", name);
		json_add_string(mount, "path", absolute);
		json_add_bool(mount, "readOnly", false);
		json_object_array_add(list, mount);
	}
	return r;
}

static int add_labels(struct convert *convert, struct error *err)
{
	struct json_object *labels = NULL, *copy;
	int r = json_get_object(convert->config, "Labels", &labels, err);

	if (r < 0 || !labels)
		return r;
	copy = json_object_new_object();
	json_add(convert->app, "userLabels", copy);
	json_object_object_foreach(labels, name, value)
	{
		if (json_object_is_type(value, json_type_string))
			json_add_string(copy, name, json_object_get_string(value));
		else
			warn(convert, "label", name);
	}
	return 0;
}

/* OCI's names of machines in appc's words; NULL: it has none. */
static const char *appc_arch(const char *arch, const char *variant)
{
	static const struct {
		const char *oci, *appc;
	} names[] = {{"amd64", "amd64"}, {"386", "i386"},	 {"arm64", "aarch64"},
		     {"ppc64", "ppc64"}, {"ppc64le", "ppc64le"}, {"s390x", "s390x"}};

	if (strcmp(arch, "arm") == 0)
		return !variant || strcmp(variant, "v6") == 0 ? "armv6l"
		       : strcmp(variant, "v7") == 0	      ? "armv7l"
							      : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(arch, names[i].oci) == 0)
			return names[i].appc;
	return NULL;
}

static int make_labels(struct json_object *config, const struct oci_source *source,
		       struct json_object *labels, struct error *err)
{
	const char *os = NULL, *arch = NULL, *variant = NULL;
	int r = json_get_string(config, "os", &os, err);

	if (r == 0)
		r = json_get_string(config, "architecture", &arch, err);
	if (r == 0)
		r = json_get_string(config, "variant", &variant, err);
	if (r < 0)
		return r;
	if (source->tag)
		add_pair(labels, "version", source->tag);
	if (os && strcmp(os, "linux") == 0) {
		add_pair(labels, "os", os);
		arch = arch ? appc_arch(arch, variant) : NULL;
		if (arch)
			add_pair(labels, "arch", arch);
	}
	return 0;
}

static int make_annotations(struct convert *convert, struct json_object *config,
			    const struct oci_source *source, struct error *err)
{
	const char *author = NULL, *created = NULL, *signal = NULL, *user = NULL;
	int r = json_get_string(config, "author", &author, err);

	if (r == 0)
		r = json_get_string(config, "created", &created, err);
	if (r == 0)
		r = json_get_string(convert->config, "StopSignal", &signal, err);
	if (r == 0)
		r = json_get_string(convert->config, "User", &user, err);
	if (r < 0)
		return r;
	annotate(convert, "authors", author);
	if (created && actime_is_valid(created) && !str_starts_with(created, "1970-01-01T00:00:00"))
		annotate(convert, "created", created);
	annotate(convert, "appc.io/docker/originalname", source->original);
	annotate(convert, "appc.io/docker/registryurl", source->registry);
	annotate(convert, "appc.io/docker/repository", source->repository);
	annotate(convert, "appc.io/docker/imageid", source->config_digest);
	annotate(convert, "appc.io/docker/manifesthash", source->manifest_digest);
	annotate(convert, "appc.io/docker/stopsignal", signal);
	annotate(convert, "appc.io/docker/user", user);
	return 0;
}

static int make_app(struct convert *convert, struct error *err)
{
	static int (*const steps[])(struct convert *, struct error *) = {
		add_exec,  add_user,	add_environment, add_directory,
		add_ports, add_volumes, add_labels,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
		r = steps[i](convert, err);
	return r;
}

int oci_config_convert(struct json_object *config, const struct oci_source *source,
		       struct json_object **ret, struct strv *warnings, struct error *err)
{
	cleanup_json struct json_object *manifest = json_object_new_object();
	cleanup_free char *name = acident_sanitize(source->name);
	struct convert convert = {.warnings = warnings};
	struct json_object *labels = json_object_new_array();
	int r;

	json_add_string(manifest, "acKind", "ImageManifest");
	json_add_string(manifest, "acVersion", APPC_VERSION);
	json_add_string(manifest, "name", name ? name : "");
	json_add(manifest, "labels", labels);
	json_add(manifest, "app", convert.app = json_object_new_object());
	json_add(manifest, "annotations", convert.annotations = json_object_new_array());
	if (!json_object_is_type(config, json_type_object))
		return error_set(err, -EBADMSG, "the image's config is no object");
	if (!name)
		return error_set(err, -EBADMSG, "no image name can be made of \"%.200s\"",
				 source->name);
	r = json_get_object(config, "config", &convert.config, err);
	if (r == 0)
		r = make_labels(config, source, labels, err);
	if (r == 0)
		r = make_app(&convert, err);
	if (r == 0)
		r = make_annotations(&convert, config, source, err);
	if (r == -EINVAL)
		return error_set(err, -EBADMSG, "the image's config: %s", err->msg);
	if (r < 0)
		return r;
	*ret = take_ptr(manifest);
	return 0;
}
