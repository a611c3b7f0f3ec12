/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/digests.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"

static void hold_files(struct digestcache_held *held, int parent, const char *path)
{
	int fd = open_beneath(parent, path, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		close_fd(&fd);
		return;
	}
	while ((entry = readdir(dir)))
		digestcache_hold_file(held, dirfd(dir), entry->d_name);
	closedir(dir);
}

void digests_hold_pod(const struct digestcache *cache, int pod_fd, struct digestcache_held *held)
{
	int fd = open_beneath(pod_fd, "stage1/rootfs/opt/stage2", O_RDONLY | O_DIRECTORY, 0);
	DIR *apps = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	digestcache_hold(cache, held);
	if (cache->fd >= 0)
		hold_files(held, pod_fd, "stage1/rootfs");
	while (cache->fd >= 0 && apps && (entry = readdir(apps))) {
		cleanup_free char *disk = xasprintf("%s/disk", entry->d_name);

		hold_files(held, dirfd(apps), disk);
	}
	if (apps)
		closedir(apps);
	else
		close_fd(&fd);
}
