/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "tests/unit/storemake.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/image/layer.h"
#include "stage0/image/limits.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/tarmake.h"

struct store *storemake_open(const struct scratch *scratch)
{
	cleanup_free char *path = xasprintf("%s/data", scratch->path);
	struct error err = ERROR_INIT;
	struct store *store;

	if (store_open(path, &store, &err) < 0)
		fail_msg("%s", err.msg);
	return store;
}

static char *manifest_of(const char *name, const char *more)
{
	return xasprintf(
		"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"%s\"%s}", name,
		more);
}

static void add_word(struct tarmake *tar, char *word, const char *text)
{
	cleanup_free char *path = NULL, *link = NULL;
	struct tarent entry = {.type = '0'};
	char *target = strchr(word, '>');

	if (target)
		*target++ = '\0';
	path = xasprintf("rootfs/%s", word + 2);
	entry.name = path;
	if (word[0] == 'f') {
		entry.data = text;
		entry.size = strlen(text);
	}
	if (word[0] == 'd')
		entry.type = '5';
	if (word[0] == 'l')
		entry.type = '2';
	if (word[0] == 'h') {
		link = xasprintf("rootfs/%s", target);
		entry.type = '1';
	}
	entry.link = link ? link : target;
	tar_add(tar, &entry);
}

void storemake_image(struct store *store, const char *name, const char *more, const char *words,
		     char key[IMAGE_KEY_LEN + 1])
{
	cleanup_strv struct strv list = STRV_INIT;
	cleanup_free char *manifest = manifest_of(name, more);
	struct tarmake tar = {.p = NULL};
	struct error err = ERROR_INIT;
	int fd;

	tar_add_file(&tar, "manifest", manifest);
	tar_add_dir(&tar, "rootfs");
	strv_split(&list, words, ' ');
	for (size_t i = 0; i < list.n && list.v[i][0]; i++)
		add_word(&tar, list.v[i], name);
	tar_end(&tar);
	fd = tar_fd(&tar);
	if (store_import_aci(store, fd, name, key, &err) < 0)
		fail_msg("%s", err.msg);
	close(fd);
	tar_free(&tar);
}

void storemake_layer_key(char letter, char key[IMAGE_KEY_LEN + 1])
{
	snprintf(key, IMAGE_KEY_LEN + 1, "sha256-%064x", (unsigned)letter);
}

/* An image of the layers that are listed, a line each. */
static void publish(struct store *store, const char *name, const struct str *list,
		    char key[IMAGE_KEY_LEN + 1])
{
	cleanup_free char *manifest = manifest_of(name, "");
	const struct store_import_info info = {.latest = false};
	struct store_tmp tmp = STORE_TMP_INIT;
	struct error err = ERROR_INIT;
	uint8_t id[HASH_MAX_SIZE] = {0};

	memcpy(id, name, MIN(strlen(name), sizeof(id)));
	store_key(HASH_SHA512, id, key);
	if (store_hold(store, key, &err) < 0 || store_tmp_new(store, &tmp, &err) < 0 ||
	    file_write(tmp.fd, LAYER_LIST, str_get(list), list->len, 0444, &err) < 0 ||
	    store_publish(store, &tmp, key, manifest, strlen(manifest), &err) < 0 ||
	    store_record_import(store, key, &info, &err) < 0)
		fail_msg("%s", err.msg);
	store_tmp_end(store, &tmp);
}

void storemake_layered(struct store *store, const char *name, const char *layers,
		       char key[IMAGE_KEY_LEN + 1])
{
	cleanup_str struct str list = STR_INIT;
	struct error err = ERROR_INIT;

	for (const char *letter = layers; *letter; letter++) {
		char layer[IMAGE_KEY_LEN + 1], path[STORE_PATH_MAX];

		storemake_layer_key(*letter, layer);
		if (store_hold(store, layer, &err) < 0)
			fail_msg("%s", err.msg);
		snprintf(path, sizeof(path), "layer/%s", layer);
		assert_true(mkdirat(store->cas, path, 0755) == 0 || errno == EEXIST);
		str_addf(&list, "%s\n", layer);
	}
	publish(store, name, &list, key);
}

static void add_layer(struct store *store, const struct tarmake *tar, struct str *list)
{
	char layer[IMAGE_KEY_LEN + 1], path[STORE_PATH_MAX];
	struct store_tmp tmp = STORE_TMP_INIT;
	struct layer_result result;
	struct error err = ERROR_INIT;
	struct layer_job job = {
		.kind = LAYER_OCI,
		.alg = HASH_SHA256,
		.limits = {IMAGE_OUT_MAX, IMAGE_RATIO_MAX, IMAGE_RATIO_FREE},
		.in = tar_fd(tar),
	};

	assert_int_equal(store_tmp_new(store, &tmp, &err), 0);
	job.dir = tmp.fd;
	if (layer_make(&job, &result, &err) < 0)
		fail_msg("%s", err.msg);
	store_key(HASH_SHA256, result.id, layer);
	snprintf(path, sizeof(path), "layer/%s", layer);
	assert_int_equal(store_tmp_commit(store, &tmp, path, &err), 0);
	store_tmp_end(store, &tmp);
	close(job.in);
	str_addf(list, "%s\n", layer);
}

void storemake_oci(struct store *store, const char *name, const struct tarmake *layers, size_t n,
		   char key[IMAGE_KEY_LEN + 1])
{
	cleanup_str struct str list = STR_INIT;

	for (size_t i = 0; i < n; i++)
		add_layer(store, &layers[i], &list);
	publish(store, name, &list, key);
}

struct tarmake storemake_aci(size_t big)
{
	static const uint8_t cap[20] = {1, 0, 0, 2, 0, 4};
	struct tarmake tar = {.p = NULL}, pax = {.p = NULL};
	uint8_t *noise = xcalloc(1, big + 1);
	uint32_t x = 7;

	for (size_t i = 0; i < big; i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (uint8_t)(x >> 24);
	}
	tar_add(&tar, &(struct tarent){.name = "rootfs", .type = '5', .mtime = 1000});
	tar_add(&tar, &(struct tarent){.name = "rootfs/bin", .type = '5', .mode = 0750, .gid = 5});
	pax_add(&pax, "SCHILY.xattr.user.note", "kept", 4);
	pax_add(&pax, "SCHILY.xattr.security.capability", cap, 20);
	pax_add(&pax, "mtime", "1600000000.987654321", 20);
	tar_add(&tar, &(struct tarent){.name = "rootfs/bin/sh",
				       .mode = 0755,
				       .data = "#!",
				       .size = 2,
				       .pax = (char *)pax.p,
				       .pax_len = pax.len});
	tar_add(&tar,
		&(struct tarent){.name = "rootfs/bin/sh2", .type = '1', .link = "rootfs/bin/sh"});
	tar_add(&tar, &(struct tarent){.name = "rootfs/etc/link",
				       .type = '2',
				       .link = "../../../etc",
				       .mode = 0777});
	tar_add(&tar, &(struct tarent){.name = "rootfs/big",
				       .data = noise,
				       .size = big,
				       .uid = 1000,
				       .mtime = 1234567890});
	tar_add(&tar, &(struct tarent){.name = "rootfs/fifo", .type = '6', .mode = 0600});
	tar_add(&tar, &(struct tarent){.name = "rootfs/empty", .mode = 04711});
	tar_add_manifest(&tar);
	tar_end(&tar);
	tar_free(&pax);
	free(noise);
	return tar;
}

void storemake_key_of(const struct tarmake *tar, char key[IMAGE_KEY_LEN + 1])
{
	struct hash *hash = hash_new(HASH_SHA512);
	uint8_t digest[HASH_MAX_SIZE];

	hash_update(hash, tar->p, tar->len);
	hash_final(hash, digest);
	hash_free(hash);
	store_key(HASH_SHA512, digest, key);
}

int storemake_try_import(struct store *store, const struct tarmake *tar,
			 char key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_fd int fd = tar_fd(tar);

	return store_import_aci(store, fd, "test.aci", key, err);
}

void storemake_import(struct store *store, const struct tarmake *tar, char key[IMAGE_KEY_LEN + 1])
{
	struct error err = ERROR_INIT;

	if (storemake_try_import(store, tar, key, &err) < 0)
		fail_msg("%s", err.msg);
}

unsigned storemake_count(struct store *store, const char *path)
{
	cleanup_strv struct strv names = STRV_INIT;

	store_names(store, path, &names);
	return (unsigned)names.n;
}

bool storemake_has(struct store *store, const char *path)
{
	return faccessat(store->cas, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
