/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/image_use.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/pod_info.h"

#define TREE_ID_MAX 256 /* bytes of a file that holds one */

/* The trees of a pod: its stage1's and its apps'. A pod half made or half deleted has some of them. */
static void add_trees(const struct pod *pod, struct strv *trees)
{
	cleanup_strv struct strv files = STRV_INIT;
	int fd = open_beneath(pod->fd, "appsinfo", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	strv_add(&files, "stage1TreeStoreID");
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			strv_add_owned(&files, xasprintf("appsinfo/%s/treeStoreID", entry->d_name));
	if (dir)
		closedir(dir);
	else
		close_fd(&fd);
	for (size_t i = 0; i < files.n; i++) {
		struct error ignored = ERROR_INIT;
		cleanup_free char *id = NULL;
		size_t len;

		if (pod_read(pod, files.v[i], TREE_ID_MAX, &id, &len, &ignored) < 0)
			continue;
		id[strcspn(id, "\n")] = '\0';
		strv_add(trees, id);
	}
}

/* The images of a pod: those its trees were rendered for, and those its manifest names. */
static void add_images(const struct pod *pod, struct store *store, const struct strv *trees,
		       struct strv *images)
{
	cleanup_pod_info struct pod_info info = {.state = NULL};
	struct error ignored = ERROR_INIT;
	char key[IMAGE_KEY_LEN + 1];

	for (size_t i = 0; i < trees->n; i++)
		if (store_tree_image(store, trees->v[i], key))
			strv_add(images, key);
	if (pod_info_read(pod, &info, &ignored) < 0)
		return;
	for (size_t i = 0; i < info.napps; i++)
		if (info.apps[i].image_id)
			strv_add_owned(images, xstrndup(info.apps[i].image_id, IMAGE_KEY_LEN));
}

static void read_pod(const struct pods *pods, struct store *store, enum pod_where where,
		     const char *uuid, struct image_use *ret)
{
	cleanup_pod struct pod pod = POD_INIT;
	cleanup_strv struct strv trees = STRV_INIT;
	struct error ignored = ERROR_INIT;

	if (pod_open(pods, where, uuid, &pod, &ignored) < 0)
		return; /* moved on, to where we look later */
	add_trees(&pod, &trees);
	for (size_t i = 0; i < trees.n; i++)
		strv_add(&ret->trees, trees.v[i]);
	if (where == POD_EMBRYO || where == POD_PREPARE || where == POD_PREPARED ||
	    (where == POD_RUN && pod_is_locked(&pod)))
		add_images(&pod, store, &trees, &ret->images);
}

int image_use_read(const struct pods *pods, struct store *store, struct image_use *ret,
		   struct error *err)
{
	/* in the order pods move */
	for (enum pod_where where = POD_EMBRYO; where < POD_WHERES; where++) {
		cleanup_strv struct strv uuids = STRV_INIT;
		int r = pods_list(pods, where, &uuids, err);

		if (r < 0)
			return r;
		for (size_t i = 0; i < uuids.n; i++)
			read_pod(pods, store, where, uuids.v[i], ret);
	}
	return 0;
}

void image_use_free(struct image_use *use)
{
	strv_free(&use->trees);
	strv_free(&use->images);
}
