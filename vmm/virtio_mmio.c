/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport: registers, the status state machine, notifications, interrupts.
 *
 * vCPU threads come in through virtio_mmio_read() and _write(), the device loop through
 * virtio_queue_notified(). One mutex a device covers everything but the two registers of the hot
 * path: InterruptStatus is an atomic word, QueueNotify an eventfd (which KVM writes itself for a
 * well-formed notification, so that none of this runs). A device works its queues synchronously
 * with the lock held, so a reset, which takes the lock too, finds nothing in flight.
 *
 * The status goes 0, ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, each step once and in order, and
 * back to 0 from anywhere; every register is writable in exactly one of these states. What is
 * written at the wrong time, with a wrong width or to no register is ignored; what is read so is 0.
 * DRIVER_OK checks and freezes the queues: no register changes their geometry until reset.
 */
#include "vmm/virtio.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/util.h"

/* Register offsets (virtio 1.2 section 4.2.2) */
enum {
	VIRTIO_MMIO_MAGIC_VALUE = 0x000,
	VIRTIO_MMIO_VERSION = 0x004,
	VIRTIO_MMIO_DEVICE_ID = 0x008,
	VIRTIO_MMIO_VENDOR_ID = 0x00c,
	VIRTIO_MMIO_DEVICE_FEATURES = 0x010,
	VIRTIO_MMIO_DEVICE_FEATURES_SEL = 0x014,
	VIRTIO_MMIO_DRIVER_FEATURES = 0x020,
	VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x024,
	VIRTIO_MMIO_QUEUE_SEL = 0x030,
	VIRTIO_MMIO_QUEUE_SIZE_MAX = 0x034,
	VIRTIO_MMIO_QUEUE_SIZE = 0x038,
	VIRTIO_MMIO_QUEUE_READY = 0x044,
	VIRTIO_MMIO_QUEUE_NOTIFY = VIRTIO_MMIO_NOTIFY,
	VIRTIO_MMIO_INTERRUPT_STATUS = 0x060,
	VIRTIO_MMIO_INTERRUPT_ACK = 0x064,
	VIRTIO_MMIO_STATUS = 0x070,
	VIRTIO_MMIO_QUEUE_DESC_LOW = 0x080,
	VIRTIO_MMIO_QUEUE_DESC_HIGH = 0x084,
	VIRTIO_MMIO_QUEUE_DRIVER_LOW = 0x090,
	VIRTIO_MMIO_QUEUE_DRIVER_HIGH = 0x094,
	VIRTIO_MMIO_QUEUE_DEVICE_LOW = 0x0a0,
	VIRTIO_MMIO_QUEUE_DEVICE_HIGH = 0x0a4,
	VIRTIO_MMIO_SHM_LEN_LOW = 0x0b0,
	VIRTIO_MMIO_SHM_LEN_HIGH = 0x0b4,
	VIRTIO_MMIO_SHM_BASE_LOW = 0x0b8,
	VIRTIO_MMIO_SHM_BASE_HIGH = 0x0bc,
	VIRTIO_MMIO_CONFIG_GENERATION = 0x0fc,
	VIRTIO_MMIO_CONFIG = 0x100,
};

#define MAGIC	  0x74726976 /* "virt" */
#define VERSION	  2
#define VENDOR_ID 0x50495254 /* "TRIP" */

#define ISR_USED   1
#define ISR_CONFIG 2

/* The states of a sound device */
#define STATUS_DRIVER	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define STATUS_FEATURES (STATUS_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define STATUS_RUNNING	(STATUS_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK)

static int make_eventfd(int *ret, struct error *err)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return error_errno(err, "eventfd");
	*ret = fd;
	return 0;
}

int virtio_init(struct virtio_device *dev, const struct gmem *mem, struct error *err)
{
	int r;

	assert(dev->nqueues <= VIRTIO_MAX_QUEUES);
	dev->mem = mem;
	dev->offered |= VIRTIO_F_VERSION_1 | VIRTIO_F_RING_INDIRECT_DESC | VIRTIO_F_RING_EVENT_IDX;
	pthread_mutex_init(&dev->lock, NULL);
	dev->irqfd = dev->wakefd = -1;
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		dev->kickfd[i] = -1;

	r = make_eventfd(&dev->irqfd, err);
	if (r == 0 && dev->offloaded)
		r = make_eventfd(&dev->wakefd, err);
	for (unsigned i = 0; !r && i < dev->nqueues; i++) {
		assert(dev->vq[i].size_max && dev->vq[i].size_max <= VIRTQUEUE_SIZE_MAX);
		virtqueue_reset(&dev->vq[i]);
		r = make_eventfd(&dev->kickfd[i], err);
	}
	if (r) {
		virtio_free(dev);
		return error_wrap(err, "%s", dev->name);
	}
	return 0;
}

void virtio_free(struct virtio_device *dev)
{
	close_fd(&dev->irqfd);
	close_fd(&dev->wakefd);
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		close_fd(&dev->kickfd[i]);
	pthread_mutex_destroy(&dev->lock);
}

/* An eventfd of ours: the write fails only when the counter is full, and then it is readable. */
static void eventfd_raise(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static void interrupt(struct virtio_device *dev, uint32_t cause)
{
	__atomic_or_fetch(&dev->isr, cause, __ATOMIC_SEQ_CST);
	eventfd_raise(dev->irqfd);
}

bool virtio_active(const struct virtio_device *dev)
{
	return dev->status == STATUS_RUNNING;
}

void virtio_signal_used(struct virtio_device *dev, unsigned queue)
{
	if (virtio_active(dev) && virtqueue_should_signal(&dev->vq[queue]))
		interrupt(dev, ISR_USED);
}

void virtio_signal_config(struct virtio_device *dev)
{
	dev->generation++;
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(dev, ISR_CONFIG);
}

void virtio_kick(struct virtio_device *dev, unsigned queue)
{
	assert(queue < dev->nqueues);
	eventfd_raise(dev->kickfd[queue]);
}

void virtio_wake(struct virtio_device *dev)
{
	assert(dev->offloaded);
	eventfd_raise(dev->wakefd);
}

void virtio_fail(struct virtio_device *dev)
{
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(dev, ISR_CONFIG);
}

void virtio_break(struct virtio_device *dev, const char *why)
{
	dev->faults++;
	dev->fault = why;
	virtio_fail(dev);
	if (dev->offloaded)
		virtio_wake(dev);
	else
		virtio_kick(dev, 0);
}

const char *virtio_take_fault(struct virtio_device *dev)
{
	const char *fault = NULL;

	pthread_mutex_lock(&dev->lock);
	if (dev->told < dev->faults && dev->told < VIRTIO_FAULTS_TOLD) {
		dev->told++;
		fault = dev->fault;
	}
	pthread_mutex_unlock(&dev->lock);
	return fault;
}

void virtio_queue_notified(struct virtio_device *dev, unsigned queue)
{
	uint64_t count;

	assert(queue < dev->nqueues);
	/* Emptied before the queue is looked at: a kick from now on is a new one. */
	(void)!read(dev->offloaded ? dev->wakefd : dev->kickfd[queue], &count, sizeof(count));
	pthread_mutex_lock(&dev->lock);
	if (dev->offloaded || (virtio_active(dev) && dev->vq[queue].ready))
		dev->ops->notify(dev, queue);
	pthread_mutex_unlock(&dev->lock);
}

void virtio_drain(struct virtio_device *dev, unsigned queue,
		  int64_t (*do_chain)(struct virtio_device *dev, struct vq_chain *chain))
{
	struct virtqueue *vq = &dev->vq[queue];
	unsigned budget = vq->size;
	struct vq_chain chain;
	int64_t written = 0;

	do {
		enum vq_pop pop = VQ_CHAIN;

		while (budget && (pop = virtqueue_pop(vq, &chain)) == VQ_CHAIN) {
			written = do_chain(dev, &chain);
			if (!virtio_active(dev))
				return;
			if (written < 0)
				break;
			virtqueue_push(vq, &chain, (uint32_t)written);
			budget--;
		}
		if (pop == VQ_BROKEN) {
			virtio_break(dev, vq->fault);
			return;
		}
		if (written < 0)
			virtqueue_unpop(vq);
		virtio_signal_used(dev, queue);
	} while (written >= 0 && budget && virtqueue_arm(vq));

	if (!budget)
		virtio_kick(dev, queue);
}

void virtio_config_copy(const void *config, size_t size, uint32_t off, void *dst, uint32_t len)
{
	if (off < size)
		memcpy(dst, (const uint8_t *)config + off, MIN(len, size - off));
}

static struct virtqueue *selected_queue(struct virtio_device *dev)
{
	return dev->queue_sel < dev->nqueues ? &dev->vq[dev->queue_sel] : NULL;
}

static uint32_t read_locked(struct virtio_device *dev, uint64_t offset)
{
	const struct virtqueue *vq = selected_queue(dev);

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR_ID;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return dev->device_sel < 2 ? (uint32_t)(dev->offered >> (32 * dev->device_sel)) : 0;
	case VIRTIO_MMIO_QUEUE_SIZE_MAX:
		return vq ? vq->size_max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return vq ? vq->ready : 0;
	case VIRTIO_MMIO_STATUS:
		return dev->status;
	case VIRTIO_MMIO_SHM_LEN_LOW: /* no shared memory regions */
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return dev->generation;
	default:
		return 0;
	}
}

static bool is_register(uint64_t offset, uint32_t len)
{
	return offset < VIRTIO_MMIO_CONFIG && len == sizeof(uint32_t) && !(offset % len);
}

static bool is_config(uint64_t offset, uint32_t len)
{
	return offset >= VIRTIO_MMIO_CONFIG && offset < VIRTIO_MMIO_SIZE &&
	       (len == 1 || len == 2 || len == 4 || len == 8);
}

void virtio_mmio_read(struct virtio_device *dev, uint64_t offset, void *data, uint32_t len)
{
	uint32_t value;

	memset(data, 0, len);
	if (is_config(offset, len)) {
		pthread_mutex_lock(&dev->lock);
		dev->ops->config_read(dev, (uint32_t)(offset - VIRTIO_MMIO_CONFIG), data, len);
		pthread_mutex_unlock(&dev->lock);
		return;
	}
	if (!is_register(offset, len))
		return;
	if (offset == VIRTIO_MMIO_INTERRUPT_STATUS) {
		value = __atomic_load_n(&dev->isr, __ATOMIC_SEQ_CST);
		if (dev->offloaded) /* whoever raises the interrupt can not say so */
			value |= ISR_USED;
	} else {
		pthread_mutex_lock(&dev->lock);
		value = read_locked(dev, offset);
		pthread_mutex_unlock(&dev->lock);
	}
	memcpy(data, &value, sizeof(value));
}

/* What the driver wants is ours to give: nothing that was not offered, and never legacy. */
static bool features_acceptable(const struct virtio_device *dev)
{
	return !(dev->accepted & ~dev->offered) && dev->accepted & VIRTIO_F_VERSION_1;
}

static void reset(struct virtio_device *dev)
{
	if (dev->ops->reset)
		dev->ops->reset(dev);
	for (unsigned i = 0; i < dev->nqueues; i++)
		virtqueue_reset(&dev->vq[i]);
	dev->status = 0;
	dev->accepted = 0;
	dev->device_sel = dev->driver_sel = dev->queue_sel = 0;
	__atomic_store_n(&dev->isr, 0, __ATOMIC_SEQ_CST);
}

/* DRIVER_OK: check and freeze the queues that are ready, then let the device run. */
static void activate(struct virtio_device *dev)
{
	bool event_idx = dev->accepted & VIRTIO_F_RING_EVENT_IDX;
	bool indirect = dev->accepted & VIRTIO_F_RING_INDIRECT_DESC;

	dev->status |= VIRTIO_CONFIG_S_DRIVER_OK;
	for (unsigned i = 0; i < dev->nqueues; i++) {
		struct virtqueue *vq = &dev->vq[i];

		if (vq->ready && !virtqueue_start(vq, dev->mem, event_idx, indirect)) {
			virtio_break(dev, vq->fault);
			return;
		}
	}
	if (dev->ops->activate)
		dev->ops->activate(dev);
}

static void write_status(struct virtio_device *dev, uint32_t value)
{
	uint32_t added;

	if (!value) {
		reset(dev);
		return;
	}
	/* NEEDS_RESET is ours: a driver may write it back as read, which says nothing. */
	value &= ~(uint32_t)VIRTIO_CONFIG_S_NEEDS_RESET;
	if ((dev->status & ~(uint32_t)VIRTIO_CONFIG_S_NEEDS_RESET) & ~value)
		return; /* a bit is cleared by reset only */
	added = value & ~dev->status;

	if (added == VIRTIO_CONFIG_S_FAILED)
		dev->status |= added;
	else if (added == VIRTIO_CONFIG_S_ACKNOWLEDGE && !dev->status)
		dev->status |= added;
	else if (added == VIRTIO_CONFIG_S_DRIVER && dev->status == VIRTIO_CONFIG_S_ACKNOWLEDGE)
		dev->status |= added;
	else if (added == VIRTIO_CONFIG_S_FEATURES_OK && dev->status == STATUS_DRIVER) {
		if (features_acceptable(dev))
			dev->status |= added;
	} else if (added == VIRTIO_CONFIG_S_DRIVER_OK && dev->status == STATUS_FEATURES)
		activate(dev);
}

static void set_half(uint64_t *word, unsigned high, uint32_t value)
{
	unsigned shift = 32 * high;

	*word = (*word & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

/* The registers of the selected queue, writable between FEATURES_OK and DRIVER_OK. */
static void write_queue(struct virtio_device *dev, uint64_t offset, uint32_t value)
{
	struct virtqueue *vq = selected_queue(dev);

	if (!vq || dev->status != STATUS_FEATURES)
		return;
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		vq->ready = value & 1;
		return;
	}
	if (vq->ready)
		return;

	switch (offset) {
	case VIRTIO_MMIO_QUEUE_SIZE:
		vq->size = value <= vq->size_max ? (uint16_t)value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&vq->desc_gpa, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_DRIVER_LOW:
	case VIRTIO_MMIO_QUEUE_DRIVER_HIGH:
		set_half(&vq->avail_gpa, offset == VIRTIO_MMIO_QUEUE_DRIVER_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_DEVICE_LOW:
	case VIRTIO_MMIO_QUEUE_DEVICE_HIGH:
		set_half(&vq->used_gpa, offset == VIRTIO_MMIO_QUEUE_DEVICE_HIGH, value);
		break;
	default:
		break;
	}
}

static void write_locked(struct virtio_device *dev, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		dev->device_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		dev->driver_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		if (dev->status == STATUS_DRIVER && dev->driver_sel < 2)
			set_half(&dev->accepted, dev->driver_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		dev->queue_sel = value;
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(dev, value);
		break;
	default:
		write_queue(dev, offset, value);
		break;
	}
}

void virtio_mmio_write(struct virtio_device *dev, uint64_t offset, const void *data, uint32_t len)
{
	uint32_t value;

	if (is_config(offset, len)) {
		if (!dev->ops->config_write)
			return;
		pthread_mutex_lock(&dev->lock);
		dev->ops->config_write(dev, (uint32_t)(offset - VIRTIO_MMIO_CONFIG), data, len);
		pthread_mutex_unlock(&dev->lock);
		return;
	}
	if (!is_register(offset, len))
		return;
	memcpy(&value, data, sizeof(value));
	if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
		if (value < dev->nqueues)
			virtio_kick(dev, value);
	} else if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
		__atomic_and_fetch(&dev->isr, ~value, __ATOMIC_SEQ_CST);
	} else {
		pthread_mutex_lock(&dev->lock);
		write_locked(dev, offset, value);
		pthread_mutex_unlock(&dev->lock);
	}
}
