/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_VIRTIO_H
#define VMM_VIRTIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/gmem.h"
#include "vmm/virtqueue.h"

/*
 * A virtio device and its virtio-mmio transport (virtio 1.2 section 4.2).
 *
 * The transport owns the registers, the status state machine, the queues and the eventfds; a device
 * gives its identity and five operations. Registers are accessed by vCPU threads, queues are worked
 * by the device loop; lock covers both (it is held when any operation is called), except for
 * interrupt status and acknowledge, which are atomic, and notifications, which are eventfds.
 *
 * A driver that breaks a rule breaks its own device: virtio_break() sets NEEDS_RESET and the
 * queues stand still until the driver resets. Nothing else of the pod notices.
 *
 * The queues of an offloaded device are worked by another process, which reads the kicks and raises the
 * interrupts itself. As it can not set InterruptStatus, bit 0 of that always reads as set, and the
 * driver looks at its queues once more than it must. Such a device has one more eventfd, wakefd, for
 * the loop to come on the device's own business.
 */

#define VIRTIO_MAX_QUEUES 8

/* Device status (virtio 1.2 section 2.1) */
#define VIRTIO_CONFIG_S_ACKNOWLEDGE 1
#define VIRTIO_CONFIG_S_DRIVER	    2
#define VIRTIO_CONFIG_S_DRIVER_OK   4
#define VIRTIO_CONFIG_S_FEATURES_OK 8
#define VIRTIO_CONFIG_S_NEEDS_RESET 64
#define VIRTIO_CONFIG_S_FAILED	    128

/* Features every device has (section 6), as bits */
#define VIRTIO_F_RING_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_RING_EVENT_IDX	    (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1	    (UINT64_C(1) << 32)

/* Device ids (virtio 1.2 section 5) */
#define VIRTIO_ID_NONE	  0 /* of virtio-mmio: nothing is there (section 4.2.3.1.1) */
#define VIRTIO_ID_NET	  1
#define VIRTIO_ID_BLOCK	  2
#define VIRTIO_ID_RNG	  4
#define VIRTIO_ID_BALLOON 5
#define VIRTIO_ID_VSOCK	  19
#define VIRTIO_ID_MEM	  24
#define VIRTIO_ID_FS	  26

#define VIRTIO_MMIO_SIZE   0x1000 /* of guest physical space a device */
#define VIRTIO_MMIO_NOTIFY 0x50	  /* QueueNotify: where the ioeventfds sit */

struct virtio_device;

struct virtio_ops {
	/* Device configuration at offset off (0 = register 0x100); bytes past it read as 0. */
	void (*config_read)(struct virtio_device *dev, uint32_t off, void *dst, uint32_t len);
	void (*config_write)(struct virtio_device *dev, uint32_t off, const void *src,
			     uint32_t len); /* may be NULL */
	/* DRIVER_OK: queues are checked and frozen, dev->accepted is final. May be NULL. */
	void (*activate)(struct virtio_device *dev);
	/* The driver reset the device: forget everything of the session. May be NULL. */
	void (*reset)(struct virtio_device *dev);
	/*
	 * Queue was notified (or should be looked at again). Called by the device loop only. For an
	 * offloaded device: virtio_wake() was called; in any state, and queue says nothing.
	 */
	void (*notify)(struct virtio_device *dev, unsigned queue);
};

struct virtio_device {
	const struct virtio_ops *ops;
	const char *name; /* for messages: "blk0" */
	uint32_t id;
	uint64_t offered; /* device features; the transport adds VERSION_1 and the ring features */
	unsigned nqueues;
	bool offloaded;				/* set before virtio_init() */
	bool late;				/* of struct firmware_virtio */
	struct virtqueue vq[VIRTIO_MAX_QUEUES]; /* the device sets size_max before virtio_init() */

	/* the transport's */
	pthread_mutex_t lock;
	const struct gmem *mem;
	int irqfd;		       /* owned; an edge per write: for KVM_IRQFD */
	int kickfd[VIRTIO_MAX_QUEUES]; /* owned; QueueNotify of each queue: for KVM_IOEVENTFD and
					* the device loop, which calls virtio_queue_notified() */
	int wakefd;		       /* owned; of an offloaded device: for the device loop */
	uint64_t accepted;	       /* features, final at FEATURES_OK */
	uint32_t status;
	uint32_t isr; /* atomic */
	uint32_t device_sel, driver_sel, queue_sel;
	uint32_t generation; /* of the configuration */
	uint64_t faults;     /* rules broken by the driver; for the log and stats */
	const char *fault;   /* the last of them, or NULL */
	uint64_t told;	     /* how many virtio_take_fault() has told */
};

/*
 * Complete a device whose identity, operations and size_max are set; makes its eventfds. mem must
 * outlive the device and be whole before the vCPUs start.
 */
int virtio_init(struct virtio_device *dev, const struct gmem *mem, struct error *err)
	__attribute__((nonnull));
void virtio_free(struct virtio_device *dev); /* what virtio_init() made; not dev itself */

/* Register access at offset within the device's window, len 1, 2, 4 or 8. For vCPU threads. */
void virtio_mmio_read(struct virtio_device *dev, uint64_t offset, void *data, uint32_t len)
	__attribute__((nonnull));
void virtio_mmio_write(struct virtio_device *dev, uint64_t offset, const void *data, uint32_t len)
	__attribute__((nonnull));

/*
 * The device loop's entry when a queue's kickfd (an offloaded device's wakefd) is readable: empties
 * it, takes the lock, checks DRIVER_OK. Work for one queue is bounded: what is left over kicks the queue again.
 */
void virtio_queue_notified(struct virtio_device *dev, unsigned queue) __attribute__((nonnull));

/*
 * The rule the driver has broken since the last call, or NULL; the loop is kicked to come and ask. At
 * most VIRTIO_FAULTS_TOLD times a device, so that a driver can not fill a log.
 */
const char *virtio_take_fault(struct virtio_device *dev) __attribute__((nonnull));
#define VIRTIO_FAULTS_TOLD 4

/* For devices, lock held. */
bool virtio_active(const struct virtio_device *dev) __attribute__((nonnull)); /* DRIVER_OK, sound */
/* Interrupt the driver for queue if it asked to hear of what was pushed. */
void virtio_signal_used(struct virtio_device *dev, unsigned queue) __attribute__((nonnull));
/* The configuration changed. */
void virtio_signal_config(struct virtio_device *dev) __attribute__((nonnull));
/* The driver broke a rule, said in why (a literal). The device stands still until reset. */
void virtio_break(struct virtio_device *dev, const char *why) __attribute__((nonnull));
/* Have the device loop come (back) to a queue. From any thread; the lock is not needed. */
void virtio_kick(struct virtio_device *dev, unsigned queue) __attribute__((nonnull));
/* Have the device loop come to an offloaded device. From any thread; the lock is not needed. */
void virtio_wake(struct virtio_device *dev) __attribute__((nonnull));
/* The device can not go on, which is not the driver's fault. It stands still for good. */
void virtio_fail(struct virtio_device *dev) __attribute__((nonnull));

/* For config_read: copy from a device's configuration as it stands in memory; dst was zeroed. */
void virtio_config_copy(const void *config, size_t size, uint32_t off, void *dst, uint32_t len)
	__attribute__((nonnull));

/*
 * Work a queue until it is empty: do_chain() returns the bytes written, or -1 to stop here and put
 * the chain back (a later virtio_drain() gets it again), or has called virtio_break(). Handles
 * broken queues, arming and the interrupt, so that devices do not. After as many chains as the
 * queue has entries the loop gets its turn, so that a driver that never stops starves nobody.
 */
void virtio_drain(struct virtio_device *dev, unsigned queue,
		  int64_t (*do_chain)(struct virtio_device *dev, struct vq_chain *chain))
	__attribute__((nonnull));

#endif
