/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/image/aci.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "stage0/image/tree.h"

struct aci {
	struct tree *tree; /* everything so far: finds duplicates and bad links */
	bool has_manifest, has_rootfs;
};

struct aci *aci_new(void)
{
	struct aci *aci = xcalloc(1, sizeof(*aci));

	aci->tree = tree_new(TREE_APPC);
	return aci;
}

void aci_free(struct aci *aci)
{
	if (!aci)
		return;
	tree_free(aci->tree);
	free(aci);
}

/* The part of path behind "rootfs" and its slash; NULL when it is not below rootfs. */
static const char *below_rootfs(const char *path)
{
	static const char rootfs[] = "rootfs";

	if (strncmp(path, rootfs, sizeof(rootfs) - 1) != 0)
		return NULL;
	path += sizeof(rootfs) - 1;
	if (*path == '\0')
		return path;
	return *path == '/' ? path + 1 : NULL;
}

static int refuse(const struct entry *entry, struct error *err, const char *why)
{
	cleanup_free char *name = entry_name(entry->path);

	return error_set(err, -EBADMSG, "not an ACI: \"%.200s\" %s", name, why);
}

static int manifest(struct aci *aci, const struct entry *entry, struct error *err)
{
	if (entry->type != ENTRY_REG)
		return refuse(entry, err, "is not a file");
	if (aci->has_manifest)
		return refuse(entry, err, "is in the archive twice");
	if (entry->size > IMAGE_MANIFEST_MAX)
		return refuse(entry, err, "is larger than 4 MiB");
	aci->has_manifest = true;
	return 0;
}

int aci_entry(struct aci *aci, struct entry *entry, enum aci_part *ret, struct error *err)
{
	const char *path = below_rootfs(entry->path), *link;
	int r;

	if (!entry->path[0]) {
		*ret = ACI_NOTHING;
		return 0;
	}
	if (strcmp(entry->path, "manifest") == 0) {
		r = manifest(aci, entry, err);
		if (r == 0)
			*ret = ACI_MANIFEST;
		return r;
	}
	if (!path)
		return refuse(entry, err, "is neither the manifest nor below rootfs");
	if (!path[0] && entry->type != ENTRY_DIR)
		return refuse(entry, err, "is not a directory");
	if (entry->type == ENTRY_HARDLINK) {
		link = below_rootfs(entry->link);
		if (!link || !link[0])
			return refuse(entry, err, "is a hard link to something outside rootfs");
		entry->link = link;
	}
	entry->path = path;
	r = tree_add(aci->tree, entry, err);
	if (r < 0)
		return r;
	aci->has_rootfs |= !path[0];
	*ret = ACI_ROOTFS;
	return 0;
}

int aci_end(struct aci *aci, struct error *err)
{
	if (!aci->has_manifest)
		return error_set(err, -EBADMSG, "not an ACI: it has no manifest");
	if (!aci->has_rootfs)
		return error_set(err, -EBADMSG, "not an ACI: it has no rootfs directory");
	return tree_finish(aci->tree, err);
}
