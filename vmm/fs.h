/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_FS_H
#define VMM_FS_H

#include "vmm/vhost_user.h"
#include "vmm/virtio.h"

/*
 * virtio-fs (virtio 1.2 section 5.11): a directory of the host, served by another process, which the
 * guest mounts by the device's tag. The VMM is on the way of no request.
 */

#define FS_TAG_SIZE 36 /* bytes in the configuration; a shorter tag is padded with NULs */

struct fs {
	struct virtio_device dev;
	struct vhost_user vu;
	int memfd; /* the caller's */
	char tag[FS_TAG_SIZE + 1];
	bool started;	  /* the back end works the queues */
	struct error why; /* the back end can not be used any more */
};

/*
 * A device of tag, whose back end is at the other end of the socket fd; memfd is guest memory. Both stay
 * the caller's. The back end is not spoken to before fs_meet(). fd -1: a slot, which the guest sees as
 * a window without a device (device ID 0) until fs_fill().
 */
int fs_new(const char *tag, int fd, const struct gmem *mem, int memfd, struct fs **ret,
	   struct error *err) __attribute__((nonnull));
void fs_free(struct fs *fs);

/* Before the guest runs: wait for the back end and learn what it can do. */
int fs_meet(struct fs *fs, struct error *err) __attribute__((nonnull));

/*
 * Give a slot a back end that was met elsewhere (vhost_user_take()). Then the guest's driver can be
 * bound to the device. -EBUSY: the guest does something with the window.
 */
int fs_fill(struct fs *fs, int fd, uint64_t features, struct error *err) __attribute__((nonnull));
/*
 * The slot has no back end any more, whose socket the caller closes. False: the guest has not let go
 * of the device, which is lost then, and never a slot again.
 */
bool fs_empty(struct fs *fs) __attribute__((nonnull));

/* The back end's socket hung up: the device stands still for good, and the driver is told. */
void fs_lost(struct fs *fs) __attribute__((nonnull));

#endif
