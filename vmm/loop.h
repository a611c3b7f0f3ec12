/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_LOOP_H
#define VMM_LOOP_H

#include <stdint.h>

#include "common/error.h"

/*
 * The device loop: one epoll, run by the main thread; vCPU threads only write eventfds. An event
 * carries what it is for, {kind, index}, and one switch (in podrun.c) acts on it: no callbacks, so
 * the whole behaviour of the process is readable in one place.
 */

enum loop_kind {
	LOOP_NOTIFY,	 /* a virtqueue was notified; index = LOOP_QUEUE(device, queue) */
	LOOP_SIGNAL,	 /* the signalfd */
	LOOP_VCPU,	 /* a vCPU thread ended; index = vCPU */
	LOOP_STREAM_OUT, /* a host descriptor can be written again; index = stream */
	LOOP_STREAM_IN,	 /* a host descriptor can be read; index = stream */
	LOOP_VSOCK,	 /* the guest's driver reset the vsock device */
	LOOP_CONTROL,	 /* control socket: index 0 listens, others are clients */
	LOOP_TPM,	 /* the TPM's thread has something to tell */
	LOOP_RELAY,	 /* a client of a session; index = relay */
	LOOP_ATTACH,	 /* a client of an app's streams; index = client */
	LOOP_SHARE,	 /* the server of a share hung up; index = share */
	LOOP_METADATA,	 /* the metadata service; index = slot */
	LOOP_DISK,	 /* a disk's timer; index = disk, GUEST_WRITABLE for the writable one */
	LOOP_NET,	 /* a NIC's network, or its timer; index = NET_EVENT(NIC, timer) */
};

#define LOOP_QUEUE(device, queue) ((uint32_t)(device) << 8 | (queue))
#define LOOP_DEVICE(index)	  ((index) >> 8)
#define LOOP_QUEUE_OF(index)	  ((index)&0xff)

struct loop {
	int epfd;
};

struct loop_event {
	enum loop_kind kind;
	uint32_t index;
	uint32_t events; /* EPOLLIN, EPOLLOUT, EPOLLHUP, ... */
};

int loop_init(struct loop *loop, struct error *err) __attribute__((nonnull));
void loop_free(struct loop *loop);

/* events as for epoll_ctl(2). The descriptor stays the caller's, who removes it before closing. */
int loop_add(struct loop *loop, int fd, uint32_t events, enum loop_kind kind, uint32_t index,
	     struct error *err) __attribute__((nonnull));
/* Change what is waited for; 0 parks the descriptor. Can not fail for a descriptor that was added. */
void loop_set(struct loop *loop, int fd, uint32_t events, enum loop_kind kind, uint32_t index)
	__attribute__((nonnull));
void loop_del(struct loop *loop, int fd) __attribute__((nonnull));

/* Wait at most timeout_ms (-1: no limit). Returns the number of events put at ret, 0 on timeout. */
int loop_wait(struct loop *loop, struct loop_event *ret, int max, int timeout_ms)
	__attribute__((nonnull));

#endif
