/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First all that is declared becomes the list. Then for each app its explicit mounts are taken, then
 * the mount points of its image: one at whose path something is mounted is served, else the volume
 * of its name is mounted there, else one is made for it. Volumes that nobody mounts are dropped at
 * the end, and the host's that are left get their tags.
 */
#include "vmm/pod_volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/util.h"
#include "vmm/pod.h"

#define NAME_BYTES   255 /* at most, of a volume or mount point: as many as a stage0 takes */
#define MODE_DEFAULT 0755
#define ID_MAX	     (UINT32_MAX - 1) /* the last one is "no user" */

/* What is known of a volume while mounts are looked for. */
struct declared {
	struct pod_volume volume;
	bool has_read_only; /* it says itself whether it is; else who mounts it does */
	bool private;	    /* of one app, not to be found by name */
	bool used;
	bool written; /* somebody mounts it for writing */
};

struct volumes {
	struct declared v[POD_VOLUMES_MAX];
	unsigned n;
};

static void volume_free(struct pod_volume *volume)
{
	free(volume->name);
	free(volume->source);
}

static void volumes_free(struct volumes **volumes)
{
	for (unsigned i = 0; *volumes && i < (*volumes)->n; i++)
		volume_free(&(*volumes)->v[i].volume);
	free(*volumes);
}

void pod_volumes_free(struct pod_spec *pod)
{
	for (unsigned i = 0; i < pod->napps; i++) {
		for (unsigned k = 0; k < pod->apps[i].nmounts; k++)
			free(pod->apps[i].mounts[k].path);
		free(pod->apps[i].mounts);
		pod->apps[i].mounts = NULL;
		pod->apps[i].nmounts = 0;
	}
	for (unsigned i = 0; i < pod->nvolumes; i++)
		volume_free(&pod->volumes[i]);
	free(pod->volumes);
	pod->volumes = NULL;
	pod->nvolumes = 0;
}

/* Octal digits, as chmod(1) takes them. */
static int parse_mode(const char *text, uint32_t *ret, struct error *err)
{
	uint32_t mode = 0;
	size_t n = strlen(text);

	if (!n || n > 5 || strspn(text, "01234567") != n)
		return error_set(err, -EINVAL, "mode \"%.100s\" is no octal number", text);
	for (; *text; text++)
		mode = mode << 3 | (uint32_t)(*text - '0');
	if (mode > 07777)
		return error_set(err, -EINVAL, "mode %o is over 7777", mode);
	*ret = mode;
	return 0;
}

static int get_id(struct json_object *obj, const char *key, uint32_t *ret, struct error *err)
{
	int64_t id = 0;
	int r = json_get_int(obj, key, 0, ID_MAX, &id, err);

	if (r == 0)
		*ret = (uint32_t)id;
	return r;
}

static bool has(struct json_object *obj, const char *key)
{
	return json_object_object_get_ex(obj, key, NULL);
}

static int parse_empty(struct json_object *obj, struct pod_volume *volume, struct error *err)
{
	const char *mode = NULL;

	volume->mode = MODE_DEFAULT;
	if (has(obj, "source"))
		return error_set(err, -EINVAL, "empty, with a source");
	if (json_get_string(obj, "mode", &mode, err) < 0 ||
	    get_id(obj, "uid", &volume->uid, err) < 0 || get_id(obj, "gid", &volume->gid, err) < 0)
		return err->code;
	return mode ? parse_mode(mode, &volume->mode, err) : 0;
}

static int parse_host(struct json_object *obj, struct pod_volume *volume, struct error *err)
{
	static const char *const of_empty[] = {"mode", "uid", "gid"};
	const char *source = NULL;
	int r = json_get_string(obj, "source", &source, err);

	volume->recursive = true;
	if (r == 0)
		r = json_get_bool(obj, "recursive", &volume->recursive, err);
	if (r < 0)
		return r;
	if (!source || source[0] != '/')
		return error_set(err, -EINVAL, "the source is not absolute");
	if (strlen(source) > POD_PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "the source's path is too long");
	for (size_t i = 0; i < ARRAY_SIZE(of_empty); i++)
		if (has(obj, of_empty[i]))
			return error_set(err, -EINVAL, "of the host, with %s", of_empty[i]);
	volume->source = xstrdup(source);
	return 0;
}

/* What follows its name. */
static int parse_kind(struct json_object *obj, struct declared *ret, struct error *err)
{
	const char *kind = NULL;
	int r = json_get_string(obj, "kind", &kind, err);

	if (r == 0)
		r = json_get_bool(obj, "readOnly", &ret->volume.read_only, err);
	if (r < 0)
		return r;
	ret->has_read_only = has(obj, "readOnly");
	if (kind && strcmp(kind, "empty") == 0)
		return parse_empty(obj, &ret->volume, err);
	if (!kind || strcmp(kind, "host") != 0)
		return error_set(err, -EINVAL, "of no known kind");
	ret->volume.kind = POD_VOLUME_HOST;
	return parse_host(obj, &ret->volume, err);
}

static int add(struct volumes *volumes, struct declared **ret, struct error *err)
{
	if (volumes->n == POD_VOLUMES_MAX)
		return error_set(err, -E2BIG, "more than %d volumes", POD_VOLUMES_MAX);
	*ret = &volumes->v[volumes->n++];
	return 0;
}

static int parse_volume(struct json_object *obj, struct volumes *volumes, struct declared **ret,
			struct error *err)
{
	const char *name = NULL;
	int r;

	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, -EINVAL, "a volume is not an object");
	r = json_get_string(obj, "name", &name, err);
	if (r < 0)
		return r;
	if (!name || !pod_name_valid(name, NAME_BYTES))
		return error_set(err, -EINVAL, "bad volume name \"%.100s\"", name ? name : "");
	r = add(volumes, ret, err);
	if (r < 0)
		return r;
	(*ret)->volume.name = xstrdup(name);
	r = parse_kind(obj, *ret, err);
	return r < 0 ? error_wrap(err, "volume %s", name) : 0;
}

static struct declared *find(struct volumes *volumes, const char *name)
{
	for (unsigned i = 0; i < volumes->n; i++)
		if (!volumes->v[i].private && strcmp(volumes->v[i].volume.name, name) == 0)
			return &volumes->v[i];
	return NULL;
}

static int parse_volumes(struct json_object *manifest, struct volumes *volumes, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(manifest, "volumes", &list, err);

	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		struct declared *one;

		r = parse_volume(json_object_array_get_idx(list, i), volumes, &one, err);
		if (r == 0 && find(volumes, one->volume.name) != one)
			r = error_set(err, -EEXIST, "duplicate volume name \"%s\"",
				      one->volume.name);
	}
	return r;
}

/* Without empty parts and dots. What ".." means the links in the app's root say, so it stays. */
static char *clean_path(const char *path)
{
	char *ret = xcalloc(strlen(path) + 1, 1), *out = ret;

	while (*path) {
		size_t n = strcspn(path, "/");

		if (n && !(n == 1 && *path == '.')) {
			*out++ = '/';
			memcpy(out, path, n);
			out += n;
		}
		path += n + (path[n] == '/');
	}
	return ret;
}

/* A target: below the app's root, and not where the kernel tells of its processes. */
static int parse_target(struct json_object *obj, char **ret, struct error *err)
{
	cleanup_free char *clean = NULL;
	const char *path = NULL;
	int r = json_get_string(obj, "path", &path, err);

	if (r < 0)
		return r;
	if (!path || path[0] != '/')
		return error_set(err, -EINVAL, "path \"%.100s\" is not absolute", path ? path : "");
	if (strlen(path) > POD_PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "path is too long");
	clean = clean_path(path);
	if (!*clean)
		return error_set(err, -EINVAL, "path is the root");
	if (strcmp(clean, "/proc") == 0 || str_starts_with(clean, "/proc/"))
		return error_set(err, -EINVAL, "path %.100s is in /proc", clean);
	*ret = take_ptr(clean);
	return 0;
}

static bool is_mounted(const struct pod_app *app, const char *path)
{
	for (unsigned i = 0; i < app->nmounts; i++)
		if (strcmp(app->mounts[i].path, path) == 0)
			return true;
	return false;
}

/* Mount the volume in the app at path, which is taken over. read_only: what the mount point says. */
static int mount(struct pod_app *app, struct volumes *volumes, struct declared *one, char **path,
		 bool read_only, struct error *err)
{
	struct pod_mount *mount;

	if (app->nmounts == POD_MOUNTS_MAX)
		return error_set(err, -E2BIG, "more than %d mounts", POD_MOUNTS_MAX);
	if (one->has_read_only)
		read_only = one->volume.read_only;
	mount = &app->mounts[app->nmounts++];
	mount->volume = (unsigned)(one - volumes->v);
	mount->path = take_ptr(*path);
	mount->read_only = read_only;
	one->used = true;
	one->written |= !read_only;
	return 0;
}

static int mount_point(struct json_object *obj, const char **ret_name, char **ret_path,
		       bool *ret_read_only, struct error *err)
{
	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, -EINVAL, "a mount point is not an object");
	if (json_get_string(obj, "name", ret_name, err) < 0 ||
	    json_get_bool(obj, "readOnly", ret_read_only, err) < 0 ||
	    parse_target(obj, ret_path, err) < 0)
		return err->code;
	if (!*ret_name || !pod_name_valid(*ret_name, NAME_BYTES))
		return error_set(err, -EINVAL, "bad mount point name \"%.100s\"",
				 *ret_name ? *ret_name : "");
	return 0;
}

/* What the image says of the path an explicit mount names; broken ones are complained about later. */
static bool point_read_only(struct json_object *points, const char *path)
{
	for (size_t i = 0; points && i < json_object_array_length(points); i++) {
		struct json_object *obj = json_object_array_get_idx(points, i);
		cleanup_free char *own = NULL;
		struct error ignored = ERROR_INIT;
		const char *name = NULL;
		bool read_only = false;

		if (mount_point(obj, &name, &own, &read_only, &ignored) == 0 &&
		    strcmp(own, path) == 0)
			return read_only;
	}
	return false;
}

/* The volume an explicit mount means. */
static int mounted_volume(struct json_object *obj, struct volumes *volumes, struct declared **ret,
			  struct error *err)
{
	struct json_object *own = NULL;
	const char *name = NULL;
	int r = json_get_object(obj, "appVolume", &own, err);

	if (r == 0)
		r = json_get_string(obj, "volume", &name, err);
	if (r < 0)
		return r;
	if (own) {
		r = parse_volume(own, volumes, ret, err);
		if (r == 0)
			(*ret)->private = true;
		return r;
	}
	*ret = name ? find(volumes, name) : NULL;
	return *ret ? 0
		    : error_set(err, -ENOENT, "there is no volume \"%.100s\"", name ? name : "");
}

static int explicit_mount(struct json_object *obj, struct json_object *points, struct pod_app *app,
			  struct volumes *volumes, struct error *err)
{
	cleanup_free char *path = NULL;
	struct declared *one;
	int r;

	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, -EINVAL, "a mount is not an object");
	r = parse_target(obj, &path, err);
	if (r < 0)
		return r;
	if (is_mounted(app, path))
		return error_set(err, -EEXIST, "%.100s is mounted twice", path);
	r = mounted_volume(obj, volumes, &one, err);
	if (r < 0)
		return error_wrap(err, "%.100s", path);
	return mount(app, volumes, one, &path, point_read_only(points, path), err);
}

/* The volume of a mount point that has none. */
static int implicit_volume(const struct pod_app *app, const char *point, struct volumes *volumes,
			   struct declared **ret, struct error *err)
{
	int r = add(volumes, ret, err);

	if (r < 0)
		return r;
	(*ret)->private = true;
	(*ret)->volume.name = xasprintf("%s-%s", app->name, point);
	(*ret)->volume.mode = MODE_DEFAULT;
	(*ret)->volume.seeded = app->docker;
	return 0;
}

static int serve_point(struct json_object *obj, struct json_object *mounts, struct pod_spec *pod,
		       struct pod_app *app, struct volumes *volumes, struct error *err)
{
	cleanup_free char *path = NULL;
	const char *name = NULL;
	struct declared *one;
	bool read_only = false;
	int r = mount_point(obj, &name, &path, &read_only, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < app->nmounts; i++) {
		if (strcmp(app->mounts[i].path, path) != 0)
			continue;
		/* by an explicit mount that is what was wanted, by another mount point a mistake */
		return i < (mounts ? json_object_array_length(mounts) : 0)
			       ? 0
			       : error_set(err, -EEXIST, "%.100s is a mount point twice", path);
	}
	one = find(volumes, name);
	if (!one) {
		r = implicit_volume(app, name, volumes, &one, err);
		if (r < 0)
			return r;
		pod_note(pod,
			 "app %s: no volume for mount point \"%s\", an empty one \"%s\" is made",
			 app->name, name, one->volume.name);
	}
	return mount(app, volumes, one, &path, read_only, err);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct pod_mount *)a)->path, ((const struct pod_mount *)b)->path);
}

static int parse_app(struct json_object *entry, struct pod_spec *pod, struct pod_app *app,
		     struct volumes *volumes, struct error *err)
{
	struct json_object *section = NULL, *mounts = NULL, *points = NULL;
	size_t nmounts, npoints;
	int r = json_get_array(entry, "mounts", &mounts, err);

	if (r == 0)
		r = json_get_object(entry, "app", &section, err);
	if (r == 0)
		r = json_get_array(section, "mountPoints", &points, err);
	if (r < 0)
		return r;
	nmounts = mounts ? json_object_array_length(mounts) : 0;
	npoints = points ? json_object_array_length(points) : 0;
	if (nmounts + npoints == 0)
		return 0;
	app->mounts =
		xcalloc(MIN(nmounts + npoints, (size_t)POD_MOUNTS_MAX), sizeof(app->mounts[0]));
	for (size_t i = 0; r == 0 && i < nmounts; i++) {
		r = explicit_mount(json_object_array_get_idx(mounts, i), points, app, volumes, err);
		if (r < 0)
			error_wrap(err, "mounts[%zu]", i);
	}
	for (size_t i = 0; r == 0 && i < npoints; i++) {
		r = serve_point(json_object_array_get_idx(points, i), mounts, pod, app, volumes,
				err);
		if (r < 0)
			error_wrap(err, "mountPoints[%zu]", i);
	}
	if (r == 0)
		qsort(app->mounts, app->nmounts, sizeof(app->mounts[0]), by_path);
	return r;
}

/* Give the pod those that are used. */
static int keep(struct volumes *volumes, struct pod_spec *pod, struct error *err)
{
	unsigned place[POD_VOLUMES_MAX] = {0}, nshares = 0;

	pod->volumes = xcalloc(volumes->n ? volumes->n : 1, sizeof(pod->volumes[0]));
	for (unsigned i = 0; i < volumes->n; i++) {
		struct declared *one = &volumes->v[i];
		struct pod_volume *volume = &one->volume;

		if (!one->used)
			continue;
		volume->read_only |= !one->written;
		if (volume->kind == POD_VOLUME_HOST) {
			if (nshares == POD_SHARES_MAX)
				return error_set(err, -E2BIG, "more than %d volumes of the host",
						 POD_SHARES_MAX);
			snprintf(volume->tag, sizeof(volume->tag), "v%u", nshares++);
		}
		place[i] = pod->nvolumes;
		pod->volumes[pod->nvolumes++] = *volume;
		*volume = (struct pod_volume){.name = NULL};
	}
	for (unsigned i = 0; i < pod->napps; i++)
		for (unsigned k = 0; k < pod->apps[i].nmounts; k++)
			pod->apps[i].mounts[k].volume = place[pod->apps[i].mounts[k].volume];
	return 0;
}

int pod_volumes_parse(struct json_object *manifest, struct pod_spec *pod, struct error *err)
{
	cleanup(volumes_free) struct volumes *volumes = xcalloc(1, sizeof(*volumes));
	struct json_object *apps = NULL;
	int r = json_get_array(manifest, "apps", &apps, err);

	if (r == 0)
		r = parse_volumes(manifest, volumes, err);
	for (unsigned i = 0; r == 0 && i < pod->napps; i++) {
		r = parse_app(json_object_array_get_idx(apps, i), pod, &pod->apps[i], volumes, err);
		if (r < 0)
			error_wrap(err, "app %s", pod->apps[i].name);
	}
	return r < 0 ? r : keep(volumes, pod, err);
}

int pod_volumes_look(struct pod_spec *pod, struct error *err)
{
	for (unsigned i = 0; i < pod->nvolumes; i++) {
		struct pod_volume *volume = &pod->volumes[i];
		struct stat st;

		if (volume->kind != POD_VOLUME_HOST)
			continue;
		if (stat(volume->source, &st) < 0)
			return error_errno(err, "volume %s: Failed to stat %s", volume->name,
					   volume->source);
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
			return error_set(
				err, -ENOTSUP,
				"volume %s: %s is neither a directory nor a file: it would "
				"be the guest's, not the host's",
				volume->name, volume->source);
		volume->is_file = S_ISREG(st.st_mode);
	}
	return 0;
}
