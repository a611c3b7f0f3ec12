/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The printk ring buffer (Linux 6.1, kernel/printk/printk_ringbuffer.h), read from outside.
 *
 * `prb` points at a struct printk_ringbuffer: a ring of descriptors, a parallel ring of infos, and a
 * ring of text. A descriptor's id counts up for ever; id modulo count is its index. It says where
 * its text block begins and ends in positions that count up for ever too. A block starts with its
 * descriptor's id, never wraps (one that would starts at 0 instead), and is 8-byte aligned.
 *
 * Addresses are kernel virtual: of the image, or of the direct map when the kernel made a larger
 * buffer at boot. Nothing is believed: every access goes through gmem, every shift is bounded.
 */
#include "vmm/klog.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "firmware/elf.h"

#define KERNEL_MAP UINT64_C(0xffffffff80000000) /* __START_KERNEL_map; not relocated here */
#define DIRECT_MAP UINT64_C(0xffff888000000000) /* __PAGE_OFFSET with four-level paging */
#define DIRECT_END UINT64_C(0xffffc88000000000)

#define COUNT_BITS_MAX 20 /* descriptors; the kernel has 2^12 by default */
#define SIZE_BITS_MAX  28 /* text; the kernel has 2^17 by default */

struct prb {
	uint32_t count_bits, pad0;
	uint64_t descs, infos, head_id, tail_id, last_finalized_id;
	uint32_t size_bits, pad1;
	uint64_t data;
};

struct prb_desc {
	uint64_t state_var; /* state in the two upper bits, id below */
	uint64_t begin, next;
};

#define DESC_ID_MASK  (~(UINT64_C(3) << 62))
#define DESC_STATE(v) ((v) >> 62)
#define DESC_FINAL    2
#define DESC_COMMIT   1

#define LPOS_DATALESS 1 /* bit 0 of begin and next: there is no text */

/* struct printk_info: 24 bytes, then the names of a device */
#define INFO_SIZE     88
#define INFO_TEXT_LEN 16

static bool read_va(const struct gmem *mem, uint64_t va, void *dst, size_t len)
{
	if (va >= KERNEL_MAP)
		return gmem_read(mem, va - KERNEL_MAP, dst, len);
	if (va >= DIRECT_MAP && va < DIRECT_END)
		return gmem_read(mem, va - DIRECT_MAP, dst, len);
	return false;
}

/* Where a descriptor's text lies in the ring, and how much there can be at most. */
static bool text_block(const struct prb *prb, const struct prb_desc *desc, uint64_t *ret_index,
		       uint64_t *ret_len)
{
	uint64_t size = UINT64_C(1) << prb->size_bits, begin = desc->begin & (size - 1);
	uint64_t next = desc->next & (size - 1), block = sizeof(uint64_t);

	if ((desc->begin | desc->next) & LPOS_DATALESS)
		return false;
	if (desc->begin >> prb->size_bits != desc->next >> prb->size_bits)
		begin = 0; /* it did not fit before the end of the ring */
	if (next < begin || next - begin < block)
		return false;
	*ret_index = begin + block;
	*ret_len = next - begin - block;
	return true;
}

/* One message, cut to a line's length. False when there is none under this id. */
static bool read_message(const struct gmem *mem, const struct prb *prb, uint64_t id,
			 char line[KLOG_LINE_MAX + 1])
{
	uint64_t slot = id & ((UINT64_C(1) << prb->count_bits) - 1), index, len, state;
	struct prb_desc desc;
	uint16_t text_len;

	if (!read_va(mem, prb->descs + slot * sizeof(desc), &desc, sizeof(desc)) ||
	    !read_va(mem, prb->infos + slot * INFO_SIZE + INFO_TEXT_LEN, &text_len,
		     sizeof(text_len)))
		return false;
	state = DESC_STATE(desc.state_var);
	if ((desc.state_var & DESC_ID_MASK) != id || (state != DESC_FINAL && state != DESC_COMMIT))
		return false;
	if (!text_block(prb, &desc, &index, &len))
		return false;
	len = MIN(MIN(len, text_len), KLOG_LINE_MAX);
	if (!read_va(mem, prb->data + index, line, len))
		return false;
	line[len] = '\0';
	return true;
}

static bool has_prefix(const char *line, const char *prefix)
{
	return strncmp(line, prefix, strlen(prefix)) == 0;
}

/*
 * Take a message in, newest first. Of a panic, what led to it is kept: what follows is a trace of
 * addresses.
 */
static void take_message(struct klog *klog, const char line[KLOG_LINE_MAX + 1])
{
	if (klog->end != KLOG_END_PANIC && has_prefix(line, "Kernel panic - not syncing")) {
		klog->end = KLOG_END_PANIC;
		memcpy(klog->panic, line, sizeof(klog->panic));
		klog->n = 0;
		return;
	}
	if (klog->end == KLOG_END_UNKNOWN && has_prefix(line, "reboot: "))
		klog->end = KLOG_END_REBOOT;
	if (klog->n < KLOG_LINES)
		memcpy(klog->line[KLOG_LINES - ++klog->n], line, sizeof(klog->line[0]));
}

int klog_read_at(const struct gmem *mem, uint64_t prb_va, struct klog *ret)
{
	struct klog klog = {.n = 0};
	char line[KLOG_LINE_MAX + 1] = "";
	uint64_t address, id;
	struct prb prb;

	if (!read_va(mem, prb_va, &address, sizeof(address)) ||
	    !read_va(mem, address, &prb, sizeof(prb)))
		return -EFAULT;
	if (prb.count_bits > COUNT_BITS_MAX || prb.size_bits > SIZE_BITS_MAX)
		return -EINVAL;

	id = prb.head_id & DESC_ID_MASK;
	for (unsigned i = 0; i < KLOG_SCAN && i < UINT64_C(1) << prb.count_bits; i++) {
		if (read_message(mem, &prb, (id - i) & DESC_ID_MASK, line))
			take_message(&klog, line);
		if (((id - i) & DESC_ID_MASK) == (prb.tail_id & DESC_ID_MASK))
			break;
	}
	if (klog.n == 0 && klog.end == KLOG_END_UNKNOWN)
		return -ENODATA;
	memmove(klog.line[0], klog.line[KLOG_LINES - klog.n], klog.n * sizeof(klog.line[0]));
	*ret = klog;
	return 0;
}

int klog_read(const struct gmem *mem, int kernel_fd, struct klog *ret)
{
	uint64_t prb_va;
	int r = elf_symbol(kernel_fd, "prb", sizeof(uint64_t), &prb_va);

	return r < 0 ? r : klog_read_at(mem, prb_va, ret);
}
