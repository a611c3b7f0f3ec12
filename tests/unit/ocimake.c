/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ocimake.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/file.h"
#include "common/util.h"
#include "tests/unit/tarmake.h"
#include "tests/unit/unit.h"

void put(int dir, const char *name, const void *bytes, size_t len)
{
	struct error err = ERROR_INIT;

	if (file_write(dir, name, bytes, len, 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

void sha256(const void *bytes, size_t len, char hex[HASH_HEX_MAX])
{
	struct hash *hash = hash_new(HASH_SHA256);
	uint8_t digest[HASH_MAX_SIZE];

	hash_update(hash, bytes, len);
	hash_final(hash, digest);
	hash_hex(digest, 32, hex);
	hash_free(hash);
}

char *blob(struct layout *layout, const char *type, const void *bytes, size_t len)
{
	char hex[HASH_HEX_MAX], path[128];

	sha256(bytes, len, hex);
	snprintf(path, sizeof(path), "blobs/sha256/%.64s", hex);
	put(layout->fd, path, bytes, len);
	return xasprintf("{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%zu}", type, hex,
			 len);
}

struct layout new_layout(const struct scratch *scratch)
{
	static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	struct layout layout = {.fd = -1};

	snprintf(layout.path, sizeof(layout.path), "%s/oci", scratch->path);
	assert_int_equal(mkdirat(scratch->fd, "oci", 0755), 0);
	layout.fd = openat(scratch->fd, "oci", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(layout.fd, "blobs", 0755), 0);
	assert_int_equal(mkdirat(layout.fd, "blobs/sha256", 0755), 0);
	put(layout.fd, "oci-layout", version, strlen(version));
	return layout;
}

void append(char *list, size_t size, const char *item)
{
	size_t len = strlen(list);

	snprintf(list + len, size - len, "%s%s", len ? "," : "", item);
}

void add_layer(struct layout *layout, const char *const *files)
{
	struct tarmake tar = {.p = NULL};
	cleanup_free char *desc = NULL;
	char hex[HASH_HEX_MAX], diff_id[100];
	z_stream z = {.next_in = NULL};
	uint8_t *packed;

	for (; *files; files++)
		tar_add_file(&tar, *files, *files);
	tar_end(&tar);
	sha256(tar.p, tar.len, hex);
	snprintf(diff_id, sizeof(diff_id), "\"sha256:%.64s\"", hex);
	append(layout->diff_ids, sizeof(layout->diff_ids), diff_id);

	packed = xcalloc(1, tar.len + 100);
	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = tar.p;
	z.avail_in = (uInt)tar.len;
	z.next_out = packed;
	z.avail_out = (uInt)tar.len + 100;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	desc = blob(layout, LAYER_TYPE, packed, z.total_out);
	deflateEnd(&z);
	append(layout->layers, sizeof(layout->layers), desc);
	free(packed);
	tar_free(&tar);
}

char *finish(struct layout *layout, const char *cmd)
{
	cleanup_free char *config = xasprintf("{\"os\":\"linux\",\"architecture\":\"" ARCH
					      "\",\"config\":{\"Cmd\":[\"%s\"]},"
					      "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
					      cmd, layout->diff_ids);
	cleanup_free char *desc = blob(layout, CONFIG_TYPE, config, strlen(config));
	cleanup_free char *manifest =
		xasprintf("{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE
			  "\",\"config\":%s,\"layers\":[%s]}",
			  desc, layout->layers);

	return blob(layout, MANIFEST_TYPE, manifest, strlen(manifest));
}

void put_index(struct layout *layout, const char *entries)
{
	cleanup_free char *index = xasprintf("{\"schemaVersion\":2,\"manifests\":[%s]}", entries);

	put(layout->fd, "index.json", index, strlen(index));
}
