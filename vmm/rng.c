/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/rng.h"

#include <errno.h>
#include <sys/random.h>

#include "common/util.h"

#define RNG_QUEUE_SIZE 8 /* Linux has one request in flight */

/* Fill a buffer of the guest's. Returns the bytes it got: all of them on any sane host. */
static size_t fill(uint8_t *p, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = getrandom(p + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

/* Random bytes go straight to the driver's buffers: nothing is allocated because of a length. */
static int64_t do_request(struct virtio_device *dev, struct vq_chain *chain)
{
	struct iovec iov[VQ_CHAIN_MAX];
	int64_t written = 0;
	int n;

	if (chain->nread) {
		virtio_break(dev, "entropy request with a readable buffer");
		return -1;
	}
	n = vq_chain_write_iov(chain, MIN(chain->write_len, (size_t)RNG_REQUEST_MAX), iov);
	for (int i = 0; i < n; i++) {
		size_t got = fill(iov[i].iov_base, iov[i].iov_len);

		written += (int64_t)got;
		if (got < iov[i].iov_len)
			break;
	}
	return written;
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	virtio_drain(dev, queue, do_request);
}

/* The device has no configuration: everything reads as 0. */
static void config_read(struct virtio_device *dev, uint32_t off, void *dst, uint32_t len)
{
	(void)dev;
	(void)off;
	(void)dst;
	(void)len;
}

static const struct virtio_ops rng_ops = {
	.config_read = config_read,
	.notify = notify,
};

int rng_new(const struct gmem *mem, struct rng **ret, struct error *err)
{
	struct rng *rng = xcalloc(1, sizeof(*rng));
	int r;

	rng->dev = (struct virtio_device){
		.ops = &rng_ops,
		.name = "rng",
		.id = VIRTIO_ID_RNG,
		.nqueues = 1,
		.vq[0].size_max = RNG_QUEUE_SIZE,
	};
	r = virtio_init(&rng->dev, mem, err);
	if (r < 0) {
		free(rng);
		return r;
	}
	*ret = rng;
	return 0;
}

void rng_free(struct rng *rng)
{
	if (!rng)
		return;
	virtio_free(&rng->dev);
	free(rng);
}
