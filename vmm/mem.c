/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-mem: the guest plugs blocks of a region up to the size we request.
 *
 * An unplugged block is no memory at all (UNPLUGGED_INACCESSIBLE): it has no memory slot, so a
 * guest that touches it reaches nothing, gmem refuses it for the devices, and its pages are given
 * back to the host. Block and slot are the same unit, so there are no slots half of which the guest
 * must not use.
 *
 * Requests are worked on the device loop's thread, like all users of chains, and none keeps a host
 * address across requests, so nobody has one of a block while it goes. Only the addresses of running
 * rings outlive an unplug of what they are in, which is why the mapping stays: a driver that unplugs
 * its own rings gets zeroes.
 */
#include "vmm/mem.h"

#include <errno.h>
#include <string.h>

#define VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE (UINT64_C(1) << 1)
#define MEM_QUEUE_SIZE			    8 /* Linux has one request in flight */

enum {
	VIRTIO_MEM_REQ_PLUG = 0,
	VIRTIO_MEM_REQ_UNPLUG = 1,
	VIRTIO_MEM_REQ_UNPLUG_ALL = 2,
	VIRTIO_MEM_REQ_STATE = 3,
};

enum mem_response {
	VIRTIO_MEM_RESP_ACK = 0,
	VIRTIO_MEM_RESP_NACK = 1,
	VIRTIO_MEM_RESP_BUSY = 2,
	VIRTIO_MEM_RESP_ERROR = 3,
};

enum {
	VIRTIO_MEM_STATE_PLUGGED = 0,
	VIRTIO_MEM_STATE_UNPLUGGED = 1,
	VIRTIO_MEM_STATE_MIXED = 2,
};

struct virtio_mem_config {
	uint64_t block_size;
	uint16_t node_id;
	uint8_t padding[6];
	uint64_t addr;
	uint64_t region_size;
	uint64_t usable_region_size;
	uint64_t plugged_size;
	uint64_t requested_size;
};
_Static_assert(sizeof(struct virtio_mem_config) == 56, "virtio 5.15.4");

struct virtio_mem_req {
	uint16_t type;
	uint16_t padding0[3];
	uint64_t addr;
	uint16_t nb_blocks;
	uint16_t padding1[3];
};
_Static_assert(sizeof(struct virtio_mem_req) == 24, "virtio 5.15.6");

struct virtio_mem_resp {
	uint16_t type;
	uint16_t padding[3];
	uint16_t state;
};
_Static_assert(sizeof(struct virtio_mem_resp) == 10, "virtio 5.15.6");

static struct mem *to_mem(struct virtio_device *dev)
{
	return container_of(dev, struct mem, dev);
}

static void config_read(struct virtio_device *dev, uint32_t off, void *dst, uint32_t len)
{
	const struct mem *mem = to_mem(dev);
	const struct virtio_mem_config config = {
		.block_size = MEM_BLOCK_SIZE,
		.addr = mem->region.gpa,
		.region_size = mem->region.size,
		.usable_region_size = mem->region.size,
		.plugged_size = mem->plugged_size,
		.requested_size = mem->region.requested,
	};

	virtio_config_copy(&config, sizeof(config), off, dst, len);
}

/* The blocks a request names, when they are blocks of the region. */
static bool request_blocks(const struct mem *mem, const struct virtio_mem_req *req,
			   uint64_t *ret_first)
{
	uint64_t offset = req->addr - mem->region.gpa;
	uint64_t first = offset >> MEM_BLOCK_SHIFT;

	if (req->addr < mem->region.gpa || offset & (MEM_BLOCK_SIZE - 1) || !req->nb_blocks)
		return false;
	if (first >= mem->nblocks || req->nb_blocks > mem->nblocks - first)
		return false;
	*ret_first = first;
	return true;
}

static uint64_t count_plugged(const struct mem *mem, uint64_t first, uint64_t n)
{
	uint64_t count = 0;

	for (uint64_t i = first; i < first + n; i++)
		count += mem->plugged[i];
	return count;
}

static int block_plug(struct mem *mem, uint64_t block)
{
	int r = mem->region.plug(mem->region.ctx, mem->region.gpa + (block << MEM_BLOCK_SHIFT),
				 MEM_BLOCK_SIZE, true);

	if (r < 0)
		return r;
	mem->plugged[block] = 1;
	mem->plugged_size += MEM_BLOCK_SIZE;
	return 0;
}

static void block_unplug(struct mem *mem, uint64_t block)
{
	mem->plugged[block] = 0;
	mem->plugged_size -= MEM_BLOCK_SIZE;
	(void)mem->region.plug(mem->region.ctx, mem->region.gpa + (block << MEM_BLOCK_SHIFT),
			       MEM_BLOCK_SIZE, false);
	gmem_release(mem->region.hva + (block << MEM_BLOCK_SHIFT), MEM_BLOCK_SIZE);
}

static enum mem_response do_plug(struct mem *mem, const struct virtio_mem_req *req)
{
	uint64_t first, n = req->nb_blocks;

	if (!request_blocks(mem, req, &first) || count_plugged(mem, first, n))
		return VIRTIO_MEM_RESP_ERROR;
	if (mem->plugged_size + n * MEM_BLOCK_SIZE > mem->region.requested)
		return VIRTIO_MEM_RESP_NACK;
	for (uint64_t i = 0; i < n; i++) {
		if (block_plug(mem, first + i) < 0) {
			while (i--)
				block_unplug(mem, first + i);
			return VIRTIO_MEM_RESP_BUSY;
		}
	}
	return VIRTIO_MEM_RESP_ACK;
}

static enum mem_response do_unplug(struct mem *mem, const struct virtio_mem_req *req)
{
	uint64_t first, n = req->nb_blocks;

	if (!request_blocks(mem, req, &first) || count_plugged(mem, first, n) != n)
		return VIRTIO_MEM_RESP_ERROR;
	for (uint64_t i = 0; i < n; i++)
		block_unplug(mem, first + i);
	return VIRTIO_MEM_RESP_ACK;
}

static enum mem_response do_unplug_all(struct mem *mem)
{
	for (uint64_t i = 0; i < mem->nblocks; i++)
		if (mem->plugged[i])
			block_unplug(mem, i);
	return VIRTIO_MEM_RESP_ACK;
}

static enum mem_response do_state(const struct mem *mem, const struct virtio_mem_req *req,
				  uint16_t *ret_state)
{
	uint64_t first, count;

	if (!request_blocks(mem, req, &first))
		return VIRTIO_MEM_RESP_ERROR;
	count = count_plugged(mem, first, req->nb_blocks);
	if (!count)
		*ret_state = VIRTIO_MEM_STATE_UNPLUGGED;
	else if (count == req->nb_blocks)
		*ret_state = VIRTIO_MEM_STATE_PLUGGED;
	else
		*ret_state = VIRTIO_MEM_STATE_MIXED;
	return VIRTIO_MEM_RESP_ACK;
}

static int64_t do_request(struct virtio_device *dev, struct vq_chain *chain)
{
	struct mem *mem = to_mem(dev);
	struct virtio_mem_resp resp = {.type = VIRTIO_MEM_RESP_ERROR};
	struct virtio_mem_req req;

	if (vq_chain_read(chain, &req, sizeof(req)) != sizeof(req) ||
	    chain->write_len < sizeof(resp)) {
		virtio_break(dev, "memory request that is too short");
		return -1;
	}
	switch (req.type) {
	case VIRTIO_MEM_REQ_PLUG:
		resp.type = do_plug(mem, &req);
		break;
	case VIRTIO_MEM_REQ_UNPLUG:
		resp.type = do_unplug(mem, &req);
		break;
	case VIRTIO_MEM_REQ_UNPLUG_ALL:
		resp.type = do_unplug_all(mem);
		break;
	case VIRTIO_MEM_REQ_STATE:
		resp.type = do_state(mem, &req, &resp.state);
		break;
	default:
		break;
	}
	return (int64_t)vq_chain_write(chain, &resp, sizeof(resp));
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	virtio_drain(dev, queue, do_request);
}

static const struct virtio_ops mem_ops = {
	.config_read = config_read,
	.notify = notify,
};

static bool size_ok(uint64_t bytes, uint64_t max)
{
	return bytes <= max && !(bytes & (MEM_BLOCK_SIZE - 1));
}

int mem_new(const struct mem_params *params, const struct gmem *gmem, struct mem **ret,
	    struct error *err)
{
	struct mem *mem;
	int r;

	if (!params->size || !size_ok(params->size, MEM_REGION_MAX) ||
	    !size_ok(params->gpa, UINT64_MAX - MEM_REGION_MAX) ||
	    !size_ok(params->requested, params->size))
		return error_set(err, -EINVAL, "mem: region or size is not in whole blocks");

	mem = xcalloc(1, sizeof(*mem));
	mem->region = *params;
	mem->nblocks = params->size >> MEM_BLOCK_SHIFT;
	mem->dev = (struct virtio_device){
		.ops = &mem_ops,
		.name = "mem",
		.id = VIRTIO_ID_MEM,
		.offered = VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE,
		.nqueues = 1,
		.vq[0].size_max = MEM_QUEUE_SIZE,
	};
	r = virtio_init(&mem->dev, gmem, err);
	if (r < 0) {
		free(mem);
		return r;
	}
	mem->plugged = xcalloc(mem->nblocks, 1);
	*ret = mem;
	return 0;
}

void mem_free(struct mem *mem)
{
	if (!mem)
		return;
	virtio_free(&mem->dev);
	free(mem->plugged);
	free(mem);
}

bool mem_request(struct mem *mem, uint64_t bytes)
{
	if (!size_ok(bytes, mem->region.size))
		return false;
	pthread_mutex_lock(&mem->dev.lock);
	mem->region.requested = bytes;
	virtio_signal_config(&mem->dev);
	pthread_mutex_unlock(&mem->dev.lock);
	return true;
}
