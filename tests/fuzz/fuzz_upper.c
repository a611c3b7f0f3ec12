/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an app wrote, read from a disk that a guest has damaged. Input: {u32 offset, u8 byte} each, laid
 * over the metadata of a sound disk; the same bytes again let it be read once more as it was.
 */
#include "tests/fuzz/fuzz.h"

#include <unistd.h>

#include "common/util.h"
#include "tests/unit/upper_image.h"

#define METADATA    (512 * 1024) /* bytes in which all of it lies */
#define CHANGES_MAX 64

static void read_all(struct upper *upper, struct tree *tree, struct error *err)
{
	struct aci_content content;
	uint8_t bytes[4096];

	if (upper_merge(upper, tree, 1, err) < 0)
		return;
	upper_content(upper, 1, &content);
	for (uint32_t node = 0; node != TREE_NONE; node = tree_next(tree, node, false)) {
		const struct tree_inode *inode = tree_inode(tree, node);
		struct aci_piece *piece = NULL;
		size_t n = 0;

		if (inode->type != ENTRY_REG || inode->layer != 1 || inode->size == 0)
			continue;
		if (content.pieces(content.ctx, inode, &piece, &n, err) < 0)
			return;
		for (size_t i = 0; i < n; i++)
			if (piece[i].start >= inode->size ||
			    piece[i].len > inode->size - piece[i].start)
				abort();
		free(piece);
		if (content.read(content.ctx, inode, 0, bytes, MIN(inode->size, sizeof(bytes)),
				 err) < 0)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	uint8_t old[CHANGES_MAX];
	uint32_t at[CHANGES_MAX] = {0};
	struct error err = ERROR_INIT;
	struct upper *upper = NULL;
	struct tree *tree;
	size_t n = 0;

	if (fd < 0)
		fd = upper_image();
	for (; n < CHANGES_MAX && size >= 5; n++, data += 5, size -= 5) {
		memcpy(&at[n], data, sizeof(at[n]));
		at[n] %= METADATA;
		if (pread(fd, &old[n], 1, at[n]) != 1 || pwrite(fd, data + 4, 1, at[n]) != 1)
			abort();
	}
	tree = upper_lower();
	if (upper_open(fd, "app.upper", &upper, &err) == 0)
		read_all(upper, tree, &err);
	upper_free(upper);
	tree_free(tree);
	while (n-- > 0)
		if (pwrite(fd, &old[n], 1, at[n]) != 1)
			abort();
	return 0;
}
