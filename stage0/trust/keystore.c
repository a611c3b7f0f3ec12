/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the keystore.
 *
 * Theory of operation: a keyring is a flat list of files in the order in which they count, which is
 * the order of four stages (the root keys of the vendor and of the administrator, then the prefix
 * keys of both) and within a stage from the shortest prefix to the longest. What counts for a name
 * is found by going through the list once: a file replaces what came before with the same name, an
 * empty one removes it. A file that can not be used (misnamed, too large, a link) stays in the list
 * with its fault, which is an error for the names it would count for and for no others.
 *
 * Nothing here looks into a key: that is the confined child's part (openpgp.h).
 */
#include "stage0/trust/keystore.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/trust/keystore_priv.h"
#include "stage0/trust/rules.h"

enum stage {
	STAGE_SYSTEM_ROOT,
	STAGE_LOCAL_ROOT,
	STAGE_SYSTEM_PREFIX,
	STAGE_LOCAL_PREFIX,
};

#define ALNUM	  "abcdefghijklmnopqrstuvwxyz0123456789"
#define HEX_LOWER "0123456789abcdef"

/* One component of a name. A port may follow the first one. */
static bool component_is_valid(const char *s, size_t len, bool first)
{
	size_t chars = 0, digits;

	while (chars < len && strchr(ALNUM "._~-", s[chars]))
		chars++;
	if (chars == 0 || chars > NAME_MAX || strspn(s, ".") >= chars)
		return false;
	if (chars == len)
		return true;
	digits = strspn(s + chars + 1, "0123456789");
	return first && s[chars] == ':' && digits >= 1 && digits <= 5 && chars + 1 + digits == len;
}

bool keystore_name_is_valid(const char *text)
{
	size_t depth = 0;

	for (const char *p = text;; depth++) {
		size_t len = strcspn(p, "/");

		if (depth == KEYRING_DEPTH_MAX || !component_is_valid(p, len, depth == 0))
			return false;
		p += len;
		if (*p == '\0')
			return true;
		p++;
	}
}

/* Whether names under prefix include name: by whole components. */
static bool prefix_covers(const char *prefix, const char *name)
{
	size_t len = strlen(prefix);

	return len == 0 ||
	       (strncmp(prefix, name, len) == 0 && (name[len] == '\0' || name[len] == '/'));
}

static bool is_fingerprint(const char *name)
{
	return strlen(name) == FINGERPRINT_HEX && strspn(name, HEX_LOWER) == FINGERPRINT_HEX;
}

/* What an interrupted file_write() leaves is no key file. */
static bool is_leftover(const char *name)
{
	return strlen(name) > FINGERPRINT_HEX && strspn(name, HEX_LOWER) == FINGERPRINT_HEX &&
	       str_starts_with(name + FINGERPRINT_HEX, ".tmp-");
}

static void key_file_free(struct key_file *file)
{
	free(file->prefix);
	free(file->name);
	free(file->path);
	free(file->bytes);
	free(file->fault);
}

void keyring_free(struct keyring *keyring)
{
	if (!keyring)
		return;
	for (size_t i = 0; i < keyring->n; i++)
		key_file_free(&keyring->file[i]);
	free(keyring->file);
	free(keyring);
}

/* Where a keyring is being read from. */
struct reading {
	struct keyring *keyring;
	unsigned stage;
	const char *base; /* path of what fd is, for messages */
	int fd;		  /* root.d or prefix.d */
	struct strv todo; /* prefixes whose directories are to be read */
};

static void read_key_file(int dirfd, const struct stat *st, struct key_file *file)
{
	struct error err = ERROR_INIT;

	if (!is_fingerprint(file->name))
		file->fault = xstrdup("the file's name is not a key's fingerprint (40 lower-case "
				      "hexadecimal digits)");
	else if (!S_ISREG(st->st_mode))
		file->fault = xstrdup("is not a regular file");
	else if (file_read(dirfd, file->name, KEY_FILE_MAX, &file->bytes, &file->len, &err) < 0)
		file->fault =
			xstrdup(err.code == -EFBIG ? "is larger than 1 MiB" : strerror(-err.code));
}

static int add_file(struct reading *reading, int dirfd, const struct stat *st, const char *prefix,
		    const char *name, struct error *err)
{
	struct keyring *keyring = reading->keyring;
	struct key_file file = {
		.stage = reading->stage,
		.prefix = xstrdup(prefix),
		.name = xstrdup(name),
		.path = xasprintf("%s%s%s/%s", reading->base, *prefix ? "/" : "", prefix, name),
	};

	read_key_file(dirfd, st, &file);
	if (keyring->n == KEYRING_FILES_MAX || file.len > KEYRING_BYTES_MAX - keyring->bytes) {
		key_file_free(&file);
		return error_set(err, -E2BIG, "%s: more than %d key files, or %d MiB of them",
				 reading->base, KEYRING_FILES_MAX, KEYRING_BYTES_MAX >> 20);
	}
	keyring->bytes += file.len;
	keyring->file = xrealloc(keyring->file, keyring->n + 1, sizeof(*keyring->file));
	keyring->file[keyring->n++] = file;
	return 0;
}

static int read_entry(struct reading *reading, DIR *dir, const struct dirent *entry,
		      const char *prefix, bool descend, struct error *err)
{
	const char *name = entry->d_name;
	struct stat st;

	if (name[0] == '.' || is_leftover(name))
		return 0;
	if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "%s/%s", reading->base, name);
	if (S_ISDIR(st.st_mode)) {
		cleanup_free char *below = xasprintf("%s%s%s", prefix, *prefix ? "/" : "", name);

		if (descend && keystore_name_is_valid(below)) {
			if (reading->todo.n == KEYRING_FILES_MAX)
				return error_set(err, -E2BIG, "%s: more than %d prefixes",
						 reading->base, KEYRING_FILES_MAX);
			strv_add(&reading->todo, below);
		}
		return 0;
	}
	if (*prefix == '\0' && reading->stage >= STAGE_SYSTEM_PREFIX)
		return error_set(err, -EINVAL,
				 "%s/%s: a key file for no prefix; root.d is for keys "
				 "of all names",
				 reading->base, name);
	return add_file(reading, dirfd(dir), &st, prefix, name, err);
}

/* The key files of one directory. One that does not exist holds none. */
static int read_dir(struct reading *reading, const char *prefix, bool descend, struct error *err)
{
	int fd = open_beneath(reading->fd, *prefix ? prefix : ".", O_RDONLY | O_DIRECTORY, 0);
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return error_set(err, fd, "%s%s%s: %s", reading->base, *prefix ? "/" : "", prefix,
				 fd == -ELOOP ? "a symbolic link" : strerror(-fd));
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return error_errno(err, "%s", reading->base);
	}
	while (r == 0 && (entry = readdir(dir)))
		r = read_entry(reading, dir, entry, prefix, descend, err);
	closedir(dir);
	return r;
}

/* The prefix directories on the way to name, or all of them. */
static int read_prefixes(struct reading *reading, const char *name, struct error *err)
{
	int r = 0;

	if (name && !*name)
		return 0;
	if (!name) {
		strv_add(&reading->todo, "");
		for (size_t i = 0; r == 0 && i < reading->todo.n; i++)
			r = read_dir(reading, reading->todo.v[i], true, err);
		return r;
	}
	for (const char *p = name; r == 0; p++) {
		cleanup_free char *prefix = NULL;

		p += strcspn(p, "/");
		prefix = xstrndup(name, (size_t)(p - name));
		r = read_dir(reading, prefix, false, err);
		if (*p == '\0')
			break;
	}
	return r;
}

static int read_stage(struct keyring *keyring, unsigned stage, const char *config, const char *name,
		      struct error *err)
{
	bool roots = stage <= STAGE_LOCAL_ROOT;
	cleanup_free char *base =
		xasprintf("%s/trustedkeys/%s", config, roots ? "root.d" : "prefix.d");
	cleanup_fd int fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct reading reading = {.keyring = keyring, .stage = stage, .base = base, .fd = fd};
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, "%s", base);
	r = roots ? read_dir(&reading, "", false, err) : read_prefixes(&reading, name, err);
	strv_free(&reading.todo);
	return r;
}

static int compare_files(const void *a, const void *b)
{
	const struct key_file *x = a, *y = b;
	size_t xlen = strlen(x->prefix), ylen = strlen(y->prefix);

	if (x->stage != y->stage)
		return x->stage < y->stage ? -1 : 1;
	if (xlen != ylen)
		return xlen < ylen ? -1 : 1;
	return strcmp(x->path, y->path);
}

int keyring_load(const struct config_dirs *dirs, const char *name, struct keyring **ret,
		 struct error *err)
{
	const char *config[] = {
		[STAGE_SYSTEM_ROOT] = dirs->system,
		[STAGE_LOCAL_ROOT] = dirs->local,
		[STAGE_SYSTEM_PREFIX] = dirs->system,
		[STAGE_LOCAL_PREFIX] = dirs->local,
	};
	cleanup_keyring struct keyring *keyring = xcalloc(1, sizeof(*keyring));
	int r;

	if (name && *name && !keystore_name_is_valid(name))
		return error_set(err, -EINVAL, "\"%s\" is not a name that keys are trusted for",
				 name);
	r = rules_expired_keys(dirs, &keyring->reject_expired, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < ARRAY_SIZE(config); i++) {
		if (config[i] && config[i][0])
			r = read_stage(keyring, i, config[i], name, err);
		if (r < 0)
			return error_wrap(err, "keystore");
	}
	if (keyring->n > 1)
		qsort(keyring->file, keyring->n, sizeof(*keyring->file), compare_files);
	*ret = take_ptr(keyring);
	return 0;
}

size_t keyring_select(const struct keyring *keyring, const char *name, size_t *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < keyring->n; i++) {
		const struct key_file *file = &keyring->file[i];
		size_t k = 0;

		if (!prefix_covers(file->prefix, name))
			continue;
		while (k < n && strcmp(keyring->file[ret[k]].name, file->name) != 0)
			k++;
		if (k < n) { /* replaced, or removed */
			n--;
			for (; k < n; k++)
				ret[k] = ret[k + 1];
		}
		if (file->len > 0 || file->fault)
			ret[n++] = i;
	}
	return n;
}

void keyring_fingerprints(const struct keyring *keyring, const char *name, struct strv *ret)
{
	cleanup_free size_t *selected = xcalloc(keyring->n + 1, sizeof(*selected));
	size_t n = keyring_select(keyring, name, selected);

	for (size_t i = 0; i < n; i++)
		if (!keyring->file[selected[i]].fault)
			strv_add(ret, keyring->file[selected[i]].name);
}

bool keyring_has_prefix_of(const struct keyring *keyring, const char *name)
{
	cleanup_free size_t *selected = xcalloc(keyring->n + 1, sizeof(*selected));
	size_t n = keyring_select(keyring, name, selected);

	for (size_t i = 0; i < n; i++)
		if (keyring->file[selected[i]].prefix[0])
			return true;
	return false;
}

/* Make path below base, with the modes of 10.1 whatever the caller's umask. */
static int make_dirs(const char *base, const char *path, struct error *err)
{
	int r = mkdir_path(AT_FDCWD, base, 0755, err);

	for (const char *p = path; r == 0; p++) {
		cleanup_free char *dir = NULL;

		p += strcspn(p, "/");
		dir = xasprintf("%s/%.*s", base, (int)(p - path), path);
		if (mkdir(dir, 0755) == 0)
			r = chmod(dir, 0755);
		else if (errno != EEXIST)
			r = -1;
		if (r < 0)
			return error_errno(err, "%s", dir);
		if (*p == '\0')
			break;
	}
	return r;
}

int keystore_add(const struct config_dirs *dirs, const char *prefix, const struct public_key *key,
		 char **ret_path, struct error *err)
{
	cleanup_free char *dir = NULL, *path = NULL;
	int r;

	if (!dirs->local || !dirs->local[0])
		return error_set(err, -EINVAL, "no local configuration directory to keep keys in");
	if (prefix && !keystore_name_is_valid(prefix))
		return error_set(err, -EINVAL, "\"%s\" is not a prefix of image names", prefix);
	if (!is_fingerprint(key->fingerprint))
		return error_set(err, -EINVAL, "\"%s\" is not a fingerprint", key->fingerprint);
	dir = prefix ? xasprintf("trustedkeys/prefix.d/%s", prefix) : xstrdup("trustedkeys/root.d");
	path = xasprintf("%s/%s/%s", dirs->local, dir, key->fingerprint);
	r = make_dirs(dirs->local, dir, err);
	if (r == 0)
		r = file_write(AT_FDCWD, path, key->armoured, strlen(key->armoured), 0644, err);
	if (r < 0)
		return error_wrap(err, "keystore");
	*ret_path = take_ptr(path);
	return 0;
}

void public_key_free(struct public_key *key)
{
	strv_free(&key->subkeys);
	strv_free(&key->user_ids);
	free(key->armoured);
	*key = (struct public_key)PUBLIC_KEY_INIT;
}
