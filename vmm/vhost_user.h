/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_VHOST_USER_H
#define VMM_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/gmem.h"

/*
 * The front end of vhost-user: a device whose queues another process works, the back end, in guest
 * memory it maps itself. Requests go over a stream socket, one at a time, each of them acknowledged;
 * kicks and interrupts are eventfds that the two kernels hand over without us.
 *
 * A back end is trusted with the guest's memory, not with ours: what it replies is checked, and the
 * first reply that makes no sense, or does not come in time, is its last. No address of this process
 * is told: the addresses in messages are the guest's.
 */

#define VHOST_USER_TIMEOUT_MS 30000 /* for a reply; usual is 0.1, of one that starts 10 */

struct vhost_user {
	int fd;		   /* the caller's */
	uint64_t features; /* of the transport, that the back end has, too */
	int timeout_ms;	   /* VHOST_USER_TIMEOUT_MS */
	bool dead;	   /* nothing more is said: the back end is gone, or was wrong */
};

/* A queue as the driver has set it up and the transport checked it. */
struct vhost_user_queue {
	uint32_t index;
	uint16_t size;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	int kickfd, callfd; /* eventfds: the driver's notifications, our interrupt */
};

/* Meet the back end on a connected socket, which stays the caller's. */
int vhost_user_open(struct vhost_user *vu, int fd, struct error *err) __attribute__((nonnull));

/* Likewise, the back end having been met by another process, which says what features that found. */
void vhost_user_take(struct vhost_user *vu, int fd, uint64_t features) __attribute__((nonnull));

/*
 * The driver has accepted features: tell the back end, and where memory is. memfd holds all of mem,
 * the regions one behind the other as they are mapped.
 */
int vhost_user_set_up(struct vhost_user *vu, uint64_t features, const struct gmem *mem, int memfd,
		      struct error *err) __attribute__((nonnull));
/* The back end works the queue from here on. */
int vhost_user_start(struct vhost_user *vu, const struct vhost_user_queue *queue, struct error *err)
	__attribute__((nonnull));
/* It has stopped when this returns, and touches the queue no more. Needs send(), recv() and poll(). */
int vhost_user_stop(struct vhost_user *vu, uint32_t index, struct error *err)
	__attribute__((nonnull));

#endif
