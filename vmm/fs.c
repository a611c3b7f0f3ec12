/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device is its queues and eight words of configuration. When the driver is ready, the device
 * loop tells the back end where the queues are: it may send descriptors, a vCPU may not. When the
 * driver resets, the vCPU that does waits until the back end has let go of the queues, because the
 * driver may reuse their memory at once.
 *
 * A back end that fails is told nothing more: its socket is shut, which whoever watches it sees as
 * its end (fs_lost()), at a time when no lock is held.
 */
#include "vmm/fs.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/util.h"

#define FS_QUEUES     2			 /* of high priority, and one for requests */
#define FS_QUEUE_SIZE VIRTQUEUE_SIZE_MAX /* a request of 1 MB has a descriptor a page */

struct virtio_fs_config {
	uint8_t tag[FS_TAG_SIZE];
	uint32_t num_request_queues;
};
_Static_assert(sizeof(struct virtio_fs_config) == 40, "virtio 5.11.4");

static struct fs *to_fs(struct virtio_device *dev)
{
	return container_of(dev, struct fs, dev);
}

static void config_read(struct virtio_device *dev, uint32_t off, void *dst, uint32_t len)
{
	struct virtio_fs_config config = {.num_request_queues = FS_QUEUES - 1};

	memcpy(config.tag, to_fs(dev)->tag, sizeof(config.tag));
	virtio_config_copy(&config, sizeof(config), off, dst, len);
}

/* The back end gets all queues the driver has made. */
static int start(struct fs *fs, struct error *err)
{
	struct virtio_device *dev = &fs->dev;
	int r = vhost_user_set_up(&fs->vu, dev->accepted, dev->mem, fs->memfd, err);

	for (unsigned i = 0; r == 0 && i < dev->nqueues; i++) {
		const struct vhost_user_queue queue = {
			.index = i,
			.size = dev->vq[i].size,
			.desc_gpa = dev->vq[i].desc_gpa,
			.avail_gpa = dev->vq[i].avail_gpa,
			.used_gpa = dev->vq[i].used_gpa,
			.kickfd = dev->kickfd[i],
			.callfd = dev->irqfd,
		};

		if (dev->vq[i].ready)
			r = vhost_user_start(&fs->vu, &queue, err);
	}
	return r;
}

static void activate(struct virtio_device *dev)
{
	virtio_wake(dev);
}

/* Of the device loop: the driver is ready, or a back end has failed. */
static void notify(struct virtio_device *dev, unsigned queue)
{
	struct fs *fs = to_fs(dev);

	(void)queue;
	if (virtio_active(dev) && !fs->started && !fs->vu.dead) {
		fs->started = true;
		(void)start(fs, &fs->why);
	}
	if (fs->vu.dead && fs->vu.fd >= 0)
		shutdown(fs->vu.fd, SHUT_RDWR);
}

static void reset(struct virtio_device *dev)
{
	struct fs *fs = to_fs(dev);

	for (unsigned i = 0; fs->started && !fs->vu.dead && i < dev->nqueues; i++)
		if (dev->vq[i].ready)
			(void)vhost_user_stop(&fs->vu, i, &fs->why);
	fs->started = false;
	if (fs->vu.dead)
		virtio_wake(dev);
}

static const struct virtio_ops fs_ops = {
	.config_read = config_read,
	.activate = activate,
	.reset = reset,
	.notify = notify,
};

int fs_new(const char *tag, int fd, const struct gmem *mem, int memfd, struct fs **ret,
	   struct error *err)
{
	struct fs *fs;
	int r;

	if (!*tag || strlen(tag) > FS_TAG_SIZE)
		return error_set(err, -EINVAL, "fs: a tag has 1 to %d bytes", FS_TAG_SIZE);
	fs = xcalloc(1, sizeof(*fs));
	memcpy(fs->tag, tag, strlen(tag));
	fs->memfd = memfd;
	fs->vu = (struct vhost_user){.fd = fd, .dead = fd < 0};
	fs->dev = (struct virtio_device){
		.ops = &fs_ops,
		.name = fs->tag,
		.id = fd < 0 ? VIRTIO_ID_NONE : VIRTIO_ID_FS,
		.offloaded = true,
		.nqueues = FS_QUEUES,
	};
	fs->dev.late = fd < 0;
	for (unsigned i = 0; i < FS_QUEUES; i++)
		fs->dev.vq[i].size_max = FS_QUEUE_SIZE;
	r = virtio_init(&fs->dev, mem, err);
	if (r < 0) {
		free(fs);
		return r;
	}
	*ret = fs;
	return 0;
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	virtio_free(&fs->dev);
	free(fs);
}

int fs_meet(struct fs *fs, struct error *err)
{
	int r = vhost_user_open(&fs->vu, fs->vu.fd, err);

	if (r < 0)
		return r;
	if (!(fs->vu.features & VIRTIO_F_VERSION_1))
		return error_set(err, -EPROTO, "the back end knows no virtio 1");
	/* what the transport has for queues of ours, a back end need not have */
	fs->dev.offered = fs->vu.features;
	return 0;
}

/* No driver has it. Linux acknowledges the device once more when its driver is unbound. */
static bool is_idle(const struct fs *fs)
{
	return !(fs->dev.status & ~(uint32_t)VIRTIO_CONFIG_S_ACKNOWLEDGE) && !fs->started;
}

static int fill(struct fs *fs, int fd, uint64_t features, struct error *err)
{
	if (!is_idle(fs))
		return error_set(err, -EBUSY, "%s: the guest has not let go of it", fs->tag);
	if (!(features & VIRTIO_F_VERSION_1))
		return error_set(err, -EPROTO, "the back end knows no virtio 1");
	vhost_user_take(&fs->vu, fd, features);
	fs->why = (struct error)ERROR_INIT;
	fs->dev.offered = fs->vu.features;
	fs->dev.id = VIRTIO_ID_FS;
	return 0;
}

int fs_fill(struct fs *fs, int fd, uint64_t features, struct error *err)
{
	int r;

	pthread_mutex_lock(&fs->dev.lock);
	r = fill(fs, fd, features, err);
	pthread_mutex_unlock(&fs->dev.lock);
	return r;
}

bool fs_empty(struct fs *fs)
{
	bool idle;

	pthread_mutex_lock(&fs->dev.lock);
	idle = is_idle(fs);
	fs->vu.dead = true;
	fs->vu.fd = -1;
	if (idle)
		fs->dev.id = VIRTIO_ID_NONE;
	else
		virtio_fail(&fs->dev);
	pthread_mutex_unlock(&fs->dev.lock);
	return idle;
}

void fs_lost(struct fs *fs)
{
	pthread_mutex_lock(&fs->dev.lock);
	fs->vu.dead = true;
	virtio_fail(&fs->dev);
	pthread_mutex_unlock(&fs->dev.lock);
}
