/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's ground: paths, locks, unfinished work, and what is known of files.
 *
 *   cas/tmp/RANDOM            work in progress; its maker holds a flock on the directory
 *   cas/layer/KEY, cas/tree/ID, cas/imageManifest/sha512/XX/KEY    see store.h
 *   cas/imagelocks/KEY        who uses an image or layer, see store_hold.c
 *   cas/treestorelocks/ID     held shared while a tree is placed, exclusively while it is made
 *   cas/filelocks/NAME        held while the file of that identity is imported
 *   cas/layerlocks/KEY        held while the layer of that key is imported
 *   cas/partial/NAME          downloads to be resumed, whose makers know the names
 *   cas/files/NAME            the key of the image in a local file of that identity
 *
 * Everything visible was written aside, flushed and renamed; whoever loses a race finds the same
 * content in place. A process that dies leaves a directory in cas/tmp without a lock.
 */
#include "stage0/image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <dirent.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/json.h"
#include "common/str.h"
#include "stage0/image/limits.h"
#include "stage0/image/store_priv.h"

#define FILE_SETTLED  2	 /* seconds; the coarsest time stamps of a file system (FAT) */
#define LOCK_RETRY_MS 50 /* short beside a layer's download */

int store_open(const char *data_dir, struct store **ret, struct error *err)
{
	static const char *const dirs[] = {"cas/tmp",	     "cas/layer",
					   "cas/tree",	     "cas/imageManifest/sha512",
					   "cas/filelocks",  "cas/treestorelocks",
					   "cas/layerlocks", "cas/files",
					   "cas/imagelocks", "cas/imageInfo",
					   "cas/remote",     "cas/partial"};
	cleanup_fd int data = -1, cas = -1;
	struct error ignored = ERROR_INIT;
	int r = mkdir_path(AT_FDCWD, data_dir, 0750, err);

	if (r < 0)
		return r;
	data = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (data < 0)
		return error_errno(err, "%s", data_dir);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
		r = mkdir_path(data, dirs[i], 0750, err);
	if (r < 0)
		return error_wrap(err, "%s", data_dir);
	cas = openat(data, "cas", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cas < 0)
		return error_errno(err, "%s/cas", data_dir);
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->cas = take_fd(&cas);
	pthread_mutex_init(&(*ret)->mutex, NULL);
	/* without it, files are read each time a pod is measured */
	(*ret)->digests = (struct digestcache)DIGESTCACHE_NONE;
	(void)digestcache_open((*ret)->cas, "digests", true, &(*ret)->digests, &ignored);
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < store->nheld; i++)
		close_fd(&store->held[i].lock);
	pthread_mutex_destroy(&store->mutex);
	digestcache_close(&store->digests);
	close_fd(&store->cas);
	free(store->held);
	free(store);
}

bool store_key_valid(const char *key)
{
	if (strlen(key) != IMAGE_KEY_LEN ||
	    !(str_starts_with(key, "sha512-") || str_starts_with(key, "sha256-")))
		return false;
	return strspn(key + 7, "0123456789abcdef") == IMAGE_KEY_LEN - 7;
}

void store_key(enum hash_alg alg, const uint8_t *id, char ret[IMAGE_KEY_LEN + 1])
{
	char hex[HASH_HEX_MAX];

	hash_hex(id, 32, hex);
	snprintf(ret, IMAGE_KEY_LEN + 1, "%s-%.64s", alg == HASH_SHA512 ? "sha512" : "sha256", hex);
}

void store_manifest_path(const char *key, char ret[STORE_PATH_MAX])
{
	snprintf(ret, STORE_PATH_MAX, "imageManifest/sha512/%.2s/%s", key + 7, key);
}

bool store_has_image(struct store *store, const char *key)
{
	char manifest[STORE_PATH_MAX], layer[STORE_PATH_MAX];

	store_manifest_path(key, manifest);
	snprintf(layer, sizeof(layer), "layer/%s", key);
	return faccessat(store->cas, manifest, F_OK, 0) == 0 &&
	       faccessat(store->cas, layer, F_OK, 0) == 0;
}

int store_manifest(struct store *store, const char *key, struct json_object **ret,
		   struct error *err)
{
	cleanup_free char *text = NULL;
	char path[STORE_PATH_MAX];
	size_t len;
	int r;

	if (!store_key_valid(key))
		return error_set(err, -ENOENT, "no image has the key \"%.100s\"", key);
	store_manifest_path(key, path);
	r = file_read(store->cas, path, IMAGE_MANIFEST_MAX, &text, &len, err);
	if (r == -ENOENT)
		return error_set(err, -ENOENT, "image %s is not in the store", key);
	return r < 0 ? r : json_parse(text, len, "the image manifest", ret, err);
}

int store_layers(struct store *store, const char *key, struct strv *ret, struct error *err)
{
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *text = NULL;
	char path[STORE_PATH_MAX];
	size_t len;
	int r;

	snprintf(path, sizeof(path), "layer/%s/" LAYER_LIST, key);
	if (faccessat(store->cas, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	r = file_read(store->cas, path, (size_t)IMAGE_LAYERS_MAX * (IMAGE_KEY_LEN + 1), &text, &len,
		      err);
	if (r < 0)
		return r;
	strv_split(&lines, text, '\n');
	for (size_t i = 0; i < lines.n; i++) {
		if (!lines.v[i][0])
			continue;
		if (!store_key_valid(lines.v[i]))
			return error_set(err, -EBADMSG, "the store's list of layers is damaged");
		strv_add(ret, lines.v[i]);
	}
	return 1;
}

int store_open_partial(struct store *store, struct error *err)
{
	int fd = openat(store->cas, "partial", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_errno(err, "cas/partial") : fd;
}

void store_names(struct store *store, const char *path, struct strv *ret)
{
	int fd = openat(store->cas, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		close_fd(&fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			strv_add(ret, entry->d_name);
	closedir(dir);
}

void store_images(struct store *store, struct strv *ret)
{
	cleanup_strv struct strv dirs = STRV_INIT;

	store_names(store, "imageManifest/sha512", &dirs);
	for (size_t i = 0; i < dirs.n; i++) {
		cleanup_free char *path = xasprintf("imageManifest/sha512/%s", dirs.v[i]);
		cleanup_strv struct strv keys = STRV_INIT;

		store_names(store, path, &keys);
		for (size_t k = 0; k < keys.n; k++)
			if (store_key_valid(keys.v[k]) && store_has_image(store, keys.v[k]))
				strv_add(ret, keys.v[k]);
	}
}

int store_tmp_new(struct store *store, struct store_tmp *ret, struct error *err)
{
	for (;;) {
		uint64_t random[2];
		cleanup_fd int fd = -1;
		struct stat st;

		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			return error_errno(err, "getrandom");
		snprintf(ret->path, sizeof(ret->path), "tmp/%016llx%016llx",
			 (unsigned long long)random[0], (unsigned long long)random[1]);
		if (mkdirat(store->cas, ret->path, 0750) < 0)
			return error_errno(err, "creating a directory in the store");
		fd = openat(store->cas, ret->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno != ENOENT)
			return error_errno(err, "creating a directory in the store");
		if (fd < 0)
			continue;
		if (flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
			return error_errno(err, "locking a directory in the store");
		/* a sweep may have come between */
		if (st.st_nlink == 0)
			continue;
		ret->fd = take_fd(&fd);
		return 0;
	}
}

void store_tmp_end(struct store *store, struct store_tmp *tmp)
{
	struct error ignored = ERROR_INIT;

	if (tmp->fd < 0)
		return;
	if (tmp->path[0])
		remove_tree(store->cas, tmp->path, &ignored); /* a sweep tries again */
	close_fd(&tmp->fd);
}

int store_tmp_commit(struct store *store, struct store_tmp *tmp, const char *path,
		     struct error *err)
{
	if (renameat(store->cas, tmp->path, store->cas, path) < 0) {
		if (errno == EEXIST || errno == ENOTEMPTY)
			return 0;
		return error_errno(err, "putting %s into the store", path);
	}
	tmp->path[0] = '\0';
	return 0;
}

static int sweep_dir(struct store *store, const char *path,
		     int (*sweep)(int dir, const char *name, struct error *err), struct error *err)
{
	cleanup_fd int fd = openat(store->cas, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (fd < 0)
		return error_errno(err, "cas/%s", path);
	dir = fdopendir(fd);
	if (!dir)
		return error_errno(err, "cas/%s", path);
	take_fd(&fd);
	while (r == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			r = sweep(dirfd(dir), entry->d_name, err);
	closedir(dir);
	return r;
}

static int sweep_work(int dir, const char *name, struct error *err)
{
	cleanup_fd int held = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (held < 0 || flock(held, LOCK_EX | LOCK_NB) < 0)
		return 0; /* gone, or somebody is at work */
	return remove_tree(dir, name, err);
}

/* A lock file nobody holds: who waits for it looks whether it is still there, and so do we. */
static int sweep_lock(int dir, const char *name, struct error *err)
{
	cleanup_fd int held = openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	(void)err;
	if (held >= 0 && flock(held, LOCK_EX | LOCK_NB) == 0 && store_lock_is(held, dir, name))
		unlinkat(dir, name, 0);
	return 0;
}

int store_sweep(struct store *store, struct error *err)
{
	static const char *const locks[] = {"filelocks", "layerlocks", "imagelocks",
					    "treestorelocks"};
	int r = sweep_dir(store, "tmp", sweep_work, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(locks); i++)
		r = sweep_dir(store, locks[i], sweep_lock, err);
	return r;
}

bool store_lock_is(int fd, int dir, const char *name)
{
	struct stat held, there;

	return fstat(fd, &held) == 0 && fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

/* flock(), but -ECANCELED when cancel (or -1) becomes readable; no event tells that a lock is free. */
static int wait_for_lock(int fd, int operation, int cancel)
{
	struct pollfd canceled = {.fd = cancel, .events = POLLIN};

	while (flock(fd, operation | (cancel < 0 ? 0 : LOCK_NB)) < 0) {
		if (errno == EINTR)
			continue;
		if (cancel < 0 || errno != EWOULDBLOCK)
			return -errno;
		if (poll(&canceled, 1, LOCK_RETRY_MS) > 0)
			return -ECANCELED;
	}
	return 0;
}

int store_lock_until(struct store *store, const char *dir, const char *name, bool exclusive,
		     int cancel, struct error *err)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (;;) {
		cleanup_fd int fd =
			openat(store->cas, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
		int r;

		if (fd < 0)
			return error_errno(err, "locking %s", path);
		r = wait_for_lock(fd, exclusive ? LOCK_EX : LOCK_SH, cancel);
		if (r < 0)
			return error_set(err, r, "locking %s: %s", path, strerror(-r));
		/* whoever deletes a lock file holds it exclusively: is this one still the one? */
		if (store_lock_is(fd, store->cas, path))
			return take_fd(&fd);
	}
}

int store_lock(struct store *store, const char *dir, const char *name, bool exclusive,
	       struct error *err)
{
	return store_lock_until(store, dir, name, exclusive, -1, err);
}

void store_lock_drop(struct store *store, const char *dir, const char *name, int *lock)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlinkat(store->cas, path, 0);
	close_fd(lock);
}

/* Everything that changes when somebody changes the file. */
static void file_identity(const struct stat *st, char *text, size_t size)
{
	snprintf(text, size, "%llu:%llu %llu %lld.%09ld %lld.%09ld %u",
		 (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
		 (unsigned long long)st->st_size, (long long)st->st_mtim.tv_sec,
		 st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec,
		 (unsigned)st->st_uid);
}

void store_file_name(const struct stat *st, char ret[HASH_HEX_MAX])
{
	cleanup_hash struct hash *hash = hash_new(HASH_SHA256);
	uint8_t digest[HASH_MAX_SIZE];
	char text[256];

	file_identity(st, text, sizeof(text));
	hash_update(hash, text, strlen(text));
	hash_final(hash, digest);
	hash_hex(digest, hash_size(HASH_SHA256), ret);
}

/* Whether nobody but root and us could have changed the file and set its times back. */
static bool file_trusted(const struct stat *st)
{
	return S_ISREG(st->st_mode) && (st->st_uid == 0 || st->st_uid == geteuid()) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH));
}

bool store_file_known(struct store *store, const struct stat *st, char ret_key[IMAGE_KEY_LEN + 1])
{
	char path[STORE_PATH_MAX], name[HASH_HEX_MAX];
	struct error ignored = ERROR_INIT;
	cleanup_free char *key = NULL;
	size_t len;

	if (!file_trusted(st))
		return false;
	store_file_name(st, name);
	snprintf(path, sizeof(path), "files/%s", name);
	if (file_read(store->cas, path, IMAGE_KEY_LEN, &key, &len, &ignored) < 0 ||
	    !store_key_valid(key) || !store_has_image(store, key))
		return false;
	memcpy(ret_key, key, IMAGE_KEY_LEN + 1);
	return true;
}

void store_file_learn(struct store *store, int fd, const struct stat *before, const char *key)
{
	char path[STORE_PATH_MAX], name[HASH_HEX_MAX], then[256], now[256];
	struct error ignored = ERROR_INIT;
	struct timespec clock;
	struct stat st;

	if (!file_trusted(before) || fstat(fd, &st) < 0)
		return;
	file_identity(before, then, sizeof(then));
	file_identity(&st, now, sizeof(now));
	/* a file changed a moment ago could change again within the same tick of its time stamps */
	clock_gettime(CLOCK_REALTIME, &clock);
	if (strcmp(then, now) != 0 || clock.tv_sec - st.st_ctim.tv_sec <= FILE_SETTLED)
		return;
	store_file_name(&st, name);
	snprintf(path, sizeof(path), "files/%s", name);
	/* only a saving of time: without it the file is read again */
	file_write(store->cas, path, key, strlen(key), 0640, &ignored);
}
