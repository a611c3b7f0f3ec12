/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-balloon: free page reporting, and inflation to a target.
 *
 * Reporting is what runs all the time: the driver hands over its free ranges as the writable
 * buffers of a chain, which the queue has checked and turned into host ranges already; their pages
 * go back to the host, the guest gets fresh zeroed ones when it uses the range again. Inflation
 * takes memory away on request: the driver sends page numbers, and keeps the pages. Deflation needs
 * nothing from us, since pages come back when they are touched.
 */
#include "vmm/balloon.h"

#include <string.h>

#include "common/util.h"

enum {
	QUEUE_INFLATE,
	QUEUE_DEFLATE,
	QUEUE_REPORTING, /* stats and hinting are not offered, and absent queues are skipped */
	QUEUES,
};

#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM (UINT64_C(1) << 2)
#define VIRTIO_BALLOON_F_REPORTING	(UINT64_C(1) << 5)

#define BALLOON_QUEUE_SIZE                                                                         \
	32 /* Linux reports up to 32 ranges at once and wants an entry for each */
#define PFN_SHIFT    12
#define PAGE	     (UINT64_C(1) << PFN_SHIFT)
#define PFNS_AT_ONCE 256  /* what Linux sends at once; read in turns of this many */
#define PFNS_MAX     4096 /* of one chain, so that one takes bounded time */

struct virtio_balloon_config {
	uint32_t num_pages;
	uint32_t actual;
	uint32_t free_page_hint_cmd_id;
	uint32_t poison_val;
};

static struct balloon *to_balloon(struct virtio_device *dev)
{
	return container_of(dev, struct balloon, dev);
}

static void config_read(struct virtio_device *dev, uint32_t off, void *dst, uint32_t len)
{
	const struct balloon *balloon = to_balloon(dev);
	const struct virtio_balloon_config config = {
		.num_pages = balloon->num_pages,
		.actual = balloon->actual,
	};

	virtio_config_copy(&config, sizeof(config), off, dst, len);
}

static void config_write(struct virtio_device *dev, uint32_t off, const void *src, uint32_t len)
{
	struct balloon *balloon = to_balloon(dev);

	if (off == offsetof(struct virtio_balloon_config, actual) && len == sizeof(uint32_t))
		memcpy(&balloon->actual, src, len);
}

static void release(struct balloon *balloon, void *p, size_t len)
{
	gmem_release(p, len);
	balloon->released += len;
}

/* Release [start, end) in bytes of guest memory; a range that is not memory is left alone. */
static void release_run(struct balloon *balloon, uint64_t start, uint64_t end)
{
	void *p;

	if (start == end)
		return;
	p = gmem_ptr(balloon->dev.mem, start, end - start);
	if (p)
		release(balloon, p, end - start);
}

/*
 * Release pages by number. Drivers take them off a free list, where neighbours often follow each
 * other up or down; such a run is one system call, as long as it stays in one piece of memory.
 */
static void release_pfns(struct balloon *balloon, const uint32_t *pfn, size_t n)
{
	uint64_t start = 0, end = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t page = (uint64_t)pfn[i] << PFN_SHIFT;

		if (!gmem_ptr(balloon->dev.mem, page, PAGE))
			continue;
		if (page == end && gmem_ptr(balloon->dev.mem, start, page + PAGE - start)) {
			end += PAGE;
		} else if (page + PAGE == start && gmem_ptr(balloon->dev.mem, page, end - page)) {
			start = page;
		} else {
			release_run(balloon, start, end);
			start = page;
			end = page + PAGE;
		}
	}
	release_run(balloon, start, end);
}

static int64_t do_inflate(struct virtio_device *dev, struct vq_chain *chain)
{
	uint32_t pfn[PFNS_AT_ONCE];
	size_t len;

	if (chain->read_len % sizeof(pfn[0]) || chain->read_len > PFNS_MAX * sizeof(pfn[0])) {
		virtio_break(dev, "balloon request of a wrong length");
		return -1;
	}
	while ((len = vq_chain_read(chain, pfn, sizeof(pfn))))
		release_pfns(to_balloon(dev), pfn, len / sizeof(pfn[0]));
	return 0;
}

static int64_t do_deflate(struct virtio_device *dev, struct vq_chain *chain)
{
	(void)dev;
	(void)chain;
	return 0;
}

static int64_t do_report(struct virtio_device *dev, struct vq_chain *chain)
{
	struct balloon *balloon = to_balloon(dev);

	for (unsigned i = chain->nread; i < chain->nread + chain->nwrite; i++)
		release(balloon, chain->iov[i].iov_base, chain->iov[i].iov_len);
	return 0;
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	static int64_t (*const work[QUEUES])(struct virtio_device *, struct vq_chain *) = {
		[QUEUE_INFLATE] = do_inflate,
		[QUEUE_DEFLATE] = do_deflate,
		[QUEUE_REPORTING] = do_report,
	};

	virtio_drain(dev, queue, work[queue]);
}

/* The driver that said it is gone. */
static void reset(struct virtio_device *dev)
{
	to_balloon(dev)->actual = 0;
}

static const struct virtio_ops balloon_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.reset = reset,
	.notify = notify,
};

int balloon_new(const struct gmem *mem, struct balloon **ret, struct error *err)
{
	struct balloon *balloon = xcalloc(1, sizeof(*balloon));
	int r;

	balloon->dev = (struct virtio_device){
		.ops = &balloon_ops,
		.name = "balloon",
		.id = VIRTIO_ID_BALLOON,
		.offered = VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_REPORTING,
		.nqueues = QUEUES,
		.late = true, /* no app waits for it */
	};
	for (unsigned i = 0; i < QUEUES; i++)
		balloon->dev.vq[i].size_max = BALLOON_QUEUE_SIZE;
	r = virtio_init(&balloon->dev, mem, err);
	if (r < 0) {
		free(balloon);
		return r;
	}
	*ret = balloon;
	return 0;
}

void balloon_free(struct balloon *balloon)
{
	if (!balloon)
		return;
	virtio_free(&balloon->dev);
	free(balloon);
}

void balloon_set_target(struct balloon *balloon, uint64_t bytes)
{
	pthread_mutex_lock(&balloon->dev.lock);
	balloon->num_pages = (uint32_t)MIN(bytes >> PFN_SHIFT, (uint64_t)UINT32_MAX);
	virtio_signal_config(&balloon->dev);
	pthread_mutex_unlock(&balloon->dev.lock);
}

void balloon_get(struct balloon *balloon, struct balloon_state *ret)
{
	pthread_mutex_lock(&balloon->dev.lock);
	*ret = (struct balloon_state){
		.target = (uint64_t)balloon->num_pages << PFN_SHIFT,
		.actual = (uint64_t)balloon->actual << PFN_SHIFT,
		.released = balloon->released,
	};
	pthread_mutex_unlock(&balloon->dev.lock);
}
