/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtqueue over guest memory the fuzzer wrote, which changes it between pops. Input: a header
 * (see struct setup), bytes for memory, and the last CHANGES bytes as changes. Each region of memory
 * is an allocation of its own, so a byte outside is seen.
 */
#include "tests/fuzz/fuzz.h"

#include "vmm/virtqueue.h"

#define LOW_SIZE  8192
#define HIGH_BASE 0x10000
#define HIGH_SIZE 4096
#define BLOCK	  1024
#define TURNS	  64
#define CHANGES	  (3 * TURNS)

struct setup {
	uint8_t size_log2, flags, plugged, idx;
	uint16_t desc, avail, used; /* in units of their alignment */
} __attribute__((packed));

static uint64_t sum;

/* A device's use of a chain: every byte is read, some written, both by copy and by iovec. */
static uint32_t use(struct vq_chain *chain)
{
	struct iovec iov[VQ_CHAIN_MAX];
	uint8_t buf[64];
	int n;

	for (unsigned i = 0; i < chain->nread + chain->nwrite; i++) {
		const volatile uint8_t *p = chain->iov[i].iov_base;

		sum += p[0] + p[chain->iov[i].iov_len - 1];
	}
	vq_chain_read(chain, buf, sizeof(buf));
	n = vq_chain_read_iov(chain, (chain->read_len - chain->read_pos) / 2, iov);
	for (int i = 0; i < n; i++)
		sum += *(const volatile uint8_t *)iov[i].iov_base;
	n = vq_chain_write_iov(chain, chain->write_len / 3, iov);
	for (int i = 0; i < n; i++)
		*(volatile uint8_t *)iov[i].iov_base = 0;
	vq_chain_write(chain, buf, sizeof(buf));
	return (uint32_t)chain->write_pos;
}

static void turn(struct virtqueue *vq, const uint8_t *change, uint8_t *low)
{
	struct vq_chain chain;

	if (virtqueue_pop(vq, &chain) == VQ_CHAIN) {
		if (change[2] & 1)
			virtqueue_unpop(vq);
		else
			virtqueue_push(vq, &chain, use(&chain));
	} else if (!vq->fault) {
		virtqueue_arm(vq);
	}
	if (change[2] & 2)
		virtqueue_should_signal(vq);
	low[((uint32_t)change[0] << 5 | change[2] >> 3) % LOW_SIZE] = change[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t plugged[HIGH_SIZE / BLOCK];
	struct virtqueue vq = {.size_max = VIRTQUEUE_SIZE_MAX};
	struct setup s;
	struct gmem mem = {.nregions = 2};
	uint8_t *low, *high;

	if (size < sizeof(s) + CHANGES)
		return 0;
	memcpy(&s, data, sizeof(s));
	low = xcalloc(1, LOW_SIZE);
	high = xcalloc(1, HIGH_SIZE);
	memcpy(low, data + sizeof(s), MIN(size - sizeof(s) - CHANGES, (size_t)LOW_SIZE));
	memset(high, s.idx, HIGH_SIZE);
	for (unsigned i = 0; i < sizeof(plugged); i++)
		plugged[i] = s.plugged >> i & 1;
	mem.region[0] = (struct gmem_region){.gpa = 0, .size = LOW_SIZE, .hva = low};
	mem.region[1] = (struct gmem_region){.gpa = HIGH_BASE,
					     .size = HIGH_SIZE,
					     .hva = high,
					     .plugged = plugged,
					     .block_shift = 10};
	vq.size = (uint16_t)(1U << s.size_log2 % 18);
	vq.desc_gpa = (uint64_t)s.desc * 16;
	vq.avail_gpa = (uint64_t)s.avail * 2;
	vq.used_gpa = (uint64_t)s.used * 4;
	if (virtqueue_start(&vq, &mem, s.flags & 1, s.flags & 2)) {
		vq.last_avail = vq.used_idx = s.idx;
		for (unsigned i = 0; i < TURNS; i++)
			turn(&vq, data + size - CHANGES + 3 * (size_t)i, low);
	}
	virtqueue_reset(&vq);
	free(low);
	free(high);
	return 0;
}
