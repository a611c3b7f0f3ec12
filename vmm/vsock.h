/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_VSOCK_H
#define VMM_VSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/error.h"
#include "vmm/virtio.h"

/*
 * virtio-vsock in user space (virtio 1.2 section 5.10): the guest dials ports of the VMM, nothing
 * reaches the host's own vsock. Bytes from the guest are offered to the endpoint straight out of
 * guest memory; what it does not take is kept, at most VSOCK_CREDIT a connection, which is what the
 * guest was promised.
 *
 * Everything is allocated by vsock_new(). All functions but vsock_new(), vsock_free(), vsock_lock()
 * and vsock_wake() want the device's lock, which the endpoint's operations are called with. The
 * operations run in the device loop only.
 */

#define VSOCK_HOST_CID	2
#define VSOCK_GUEST_CID 3 /* local to the VM: every pod's guest may have the same */

#define VSOCK_CONNS_MAX 256	     /* three streams for each of 64 apps, control, sessions */
#define VSOCK_CREDIT	(512U << 10) /* bytes kept for a connection; half of it is worth an update */
#define VSOCK_PKT_MAX	(64U << 10)  /* payload of one packet: the largest Linux sends */
#define VSOCK_STRAY_MAX 32 /* resets owed to ports without a connection; more are not answered */

/* flags of vsock_shutdown() and of SHUTDOWN packets */
#define VSOCK_SHUTDOWN_RCV  1U /* the sender of the packet will not receive */
#define VSOCK_SHUTDOWN_SEND 2U /* ... will not send */

/* The VMM's end of all connections. conn is an index below VSOCK_CONNS_MAX, stable until closed. */
struct vsock_ops {
	/* The guest dials port. False refuses. */
	bool (*accept)(void *ctx, unsigned conn, uint32_t port);
	/* Bytes from the guest, in order; how many of them were taken. The rest comes again. */
	size_t (*data)(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len);
	/* The guest sends nothing more; all it sent was taken. */
	void (*eof)(void *ctx, unsigned conn);
	/* vsock_send() may take bytes again after it took fewer than offered. */
	void (*writable)(void *ctx, unsigned conn);
	/* The connection is gone and conn free for another; eof() came before. */
	void (*closed)(void *ctx, unsigned conn);
};

enum vsock_conn_state {
	VSOCK_FREE = 0,
	VSOCK_OPEN,
	VSOCK_GONE, /* ended for the guest; kept until its bytes are taken and its RST is sent */
};

struct vsock_conn {
	uint32_t guest_port, host_port;
	uint8_t state;	   /* enum vsock_conn_state */
	uint8_t owed;	   /* packets owed to the guest, VSOCK_OWE_* */
	uint8_t peer_shut; /* VSOCK_SHUTDOWN_* the guest sent */
	uint8_t our_shut;  /* ... we sent or owe */
	bool silent;	   /* the endpoint let go: no more operations */
	bool told_eof;
	bool want_write;
	bool touched; /* its buffer holds host memory */
	/* from the guest */
	uint32_t rx_cnt, fwd_cnt, fwd_told; /* bytes received, taken, taken as last told */
	uint32_t buf_start;		    /* of the rx_cnt - fwd_cnt bytes kept */
	/* to the guest */
	uint32_t tx_cnt, peer_alloc, peer_fwd;
};

struct vsock {
	struct virtio_device dev; /* first: operations cast */
	const struct vsock_ops *ops;
	void *ctx;
	uint8_t *buf;  /* VSOCK_CONNS_MAX * VSOCK_CREDIT, populated when touched */
	int wakefd;    /* owned eventfd: the driver reset the device, call vsock_wake() */
	unsigned next; /* connection that is served first, so that none starves */
	struct vsock_conn conn[VSOCK_CONNS_MAX];
	struct {
		uint64_t guest_cid, host_cid;
		uint32_t guest_port, host_port;
		uint16_t type;
	} stray[VSOCK_STRAY_MAX];
	unsigned nstray;
	uint64_t dropped; /* packets that were not answered */
};

/*
 * Make the device. ops and ctx stay the caller's. Wait for *ret's wakefd in the loop and call
 * vsock_wake() when it is readable.
 */
int vsock_new(const struct vsock_ops *ops, void *ctx, const struct gmem *mem, struct vsock **ret,
	      struct error *err) __attribute__((nonnull(1, 3, 4, 5)));
void vsock_free(struct vsock *vs);

/* Around calls from outside the endpoint's operations. */
void vsock_lock(struct vsock *vs) __attribute__((nonnull));
void vsock_unlock(struct vsock *vs) __attribute__((nonnull));

/* Tell the endpoint about connections a reset of the device took away. Takes the lock. */
void vsock_wake(struct vsock *vs) __attribute__((nonnull));

/* Send; how many bytes were taken. Fewer than len: writable() tells when to go on. */
size_t vsock_send(struct vsock *vs, unsigned conn, const void *data, size_t len)
	__attribute__((nonnull));
/*
 * Tell the guest which directions have ended for us (VSOCK_SHUTDOWN_*). What it sends after RCV is
 * dropped; bytes kept before are still offered.
 */
void vsock_shutdown(struct vsock *vs, unsigned conn, unsigned flags) __attribute__((nonnull));
/* End the connection now, forgetting kept bytes. No operation is called for it any more. */
void vsock_reset(struct vsock *vs, unsigned conn) __attribute__((nonnull));
/* Offer kept bytes again. */
void vsock_flush(struct vsock *vs, unsigned conn) __attribute__((nonnull));

#endif
