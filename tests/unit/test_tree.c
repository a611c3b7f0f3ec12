/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/str.h"
#include "common/util.h"
#include "stage0/image/tree.h"

/*
 * A tree from a line of words: "d:path" a directory, "f:path" a file, "l:path>target" a symbolic
 * link, "h:path>target" a hard link, "|" the next layer.
 */
static int build(enum tree_rules rules, const char *line, struct tree **ret, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	struct tree *tree = tree_new(rules);
	uint16_t layer = 0;
	int r = 0;

	strv_split(&words, line, ' ');
	for (size_t i = 0; r == 0 && i < words.n; i++) {
		char *word = words.v[i], *target = strchr(word, '>');
		struct entry entry = {
			.perm = 0700, .path = word + 2, .link = "", .uid = layer + 1U};

		if (word[0] == '|') {
			tree_set_layer(tree, ++layer);
			continue;
		}
		if (target) {
			*target = '\0';
			entry.link = target + 1;
		}
		entry.type = word[0] == 'd'   ? ENTRY_DIR
			     : word[0] == 'f' ? ENTRY_REG
			     : word[0] == 'l' ? ENTRY_SYMLINK
					      : ENTRY_HARDLINK;
		r = tree_add(tree, &entry, err);
	}
	if (r == 0)
		r = tree_finish(tree, err);
	if (r == 0)
		*ret = tree;
	else
		tree_free(tree);
	return r;
}

/* The finished tree as words: "dir/ file link>target", names of one file joined by "=". */
static char *listing(const struct tree *tree)
{
	cleanup_str struct str str = STR_INIT;

	for (uint32_t node = tree_next(tree, 0, false); node != TREE_NONE;
	     node = tree_next(tree, node, false)) {
		const struct tree_inode *inode = tree_inode(tree, node);
		uint32_t chain[32];
		size_t n = 0;

		for (uint32_t up = node; up != 0; up = tree->node[up].parent)
			chain[n++] = up;
		if (str.len)
			str_add(&str, " ");
		while (n > 0) {
			str_add(&str, tree->node[chain[--n]].name);
			if (n > 0)
				str_add(&str, "/");
		}
		if (inode->type == ENTRY_DIR)
			str_add(&str, "/");
		if (inode->type == ENTRY_SYMLINK)
			str_addf(&str, ">%s", inode->link);
		if (inode->type != ENTRY_DIR && inode->nlink > 1)
			str_addf(&str, "=%u", inode->nlink);
	}
	return str_take(&str);
}

struct table {
	const char *line, *expect; /* NULL: refused */
};

static void run_table(enum tree_rules rules, const struct table *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cleanup_tree struct tree *tree = NULL;
		cleanup_free char *got = NULL;
		struct error err = ERROR_INIT;
		int r = build(rules, table[i].line, &tree, &err);

		if (!table[i].expect) {
			if (r != -EBADMSG)
				fail_msg("taken: %s", table[i].line);
			continue;
		}
		if (r < 0)
			fail_msg("%s: %s", table[i].line, err.msg);
		got = listing(tree);
		if (strcmp(got, table[i].expect) != 0)
			fail_msg("%s\ngives  %s\nwanted %s", table[i].line, got, table[i].expect);
	}
}

static void an_aci_follows_the_appc_rules(void **state)
{
	static const struct table table[] = {
		{"d: d:b f:b/x f:a", "a b/ b/x"},
		{"f:b/x d:b", "b/ b/x"},
		{"f:a f:a", NULL},
		{"d:a d:a", NULL},
		{"d: d:", NULL},
		{"f:a/b f:a", NULL},
		{"f:a f:a/b", NULL},
		{"l:a>/etc f:a/b", NULL},
		{"f:a h:b>a", "a=2 b=2"},
		{"l:a>x h:b>a", "a>x=2 b>x=2"},
		{"h:b>a f:a", NULL},
		{"h:a>a", NULL},
		{"d:a h:b>a", NULL},
		{"l:l>d d:d f:d/x h:b>l/x", NULL},
		{"f:dev", NULL},
		{"l:proc>x", NULL},
		{"f:sys", NULL},
		{"d:dev d:proc d:sys", "dev/ proc/ sys/"},
		{"f:x/dev", "x/ x/dev"},
		/* over a lower image: replace, never follow */
		{"d:lib f:lib/a | f:lib/b", "lib/ lib/a lib/b"},
		{"l:lib>usr d:usr | f:lib/b", "lib/ lib/b usr/"},
		{"l:lib>usr d:usr | d:lib", "lib/ usr/"},
		{"d:a f:a/x | f:a", "a"},
		{"f:a | d:a f:a/x", "a/ a/x"},
		{"f:a h:b>a | f:b", "a b"},
	};

	(void)state;
	run_table(TREE_APPC, table, ARRAY_SIZE(table));
}

static void layers_follow_the_oci_rules(void **state)
{
	static const struct table table[] = {
		{"f:a | f:.wh.a", ""},
		{"f:a f:b | f:.wh.a", "b"},
		{"f:.wh.a f:a", "a"},
		{"f:a | f:.wh.a f:a", "a"},
		{"f:a | f:a f:.wh.a", "a"},
		{"f:a | f:.wh.nothing", "a"},
		{"f:a | f:no/such/.wh.a", "a"},
		{"f:a f:.wh.", NULL},
		{"f:.wh..", NULL},
		{"f:.wh...", NULL},
		{"f:.wh..wh.plnk f:.wh..wh.orph", ""},
		{"d:d f:d/x f:d/y | f:d/.wh..wh..opq f:d/z", "d/ d/z"},
		{"d:d f:d/x f:d/y | f:d/z f:d/.wh..wh..opq", "d/ d/z"},
		{"d:d f:d/e/x | f:d/e/n f:d/.wh..wh..opq", "d/ d/e/ d/e/n"},
		{"f:d/x | f:d/y f:.wh.d", "d/ d/y"},
		{"f:d/x | f:.wh.d f:d/y", "d/ d/y"},
		{"f:d/e/x | f:.wh.d", ""},
		{"f:x | d:.wh.x", ""},
		{"l:l>d f:d/x | f:l/.wh.x", "d/ l>d"},
		{"f:d | f:d/.wh.x", NULL},
		/* one file of three names, each taken away in turn */
		{"f:a h:b>a h:c>a | f:.wh.a", "b=2 c=2"},
		{"f:a h:b>a h:c>a | f:.wh.b", "a=2 c=2"},
		{"f:a h:b>a h:c>a | f:.wh.a | f:.wh.b", "c"},
		{"f:a h:b>a | f:b", "a b"},
		{"f:a | h:b>a", "a=2 b=2"},
		{"f:a | f:.wh.a | h:b>a", NULL},
		{"d:d | h:b>d", NULL},
		{"h:b>nothing", NULL},
		{"f:a h:a>a", "a"},
		{"f:d/a | h:d>d/a", NULL},
		/* a file, then a directory, then a file again */
		{"f:a | f:.wh.a d:a f:a/x | f:a", "a"},
		{"d:a f:a/x | f:a", "a"},
		{"d:a f:a/x | d:a", "a/ a/x"},
		{"f:a f:a", "a"},
		/* parents that are links are followed inside the root */
		{"d:usr/lib l:lib>usr/lib | f:lib/x", "lib>usr/lib usr/ usr/lib/ usr/lib/x"},
		{"d:usr/lib l:lib>/usr/lib | f:lib/x", "lib>/usr/lib usr/ usr/lib/ usr/lib/x"},
		{"l:up>../../.. | f:up/x", "up>../../.. x"},
		{"l:a>b l:b>a | f:a/x", NULL},
		{"l:a>nowhere | f:a/x", "a>nowhere nowhere/ nowhere/x"},
		{"f:f l:a>f | f:a/x", NULL},
		{"d:usr/lib l:lib>usr/lib f:lib/x | h:y>lib/x",
		 "lib>usr/lib usr/ usr/lib/ usr/lib/x=2 y=2"},
	};

	(void)state;
	run_table(TREE_OCI, table, ARRAY_SIZE(table));
}

static void a_directory_over_a_directory_takes_the_later_attributes(void **state)
{
	cleanup_tree struct tree *tree = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(build(TREE_OCI, "d:a f:a/x f:i/y | d:a f:i/z", &tree, &err), 0);
	assert_int_equal(tree_inode(tree, tree_find(tree, "a"))->uid, 2);
	assert_int_equal(tree_inode(tree, tree_find(tree, "a/x"))->uid, 1);
	/* implied parents are root's */
	assert_int_equal(tree_inode(tree, tree_find(tree, "i"))->uid, 0);
	assert_int_equal(tree_inode(tree, tree_find(tree, "i"))->perm, 0755);
}

static void a_directory_that_was_whited_out_loses_its_attributes(void **state)
{
	cleanup_tree struct tree *tree = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(build(TREE_OCI, "d:a f:a/x | f:a/y f:.wh.a", &tree, &err), 0);
	assert_int_equal(tree_inode(tree, tree_find(tree, "a"))->uid, 0);
	assert_int_equal(tree_find(tree, "a/x"), TREE_NONE);
}

static void children_are_in_the_order_of_their_bytes(void **state)
{
	cleanup_tree struct tree *tree = NULL;
	cleanup_free char *got = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(build(TREE_APPC, "f:b f:a.b f:a f:\xff f:a/../a", &tree, &err), -EINVAL);
	assert_int_equal(build(TREE_APPC, "f:b f:a.b f:a f:\xff f:B f:aa f:-", &tree, &err), 0);
	got = listing(tree);
	assert_string_equal(got, "- B a a.b aa b \xff");
}

static void a_hundred_thousand_names_in_one_directory_take_no_time(void **state)
{
	cleanup_tree struct tree *tree = tree_new(TREE_APPC);
	struct error err = ERROR_INIT;
	struct timespec from, to;
	char name[32];

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (unsigned i = 0; i < 100000; i++) {
		struct entry entry = {.type = ENTRY_REG, .path = name, .link = ""};

		snprintf(name, sizeof(name), "d/%u", i);
		assert_int_equal(tree_add(tree, &entry, &err), 0);
	}
	assert_int_equal(tree_finish(tree, &err), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	/* a quadratic tree would take minutes; sanitizers take their share of this */
	assert_true(to.tv_sec - from.tv_sec < 10);
	assert_int_not_equal(tree_find(tree, "d/99999"), TREE_NONE);
	assert_int_equal(tree_find(tree, "d/100000"), TREE_NONE);
}

static bool keep_listed(void *ctx, const char *path, bool is_dir)
{
	(void)is_dir;
	return strv_contains(ctx, path);
}

static void images_are_laid_over_each_other_whole_or_filtered(void **state)
{
	cleanup_tree struct tree *lower = NULL, *top = NULL;
	cleanup_strv struct strv list = STRV_INIT;
	cleanup_free char *got = NULL, *filtered = NULL;
	cleanup_tree struct tree *base = tree_new(TREE_APPC);
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(build(TREE_APPC, "d:a f:a/x f:c l:l>a f:one h:two>one", &lower, &err), 0);
	assert_int_equal(build(TREE_APPC, "d:a f:a/y d:c f:c/z f:l/n", &top, &err), 0);
	assert_int_equal(tree_merge(base, lower, NULL, NULL, &err), 0);
	assert_int_equal(tree_merge(base, top, NULL, NULL, &err), 0);
	assert_int_equal(tree_finish(base, &err), 0);
	got = listing(base);
	assert_string_equal(got, "a/ a/x a/y c/ c/z l/ l/n one=2 two=2");

	/* a file is kept when one of its names is */
	strv_add(&list, "two");
	tree_free(base);
	base = tree_new(TREE_APPC);
	assert_int_equal(tree_merge(base, lower, keep_listed, &list, &err), 0);
	assert_int_equal(tree_finish(base, &err), 0);
	filtered = listing(base);
	assert_string_equal(filtered, "two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_aci_follows_the_appc_rules),
		cmocka_unit_test(layers_follow_the_oci_rules),
		cmocka_unit_test(a_directory_over_a_directory_takes_the_later_attributes),
		cmocka_unit_test(a_directory_that_was_whited_out_loses_its_attributes),
		cmocka_unit_test(children_are_in_the_order_of_their_bytes),
		cmocka_unit_test(a_hundred_thousand_names_in_one_directory_take_no_time),
		cmocka_unit_test(images_are_laid_over_each_other_whole_or_filtered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
