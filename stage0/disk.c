/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/quantity.h"
#include "common/util.h"
#include "stage0/ext4.h"
#include "stage0/pod_info.h"
#include "stage0/rate.h"

#define SIZE_STEP  (UINT64_C(1) << 20) /* sizes are rounded up to it */
#define NUMBER_MAX 32		       /* bytes of DISK_FILE */

static int parse_size(const char *text, uint64_t *ret, struct error *err)
{
	int64_t size;
	int r = quantity_parse(text, QUANTITY_ONE, &size, err);

	if (r < 0)
		return error_wrap(err, "--disk");
	if ((uint64_t)size < EXT4_SIZE_MIN || (uint64_t)size > EXT4_SIZE_MAX)
		return error_set(err, -ERANGE, "--disk: %s is not between %lluMi and %lluTi", text,
				 (unsigned long long)(EXT4_SIZE_MIN >> 20),
				 (unsigned long long)(EXT4_SIZE_MAX >> 40));
	*ret = ALIGN_UP((uint64_t)size, SIZE_STEP);
	return 0;
}

int disk_options_check(const struct disk_options *options, struct error *err)
{
	bool memory = strcmp(options->rw, "tmpfs") == 0;
	uint64_t rates[RATES_MAX], size;

	if (!memory && strcmp(options->rw, "disk") != 0)
		return error_set(err, -EINVAL, "--rw: \"%s\" is neither disk nor tmpfs",
				 options->rw);
	if (memory && options->size)
		return error_set(err, -EINVAL, "--disk goes with --rw=disk only");
	if (options->size && parse_size(options->size, &size, err) < 0)
		return err->code;
	return options->rate ? rate_parse(&disk_rate, options->rate, rates, err) : 0;
}

static bool entry_is(struct json_object *list, size_t i, const char *key, const char *value)
{
	struct json_object *entry = json_object_array_get_idx(list, i), *found = NULL;

	return json_object_is_type(entry, json_type_object) &&
	       json_object_object_get_ex(entry, key, &found) && found &&
	       strcmp(json_object_get_string(found), value) == 0;
}

static bool writes(struct json_object *manifest, struct error *err)
{
	struct json_object *apps = NULL, *volumes = NULL;
	size_t n;

	if (json_get_array(manifest, "apps", &apps, err) < 0 ||
	    json_get_array(manifest, "volumes", &volumes, err) < 0)
		return false; /* stage1 refuses it */
	n = apps ? json_object_array_length(apps) : 0;
	for (size_t i = 0; i < n; i++)
		if (!entry_is(apps, i, "readOnlyRootFS", "true"))
			return true;
	for (size_t i = 0; volumes && i < json_object_array_length(volumes); i++)
		if (entry_is(volumes, i, "kind", "empty"))
			return true;
	return n == 0;
}

int disk_write(const struct disk_options *options, const struct pod *pod,
	       struct json_object *manifest, struct error *err)
{
	cleanup_free char *line = NULL;
	struct error ignored = ERROR_INIT;
	uint64_t size;
	int r = rate_write(&disk_rate, options->rate, pod, err);

	unlinkat(pod->fd, DISK_FILE, 0);
	if (r < 0 || strcmp(options->rw, "disk") != 0)
		return r;
	r = parse_size(options->size ? options->size : DISK_SIZE_DEFAULT, &size, err);
	if (r < 0 || !writes(manifest, &ignored))
		return r;
	line = xasprintf("%llu\n", (unsigned long long)size);
	return pod_write(pod, DISK_FILE, line, err);
}

/* Directories for each app, as initrd/disk.c finds them. */
static void list_dirs(struct json_object *manifest, struct strv *ret)
{
	struct json_object *apps = NULL;
	struct error ignored = ERROR_INIT;
	size_t n = 0;

	if (json_get_array(manifest, "apps", &apps, &ignored) == 0 && apps)
		n = json_object_array_length(apps);
	for (size_t i = 0; i < n; i++) {
		struct json_object *entry = json_object_array_get_idx(apps, i);
		const char *name = NULL;

		if (!json_object_is_type(entry, json_type_object) ||
		    json_get_string(entry, "name", &name, &ignored) < 0 || !name)
			continue; /* stage1 refuses it */
		strv_add_owned(ret, xasprintf("%s" DISK_UPPER, name));
		strv_add_owned(ret, xasprintf("%s" DISK_WORK, name));
	}
}

int disk_make(const struct pod *pod, struct json_object *manifest, struct error *err)
{
	cleanup_strv struct strv dirs = STRV_INIT;
	cleanup_free char *text = NULL;
	unsigned long long size = 0;
	cleanup_fd int fd = -1;
	size_t len;
	int r;

	unlinkat(pod->fd, DISK_IMAGE, 0);
	if (faccessat(pod->fd, DISK_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	r = pod_read(pod, DISK_FILE, NUMBER_MAX, &text, &len, err);
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	if (!str_to_u64(text, INT64_MAX, &size))
		return error_set(err, -EINVAL, DISK_FILE ": not a size");
	fd = openat(pod->fd, DISK_IMAGE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, DISK_IMAGE);
	list_dirs(manifest, &dirs);
	r = ext4_make(fd, size, &dirs, err);
	return r < 0 ? error_wrap(err, "pod %s: " DISK_IMAGE, pod->uuid) : 0;
}
