/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume on the command line is a list of KEY=VALUE that becomes an object with the same keys, so
 * one table says what the keys are, for which kind, and what their values look like. An object that
 * came with a manifest is checked with the same table.
 */
#include "stage0/volume.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/util.h"
#include "stage0/acname.h"
#include "stage0/options.h"

#define ID_MAX	 (UINT32_MAX - 1) /* the last one is "no user" */
#define PATH_LEN 4095		  /* PATH_MAX without its NUL */

enum value {
	VALUE_PATH, /* absolute */
	VALUE_BOOL,
	VALUE_MODE, /* octal, kept as text */
	VALUE_ID,
};

static const struct key {
	const char *name;
	enum value value;
	bool host, empty; /* kinds it is for */
} keys[] = {
	{"source", VALUE_PATH, true, false},   {"readOnly", VALUE_BOOL, true, true},
	{"recursive", VALUE_BOOL, true, true}, {"mode", VALUE_MODE, false, true},
	{"uid", VALUE_ID, false, true},	       {"gid", VALUE_ID, false, true},
};

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static int check_path(const char *path, const char *what, struct error *err)
{
	if (path[0] != '/')
		return error_set(err, -EINVAL, "%s \"%s\" is not absolute", what, path);
	if (strlen(path) > PATH_LEN)
		return error_set(err, -ENAMETOOLONG, "%s is too long", what);
	return 0;
}

static int check_mode(const char *mode, struct error *err)
{
	size_t zeros = strspn(mode, "0"), n = strlen(mode);

	if (!n || strspn(mode, "01234567") != n || n - zeros > 4)
		return error_set(err, -EINVAL, "mode \"%s\" is no octal number up to 7777", mode);
	return 0;
}

/* The value of a key as text, put into the object. */
static int set_key(struct json_object *obj, const struct key *key, const char *text,
		   struct error *err)
{
	unsigned long long id;
	bool flag;
	int r = 0;

	switch (key->value) {
	case VALUE_PATH:
		r = check_path(text, key->name, err);
		break;
	case VALUE_MODE:
		r = check_mode(text, err);
		break;
	case VALUE_BOOL:
		if (!parse_bool(text, &flag))
			return error_set(err, -EINVAL, "%s: \"%s\" is neither true nor false",
					 key->name, text);
		json_add_bool(obj, key->name, flag);
		return 0;
	case VALUE_ID:
		if (!str_to_u64(text, ID_MAX, &id))
			return error_set(err, -EINVAL, "%s: \"%s\" is no id", key->name, text);
		json_add_int(obj, key->name, (int64_t)id);
		return 0;
	}
	if (r == 0)
		json_add_string(obj, key->name, text);
	return r;
}

/* The value of a key in an object, of the type it must have. */
static int check_key(struct json_object *obj, const struct key *key, struct error *err)
{
	const char *text = NULL;
	int64_t id = 0;
	bool flag = false;
	int r;

	if (key->value == VALUE_BOOL)
		return json_get_bool(obj, key->name, &flag, err);
	if (key->value == VALUE_ID)
		return json_get_int(obj, key->name, 0, ID_MAX, &id, err);
	r = json_get_string(obj, key->name, &text, err);
	if (r < 0 || !text)
		return r;
	return key->value == VALUE_MODE ? check_mode(text, err) : check_path(text, key->name, err);
}

/* The volume as an object: its kind, what goes with it, and what it needs. */
static int check_volume(struct json_object *volume, struct error *err)
{
	const char *kind = NULL;
	bool host;
	int r = json_get_string(volume, "kind", &kind, err);

	if (r < 0)
		return r;
	if (!kind)
		return error_set(err, -EINVAL, "kind is missing: host or empty");
	host = strcmp(kind, "host") == 0;
	if (!host && strcmp(kind, "empty") != 0)
		return error_set(err, -EINVAL, "kind \"%s\" is neither host nor empty", kind);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct key *key = &keys[i];

		if (!json_object_object_get_ex(volume, key->name, NULL))
			continue;
		if (!(host ? key->host : key->empty))
			return error_set(err, -EINVAL, "a volume of kind %s has no %s", kind,
					 key->name);
		r = check_key(volume, key, err);
		if (r < 0)
			return r;
	}
	if (host && !json_object_object_get(volume, "source"))
		return error_set(err, -EINVAL, "source is missing");
	return 0;
}

/*
 * Split KEY=VALUE words into a volume; what own says is put beside, where it is not NULL. Words from
 * first on are read.
 */
static int read_words(const struct strv *words, size_t first, struct json_object *volume,
		      struct json_object *own, const char *const *own_keys, struct error *err)
{
	for (size_t i = first; i < words->n; i++) {
		const char *word = words->v[i], *eq = strchr(word, '=');
		cleanup_free char *name = xstrndup(word, strcspn(word, "="));
		const struct key *key = find_key(name);
		bool is_own = false;
		int r = 0;

		if (!eq)
			return error_set(err, -EINVAL, "\"%s\" is not KEY=VALUE", word);
		for (const char *const *p = own_keys; *p; p++)
			is_own |= strcmp(*p, name) == 0;
		if (!is_own && !key)
			return error_set(err, -EINVAL, "unknown key \"%s\"", name);
		if (json_object_object_get_ex(is_own ? own : volume, name, NULL))
			return error_set(err, -EINVAL, "%s is given twice", name);
		if (is_own)
			json_add_string(own, name, eq + 1);
		else
			r = set_key(volume, key, eq + 1, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_name(const char *name, struct error *err)
{
	if (!acname_is_valid(name))
		return error_set(err, -EINVAL, "\"%s\" is not a volume's name", name);
	return 0;
}

/* A volume of this name, of the words from first on; other keys than a volume's go to own. */
static int make_volume(const char *name, const struct strv *words, size_t first,
		       struct json_object *own, const char *const *own_keys,
		       struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *volume = json_object_new_object();
	const char *kind = NULL;
	int r = read_words(words, first, volume, own, own_keys, err);

	if (r == 0 && !name)
		r = json_get_string(own, "name", &name, err);
	if (r == 0)
		r = check_name(name ? name : "", err);
	if (r == 0)
		r = json_get_string(own, "kind", &kind, err);
	if (r < 0)
		return r;
	json_add_string(volume, "name", name);
	if (kind)
		json_add_string(volume, "kind", kind);
	r = check_volume(volume, err);
	if (r < 0)
		return r;
	if (strcmp(kind, "empty") == 0) {
		if (!json_object_object_get_ex(volume, "mode", NULL))
			json_add_string(volume, "mode", "0755");
		if (!json_object_object_get_ex(volume, "uid", NULL))
			json_add_int(volume, "uid", 0);
		if (!json_object_object_get_ex(volume, "gid", NULL))
			json_add_int(volume, "gid", 0);
	}
	*ret = take_ptr(volume);
	return 0;
}

/* The volume of that name, or NULL. */
static struct json_object *find_volume(struct json_object *volumes, const char *name)
{
	for (size_t i = 0; volumes && i < json_object_array_length(volumes); i++) {
		struct json_object *volume = json_object_array_get_idx(volumes, i), *own = NULL;

		if (json_object_is_type(volume, json_type_object) &&
		    json_object_object_get_ex(volume, "name", &own) &&
		    json_object_is_type(own, json_type_string) &&
		    strcmp(json_object_get_string(own), name) == 0)
			return volume;
	}
	return NULL;
}

int volume_add(struct json_object *volumes, const char *text, struct error *err)
{
	static const char *const own_keys[] = {"kind", NULL};
	cleanup_json struct json_object *volume = NULL, *own = json_object_new_object();
	cleanup_strv struct strv words = STRV_INIT;

	strv_split(&words, text, ',');
	if (make_volume(words.v[0], &words, 1, own, own_keys, &volume, err) < 0)
		return error_wrap(err, "--volume \"%s\"", text);
	if (find_volume(volumes, words.v[0]))
		return error_set(err, -EEXIST, "duplicate volume name \"%s\"", words.v[0]);
	json_object_array_add(volumes, take_ptr(volume));
	return 0;
}

/* Whether two paths are one, apart from slashes. */
static bool same_path(const char *a, const char *b)
{
	for (;;) {
		size_t n;

		a += strspn(a, "/");
		b += strspn(b, "/");
		n = strcspn(a, "/");
		if (n != strcspn(b, "/") || memcmp(a, b, n) != 0)
			return false;
		if (n == 0)
			return true;
		a += n;
		b += n;
	}
}

static bool has_target(struct json_object *mounts, const char *path)
{
	for (size_t i = 0; i < json_object_array_length(mounts); i++) {
		struct json_object *mount = json_object_array_get_idx(mounts, i);

		if (same_path(json_object_get_string(json_object_object_get(mount, "path")), path))
			return true;
	}
	return false;
}

/* What was read of "volume=NAME,target=PATH" as an object; *ret_path stays the object's. */
static int make_mount(const char *text, struct json_object *volumes, struct json_object **ret,
		      const char **ret_path, struct error *err)
{
	static const char *const own_keys[] = {"volume", "target", NULL};
	cleanup_json struct json_object *own = json_object_new_object(), *none, *mount;
	cleanup_strv struct strv words = STRV_INIT;
	const char *name = NULL, *path = NULL;
	int r;

	none = json_object_new_object();
	mount = json_object_new_object();
	strv_split(&words, text, ',');
	r = read_words(&words, 0, none, own, own_keys, err);
	if (r < 0)
		return r;
	if (json_object_object_length(none))
		return error_set(err, -EINVAL, "only volume and target go here");
	if (json_get_string(own, "volume", &name, err) < 0 ||
	    json_get_string(own, "target", &path, err) < 0)
		return err->code;
	if (!name || !path)
		return error_set(err, -EINVAL, "%s is missing", name ? "target" : "volume");
	r = check_name(name, err);
	if (r == 0)
		r = check_path(path, "target", err);
	if (r == 0 && !find_volume(volumes, name))
		r = error_set(err, -ENOENT,
			      "there is no volume \"%s\" to mount at \"%s\": declare it with "
			      "--volume",
			      name, path);
	if (r < 0)
		return r;
	json_add_string(mount, "volume", name);
	json_add_string(mount, "path", path);
	*ret_path = json_object_get_string(json_object_object_get(mount, "path"));
	*ret = take_ptr(mount);
	return 0;
}

int mounts_build(struct json_object *volumes, const struct strv *own, const struct strv *all,
		 struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *mounts = json_object_new_array();
	const struct strv *lists[] = {own, all};

	for (size_t i = 0; i < own->n + all->n; i++) {
		bool is_own = i < own->n;
		const char *text = lists[!is_own]->v[is_own ? i : i - own->n], *path = NULL;
		cleanup_json struct json_object *mount = NULL;

		if (make_mount(text, volumes, &mount, &path, err) < 0)
			return error_wrap(err, "--mount \"%s\"", text);
		if (!has_target(mounts, path))
			json_object_array_add(mounts, take_ptr(mount));
		else if (is_own)
			return error_set(err, -EEXIST, "--mount \"%s\": another is mounted there",
					 text);
	}
	*ret = take_ptr(mounts);
	return 0;
}

int mount_volume_parse(const char *text, struct json_object **ret, struct error *err)
{
	static const char *const own_keys[] = {"name", "kind", "target", NULL};
	cleanup_json struct json_object *volume = NULL, *own = json_object_new_object(), *mount;
	cleanup_strv struct strv words = STRV_INIT;
	const char *path = NULL;
	int r;

	mount = json_object_new_object();
	strv_split(&words, text, ',');
	r = make_volume(NULL, &words, 0, own, own_keys, &volume, err);
	if (r == 0)
		r = json_get_string(own, "target", &path, err);
	if (r == 0)
		r = path ? check_path(path, "target", err)
			 : error_set(err, -EINVAL, "target is missing");
	if (r < 0)
		return error_wrap(err, "--mnt-volume \"%s\"", text);
	json_add(mount, "volume", json_object_get(json_object_object_get(volume, "name")));
	json_add_string(mount, "path", path);
	json_add(mount, "appVolume", take_ptr(volume));
	*ret = take_ptr(mount);
	return 0;
}

static int check_own_volume(struct json_object *volume, struct error *err)
{
	const char *name = NULL;
	int r = json_get_string(volume, "name", &name, err);

	if (r == 0)
		r = check_name(name ? name : "", err);
	if (r < 0)
		return r;
	return check_volume(volume, err) < 0 ? error_wrap(err, "volume %s", name) : 0;
}

/* ctx: the volumes there are. */
static int check_mount(struct json_object *mount, void *ctx, struct error *err)
{
	const char *name = NULL, *path = NULL;
	struct json_object *own = NULL;

	if (json_get_string(mount, "volume", &name, err) < 0 ||
	    json_get_string(mount, "path", &path, err) < 0 ||
	    json_get_object(mount, "appVolume", &own, err) < 0)
		return err->code;
	if (check_path(path ? path : "", "path", err) < 0)
		return err->code;
	if (own)
		return check_own_volume(own, err);
	if (!name || !find_volume(ctx, name))
		return error_set(err, -ENOENT, "there is no volume \"%s\" to mount at \"%s\"",
				 name ? name : "", path);
	return 0;
}

static int check_mounts(struct json_object *app, void *ctx, struct error *err)
{
	const char *name = NULL;
	int r = json_get_string(app, "name", &name, err);

	if (r == 0 && json_each(app, "mounts", check_mount, ctx, err) < 0)
		r = error_wrap(err, "app %s", name ? name : "");
	return r;
}

/* ctx: all that are declared. */
static int check_declared(struct json_object *volume, void *ctx, struct error *err)
{
	const char *name = NULL;
	int r = check_own_volume(volume, err);

	if (r == 0)
		r = json_get_string(volume, "name", &name, err);
	if (r == 0 && find_volume(ctx, name) != volume)
		r = error_set(err, -EEXIST, "duplicate volume name \"%s\"", name);
	return r;
}

int volumes_check(struct json_object *manifest, struct error *err)
{
	struct json_object *volumes = NULL;
	int r = json_get_array(manifest, "volumes", &volumes, err);

	if (r == 0)
		r = json_each(manifest, "volumes", check_declared, volumes, err);
	return r < 0 ? r : json_each(manifest, "apps", check_mounts, volumes, err);
}

static int check_source(struct json_object *volume, void *ctx, struct error *err)
{
	const char *source = NULL, *name = NULL;
	struct stat st;
	int r = json_get_string(volume, "source", &source, err);

	(void)ctx;
	if (r == 0)
		r = json_get_string(volume, "name", &name, err);
	if (r == 0 && source && stat(source, &st) < 0)
		r = error_errno(err, "volume \"%s\": Failed to stat %s", name, source);
	return r;
}

int volumes_check_sources(struct json_object *manifest, struct error *err)
{
	return json_each(manifest, "volumes", check_source, NULL, err);
}

/* One mount as status shows it; volume is NULL for one that stage1 makes. */
static void show(struct json_object *list, const char *name, const char *path,
		 struct json_object *volume, bool read_only)
{
	struct json_object *obj = json_object_new_object();
	struct error ignored = ERROR_INIT;
	const char *source = NULL;

	json_get_string(volume, "source", &source, &ignored);
	json_get_bool(volume, "readOnly", &read_only, &ignored);
	json_add_string(obj, "name", name);
	json_add_string(obj, "container_path", path);
	json_add_string(obj, "host_path", source ? source : "");
	json_add_bool(obj, "read_only", read_only);
	json_object_array_add(list, obj);
}

/* What of an array in an object is an object with these two strings and maybe a readOnly. */
static bool next_entry(struct json_object *array, size_t *at, const char *name_key,
		       const char **ret_name, const char **ret_path, bool *ret_read_only,
		       struct json_object **ret)
{
	while (array && *at < json_object_array_length(array)) {
		struct json_object *entry = json_object_array_get_idx(array, (*at)++);
		struct error ignored = ERROR_INIT;

		*ret_name = *ret_path = NULL;
		*ret_read_only = false;
		if (!json_object_is_type(entry, json_type_object) ||
		    json_get_string(entry, name_key, ret_name, &ignored) < 0 ||
		    json_get_string(entry, "path", ret_path, &ignored) < 0 ||
		    json_get_bool(entry, "readOnly", ret_read_only, &ignored) < 0 || !*ret_name ||
		    !*ret_path)
			continue;
		*ret = entry;
		return true;
	}
	return false;
}

static bool is_shown(struct json_object *list, const char *path)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);

		if (same_path(
			    json_object_get_string(json_object_object_get(entry, "container_path")),
			    path))
			return true;
	}
	return false;
}

/* What the image says about the path: whether it is for reading alone. */
static bool point_read_only(struct json_object *points, const char *path)
{
	const char *name, *own;
	struct json_object *entry;
	bool read_only;

	for (size_t at = 0; next_entry(points, &at, "name", &name, &own, &read_only, &entry);)
		if (same_path(own, path))
			return read_only;
	return false;
}

struct json_object *mounts_show(struct json_object *manifest, struct json_object *app)
{
	struct json_object *volumes = NULL, *mounts = NULL, *section = NULL, *points = NULL;
	cleanup_json struct json_object *list = json_object_new_array();
	struct error ignored = ERROR_INIT;
	struct json_object *entry, *own;
	const char *name, *path, *app_name = NULL;
	bool read_only;

	if (json_get_array(manifest, "volumes", &volumes, &ignored) < 0 ||
	    json_get_string(app, "name", &app_name, &ignored) < 0 ||
	    json_get_array(app, "mounts", &mounts, &ignored) < 0 ||
	    json_get_object(app, "app", &section, &ignored) < 0 ||
	    json_get_array(section, "mountPoints", &points, &ignored) < 0)
		return NULL;
	for (size_t at = 0; next_entry(mounts, &at, "volume", &name, &path, &read_only, &entry);) {
		own = json_object_object_get(entry, "appVolume");
		show(list, name, path,
		     json_object_is_type(own, json_type_object) ? own : find_volume(volumes, name),
		     point_read_only(points, path));
	}
	for (size_t at = 0; next_entry(points, &at, "name", &name, &path, &read_only, &entry);) {
		struct json_object *volume = find_volume(volumes, name);
		cleanup_free char *made = xasprintf("%s-%s", app_name ? app_name : "", name);

		if (!is_shown(list, path))
			show(list, volume ? name : made, path, volume, read_only);
	}
	return json_object_array_length(list) ? take_ptr(list) : NULL;
}
