/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_METADATA_LINK_H
#define VMM_METADATA_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/error.h"
#include "vmm/agent_proto.h"
#include "vmm/loop.h"
#include "vmm/pod.h"
#include "vmm/vsock.h"

/*
 * The VMM's part of the metadata service: a process of its own that answers (metadata_serve.h), and a
 * relay between it and the guest's connections, which looks at nothing.
 *
 * Process and VMM share METADATA_SLOTS pairs of sockets, made before the VMM confines itself; a
 * connection of the guest has one for itself while it lasts. A packet is a frame of the guest's
 * connection (vmm/agent_proto.h): its kind, and the data. For a guest that hangs up within an exchange
 * the VMM says METADATA_BYE; the slot is free for the next when the process has said it, too.
 */

#define METADATA_SLOTS AGENT_METADATA_MAX
#define METADATA_CHUNK AGENT_METADATA_CHUNK /* bytes in a packet, its kind not counted */

enum metadata_packet {
	METADATA_DATA = AGENT_METADATA_DATA,
	METADATA_EOF = AGENT_METADATA_EOF,
	METADATA_BYE = AGENT_METADATA_BYE,
};

/*
 * In the pod's directory: written by stage0 when it registers the pod, the key signatures are made
 * with. A pod that is told a token without such a file has a key of its own.
 */
#define METADATA_KEY_FILE "mds-registered"

/* What the process is given: descriptors from METADATA_FD_KEY on, the images' manifests last. */
#define METADATA_NAME	   "metadata" /* it is called by */
#define METADATA_FD_KEY	   3
#define METADATA_FD_POD	   4
#define METADATA_FD_CHANGE 5
#define METADATA_FD_SLOTS  6
#define METADATA_FD_IMAGES (METADATA_FD_SLOTS + METADATA_SLOTS)

/*
 * How the process hears of the apps of a mutable pod: a packet of this socket is an app's name, which
 * has come, if a descriptor is with it, or gone. What was sent before a request counts for its answer.
 * The descriptor is of a regular file: struct metadata_change, then the manifests.
 */
struct metadata_change {
	uint32_t pod_len;   /* bytes of the pod's manifest, which has the app */
	uint32_t image_len; /* ... of the app's image manifest */
};

struct metadata_link;

/*
 * Start the process for the pod in the working directory. From the thread that lives as long as the
 * pod, before vs is there.
 */
int metadata_link_start(const struct pod_spec *pod, const char *uuid, const char *token,
			struct metadata_link **ret, struct error *err) __attribute__((nonnull));
/* For a process that runs already, and has the other ends of these sockets, which are taken over. */
void metadata_link_new(const int fds[METADATA_SLOTS], int change, struct metadata_link **ret)
	__attribute__((nonnull));
/* The guest's connections are vs's, the process's events come from loop. */
int metadata_link_join(struct metadata_link *link, struct vsock *vs, struct loop *loop,
		       struct error *err) __attribute__((nonnull));
/* End the process. NULL is fine. */
void metadata_link_free(struct metadata_link *link);

/*
 * An app of the pod has come, manifests being a file of them (struct metadata_change), which stays the
 * caller's; or it has gone: -1. A process that can not be told is of no use any more. link may be NULL.
 */
void metadata_link_change(struct metadata_link *link, const char *name, int manifests)
	__attribute__((nonnull(2)));

/* The endpoint's side (struct vsock_ops) for AGENT_PORT_METADATA. link may be NULL: owns nothing. */
bool metadata_link_accept(struct metadata_link *link, unsigned conn);
bool metadata_link_owns(const struct metadata_link *link, unsigned conn);
size_t metadata_link_data(struct metadata_link *link, unsigned conn, const struct iovec *iov,
			  unsigned n, size_t len) __attribute__((nonnull));
void metadata_link_writable(struct metadata_link *link, unsigned conn) __attribute__((nonnull));
void metadata_link_closed(struct metadata_link *link, unsigned conn) __attribute__((nonnull));

/* LOOP_METADATA, with the vsock's lock. False, once: the process has ended, or talks nonsense. */
bool metadata_link_ready(struct metadata_link *link, uint32_t slot, uint32_t events)
	__attribute__((nonnull));

#endif
