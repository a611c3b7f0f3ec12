/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stage0/image/tree.h"

/*
 * Layers laid one over the other: three bytes an entry, with few names, so that most meet something.
 * What comes out is a tree whose numbers add up, and no whiteout is in it.
 */

#define PATH_SIZE 64

static void make_path(uint8_t byte, const char *prefix, char *path)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	const char *name[3] = {names[byte & 3], names[byte >> 2 & 3], names[byte >> 4 & 3]};
	unsigned depth = (byte >> 6) % 3;

	snprintf(path, PATH_SIZE, "%s%s%s%s%s%s", depth > 1 ? name[2] : "", depth > 1 ? "/" : "",
		 depth > 0 ? name[1] : "", depth > 0 ? "/" : "", prefix, name[0]);
}

static void add(struct tree *tree, const uint8_t data[3])
{
	static const enum entry_type types[] = {ENTRY_DIR,	ENTRY_REG, ENTRY_SYMLINK,
						ENTRY_HARDLINK, ENTRY_REG, ENTRY_FIFO,
						ENTRY_REG};
	char path[PATH_SIZE], link[PATH_SIZE];
	unsigned what = data[0] % 8;
	struct entry entry = {.path = path, .link = ""};
	struct error err = ERROR_INIT;

	if (what == 7) {
		tree_set_layer(tree, (uint16_t)(tree->layer + 1));
		return;
	}
	entry.type = types[what];
	make_path(data[1], what == 4 ? ".wh." : "", path);
	make_path(data[2], "", link);
	if (what == 6)
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "/.wh..wh..opq");
	if (entry.type == ENTRY_SYMLINK || entry.type == ENTRY_HARDLINK)
		entry.link = link;
	/* an entry that is refused ends an import; here what comes after it is tried as well */
	tree_add(tree, &entry, &err);
}

static void check(const struct tree *tree)
{
	uint32_t *names = calloc(tree->ninodes, sizeof(*names)), live = 0;

	for (uint32_t node = 0; node != TREE_NONE; node = tree_next(tree, node, false)) {
		const struct tree_node *n = &tree->node[node];

		names[n->inode]++;
		live++;
		if (strncmp(n->name ? n->name : "", ".wh.", 4) == 0 ||
		    (node != 0 && !tree_is_dir(tree, n->parent)) ||
		    (node != 0 && tree_lookup(tree, n->parent, n->name) != node))
			abort();
	}
	for (uint32_t node = 0; node != TREE_NONE; node = tree_next(tree, node, false))
		if (!tree_is_dir(tree, node) &&
		    names[tree->node[node].inode] != tree_inode(tree, node)->nlink)
			abort();
	free(names);
	if (live != tree->live)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_tree struct tree *tree = tree_new(TREE_OCI);
	struct error err = ERROR_INIT;

	for (size_t i = 0; i + 3 <= size && i < 3000; i += 3)
		add(tree, data + i);
	if (tree_finish(tree, &err) == 0)
		check(tree);
	return 0;
}
