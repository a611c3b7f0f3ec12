/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as ACIs.
 *
 * Theory of operation: an ACI's layer gives its archive back byte for byte. An image of several layers
 * never was one archive: one is made, of the manifest its config was converted to and of the merged
 * tree (aci_write.h). The layers' digests are checked first, as nothing tells afterwards whether the
 * bytes are the right ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "stage0/image/aci_write.h"
#include "stage0/image/layer.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

static int export_layers(struct store *store, const char *key, int fd, struct error *err)
{
	cleanup_json struct json_object *manifest = NULL;
	struct store_rootfs rootfs = STORE_ROOTFS_INIT;
	struct aci_image image = {.gzip = false};
	int r = store_manifest(store, key, &manifest, err);

	rootfs.alone = true;
	if (r == 0)
		r = store_rootfs_resolve(store, key, &rootfs, err);
	for (size_t i = 0; r == 0 && i < rootfs.nlayers; i++)
		r = store_verify_layer(store, rootfs.key[i], err);
	if (r == 0)
		r = store_rootfs_load(store, &rootfs, err);
	image.tree = rootfs.tree;
	image.data = rootfs.data;
	if (r == 0)
		image.manifest = json_text(manifest);
	if (r == 0)
		r = aci_write(&image, fd, err);
	store_rootfs_free(&rootfs);
	return r;
}

int store_export_aci(struct store *store, const char *key, int fd, struct error *err)
{
	char path[STORE_PATH_MAX], got[IMAGE_KEY_LEN + 1];
	uint8_t id[HASH_MAX_SIZE];
	cleanup_fd int dir = -1;
	int r;

	if (!store_key_valid(key) || !store_has_image(store, key))
		return error_set(err, -ENOENT, "image %.100s is not in the store", key);
	snprintf(path, sizeof(path), "layer/%s", key);
	dir = openat(store->cas, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, "opening image %s", key);
	if (faccessat(dir, LAYER_LIST, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return export_layers(store, key, fd, err);
	r = layer_export(dir, HASH_SHA512, fd, id, err);
	if (r < 0)
		return r;
	store_key(HASH_SHA512, id, got);
	if (strcmp(got, key) != 0)
		return error_set(err, -EBADMSG, "the store's copy of image %s is damaged", key);
	return 0;
}
