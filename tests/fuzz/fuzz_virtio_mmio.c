/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's registers under a driver that does anything: input is a list of accesses. The driver
 * may take two short cuts, so that the fuzzer gets past the handshake: one access brings the device
 * up to DRIVER_OK, one fills memory.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "vmm/virtio.h"

#define MEM_SIZE 16384

enum { READ, WRITE, NOTIFY, HANDSHAKE, FILL, CONFIG_CHANGE, KINDS };

struct access {
	uint8_t kind, len;
	uint16_t offset;
	uint32_t value;
} __attribute__((packed));

static uint8_t config[24];

static void config_read(struct virtio_device *dev, uint32_t off, void *dst, uint32_t len)
{
	(void)dev;
	virtio_config_copy(config, sizeof(config), off, dst, len);
}

static void config_write(struct virtio_device *dev, uint32_t off, const void *src, uint32_t len)
{
	(void)dev;
	if (off < sizeof(config) && len <= sizeof(config) - off)
		memcpy(config + off, src, len);
}

static int64_t echo(struct virtio_device *dev, struct vq_chain *chain)
{
	uint8_t buf[512];
	size_t n = vq_chain_read(chain, buf, sizeof(buf));

	if (n && buf[0] == 0xff) {
		virtio_break(dev, "the driver said so");
		return -1;
	}
	return n && buf[0] == 0xfe ? -1 : (int64_t)vq_chain_write(chain, buf, n);
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	virtio_drain(dev, queue, echo);
}

static const struct virtio_ops ops = {
	.config_read = config_read,
	.config_write = config_write,
	.notify = notify,
};

static void write32(struct virtio_device *dev, uint64_t offset, uint32_t value)
{
	virtio_mmio_write(dev, offset, &value, sizeof(value));
}

/* As a driver does it; value says where the rings of queue 0 are. */
static void handshake(struct virtio_device *dev, uint32_t value)
{
	const uint32_t accesses[][2] = {
		{0x70, 0},
		{0x70, 1},
		{0x70, 3},
		{0x24, 1},
		{0x20, 1},
		{0x24, 0},
		{0x20, 3U << 28},
		{0x70, 11},
		{0x30, 0},
		{0x38, 16},
		{0x80, value % 64 * 16},
		{0x90, 1024 + value / 64 % 512 * 2},
		{0xa0, 4096},
		{0x44, 1},
		{0x70, 15},
	};

	for (size_t i = 0; i < ARRAY_SIZE(accesses); i++)
		write32(dev, accesses[i][0], accesses[i][1]);
}

static void check(struct virtio_device *dev)
{
	static const uint8_t sound[] = {0, 1, 3, 11, 15};
	uint32_t status =
		dev->status & ~(uint32_t)(VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED);

	assert(memchr(sound, (int)status, sizeof(sound)));
	if (status & VIRTIO_CONFIG_S_FEATURES_OK)
		assert(dev->accepted & VIRTIO_F_VERSION_1 && !(dev->accepted & ~dev->offered));
	if (virtio_active(dev))
		for (unsigned i = 0; i < dev->nqueues; i++)
			assert(!dev->vq[i].ready || dev->vq[i].desc);
}

static void step(struct virtio_device *dev, const struct access *a, uint8_t *mem)
{
	uint8_t data[8] = {0};

	switch (a->kind % KINDS) {
	case READ:
		virtio_mmio_read(dev, a->offset, data, a->len % 9);
		break;
	case WRITE:
		memcpy(data, &a->value, sizeof(a->value));
		virtio_mmio_write(dev, a->offset, data, a->len % 9);
		break;
	case NOTIFY:
		write32(dev, VIRTIO_MMIO_NOTIFY, a->value % 3);
		virtio_queue_notified(dev, a->value & 1);
		break;
	case HANDSHAKE:
		handshake(dev, a->value);
		break;
	case FILL:
		for (unsigned i = 0; i < 4; i++)
			mem[(a->offset + i) % MEM_SIZE] = (uint8_t)(a->value >> (8 * i));
		break;
	case CONFIG_CHANGE:
		virtio_signal_config(dev);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *low = xcalloc(1, MEM_SIZE);
	struct gmem mem = {.region[0] = {.size = MEM_SIZE, .hva = low}, .nregions = 1};
	struct virtio_device dev = {
		.ops = &ops,
		.name = "fuzz",
		.id = 99,
		.offered = 0x10000000f,
		.nqueues = 2,
		.vq = {{.size_max = 16}, {.size_max = 256}},
	};
	struct error err = ERROR_INIT;
	struct access a;

	if (virtio_init(&dev, &mem, &err) == 0) {
		for (; size >= sizeof(a); data += sizeof(a), size -= sizeof(a)) {
			memcpy(&a, data, sizeof(a));
			step(&dev, &a, low);
			check(&dev);
		}
		virtio_free(&dev);
	}
	free(low);
	return 0;
}
