/* SPDX-License-Identifier: Apache-2.0 */
/* The option tables, the parser over them, and the image grammar (rkt-behaviour 1.1, 2.2). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/grammar.h"

struct values {
	bool flag, loud;
	char *text;
	char *wait;
	struct strv list;
	struct strv pairs;
	struct strv env;
	struct strv for_all;
};

static const struct option table[] = {
	{"flag", OPT_BOOL, offsetof(struct values, flag), .letter = 'f', .help = ""},
	{"loud", OPT_BOOL, offsetof(struct values, loud), .dflt = "true", .help = ""},
	{"text", OPT_STRING, offsetof(struct values, text), .dflt = "default", .help = ""},
	{"wait", OPT_STRING, offsetof(struct values, wait), .noopt = "true", .help = ""},
	{"list", OPT_LIST, offsetof(struct values, list), .help = ""},
	{"pair", OPT_KEYVALS, offsetof(struct values, pairs), .help = ""},
	{"env", OPT_ENV, offsetof(struct values, env), .help = ""},
	{"name", OPT_STRING, offsetof(struct app_request, name), .app = true, .help = ""},
	{"mount", OPT_LIST, offsetof(struct app_request, mounts), .app = true,
	 .early = offsetof(struct values, for_all), .help = ""},
	{"ro", OPT_BOOL, offsetof(struct app_request, readonly_rootfs), .app = true,
	 .explicit_value = true, .help = ""},
	{.name = NULL},
};

/* Parse a line of words separated by '|'. */
static int parse(const char *line, bool interspersed, struct values *values, struct strv *rest,
		 struct error *err)
{
	const struct option_set set = {table, values};
	cleanup_strv struct strv words = STRV_INIT;

	strv_split(&words, line, '|');
	options_init(table, values, false);
	return options_parse(words.v, words.n, interspersed, &set, 1, rest, err);
}

static void every_type_takes_its_forms(void **state)
{
	struct values v = {.flag = false};
	cleanup_strv struct strv rest = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse("--flag|--loud=F|--text|a b|--text=c=d|--wait|x|--list=1|--list|-2|"
			       "--pair=a=1|--pair|b=|--pair=a=2|--env=A=1|--env=B=|y|--|--flag=0",
			       true, &v, &rest, &err),
			 0);
	assert_true(v.flag);
	assert_false(v.loud);
	assert_string_equal(v.text, "c=d");
	assert_string_equal(v.wait, "true");
	assert_int_equal(v.list.n, 2);
	assert_string_equal(v.list.v[1], "-2");
	assert_int_equal(v.pairs.n, 2);
	assert_string_equal(keyvals_get(&v.pairs, "a"), "2");
	assert_string_equal(keyvals_get(&v.pairs, "b"), "");
	assert_null(keyvals_get(&v.pairs, "c"));
	assert_int_equal(v.env.n, 2);
	assert_int_equal(rest.n, 3);
	assert_string_equal(rest.v[0], "x");
	assert_string_equal(rest.v[2], "--flag=0");
	options_free(table, &v, false);
}

static void defaults_stand_where_nothing_is_given(void **state)
{
	struct values v = {.flag = false};
	cleanup_strv struct strv rest = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse("x", true, &v, &rest, &err), 0);
	assert_true(v.loud);
	assert_string_equal(v.text, "default");
	assert_null(v.wait);
	options_free(table, &v, false);
}

static void parsing_stops_at_the_first_word_of_a_grammar(void **state)
{
	struct values v = {.flag = false};
	cleanup_strv struct strv rest = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse("--flag|image|--nonsense", false, &v, &rest, &err), 0);
	assert_int_equal(rest.n, 2);
	options_free(table, &v, false);
	strv_free(&rest);
	assert_int_equal(parse("--flag|--|x", false, &v, &rest, &err), 0);
	assert_int_equal(rest.n, 2);
	assert_string_equal(rest.v[0], "--");
	options_free(table, &v, false);
}

static void a_letter_stands_for_its_flag(void **state)
{
	struct values v = {.flag = false};
	cleanup_strv struct strv rest = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse("x|-f", true, &v, &rest, &err), 0);
	assert_true(v.flag);
	options_free(table, &v, false);
	v = (struct values){.flag = false};
	assert_int_equal(parse("-g", true, &v, &rest, &err), -EINVAL);
	assert_string_equal(err.msg, "unknown shorthand flag: -g");
	options_free(table, &v, false);
	assert_int_equal(parse("-ff", true, &v, &rest, &err), -EINVAL);
	options_free(table, &v, false);
}

static void mistakes_name_the_flag(void **state)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
		{"--nope", "unknown flag: --nope"},
		{"--nope=1", "unknown flag: --nope"},
		{"-x", "-x"},
		{"-flag", "-flag"},
		{"--text", "needs an argument: --text"},
		{"--flag=maybe", "--flag"},
		{"--flag=", "--flag"},
		{"--fla", "unknown flag: --fla"},
		{"--flagg", "unknown flag"},
		{"--=x", "unknown flag"},
		{"--pair=novalue", "--pair"},
		{"--pair==v", "--pair"},
		{"--env=A=1|--env=A=2", "twice"},
		{"--name=x", "must follow the image"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct values v = {.flag = false};
		cleanup_strv struct strv rest = STRV_INIT;
		struct error err = ERROR_INIT;

		if (parse(rows[i].line, true, &v, &rest, &err) != -EINVAL ||
		    !strstr(err.msg, rows[i].says))
			fail_msg("%s: %s", rows[i].line, err.msg);
		options_free(table, &v, false);
	}
}

/* A grammar's result as text: "image name=N ro args=[..]; ..." */
static int grammar(const char *line, struct str *ret, struct error *err)
{
	struct values v = {.flag = false};
	const struct option_set set = {table, &v};
	struct image_list images = IMAGE_LIST_INIT;
	cleanup_strv struct strv words = STRV_INIT;
	int r;

	strv_split(&words, line, '|');
	r = grammar_parse(&words, &set, 1, &images, err);
	for (size_t i = 0; r == 0 && i < images.n; i++) {
		const struct app_request *app = &images.v[i];

		str_addf(ret, "%s%s%s%s%s", i ? "; " : "", app->image, app->name ? " name=" : "",
			 app->name ? app->name : "", app->readonly_rootfs ? " ro" : "");
		if (app->has_args)
			str_add(ret, " args=");
		for (size_t k = 0; k < app->args.n; k++)
			str_addf(ret, "[%s]", app->args.v[k]);
		for (size_t k = 0; k < app->mounts.n; k++)
			str_addf(ret, " %s", app->mounts.v[k]);
	}
	if (r == 0 && v.flag)
		str_add(ret, " +flag");
	for (size_t k = 0; r == 0 && k < v.for_all.n; k++)
		str_addf(ret, " +%s", v.for_all.v[k]);
	image_list_free(&images, table);
	options_free(table, &v, false);
	return r;
}

static void the_grammar_binds_words_to_images(void **state)
{
	static const struct {
		const char *line, *want; /* NULL: refused */
	} rows[] = {
		{"a", "a"},
		{"a|b", "a; b"},
		{"|a||", "a"},
		{"a|--name=x|b|--name|y", "a name=x; b name=y"},
		{"a|--name=x|--name=y", "a name=y"},
		{"a|--ro=true|b|--ro|false", "a ro; b"},
		{"a|--ro|b", NULL}, /* needs a boolean */
		{"a|--flag", "a +flag"},
		{"--mount=all|a|--mount=own|b|--mount|its", "a own; b its +all"},
		{"--mount|x|--mount|y|a", "a +x +y"},
		{"--mount", NULL},
		{"a|--", "a args="},
		{"a|--|x|--flag|y", "a args=[x][--flag][y]"},
		{"a|--|x|---|b|--|y", "a args=[x]; b args=[y]"},
		{"a|--|x|--|y", "a args=[x][--][y]"},
		{"a|--||x", "a args=[][x]"},
		{"a|---|b", "a; b"},
		{"---", ""},
		{"a|--|x|---|--name=z|b", "a name=z args=[x]; b"},
		{"a|--|x|---|--|y", NULL}, /* a second block */
		{"--|x", NULL},
		{"--name=x|a", NULL},
		{"a|--unknown", NULL},
		{"a|-", NULL},
		{"a|--name", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_str struct str got = STR_INIT;
		struct error err = ERROR_INIT;
		int r = grammar(rows[i].line, &got, &err);

		if ((r < 0) != !rows[i].want ||
		    (r == 0 && strcmp(str_get(&got), rows[i].want) != 0))
			fail_msg("%s: %d, %s, %s", rows[i].line, r, str_get(&got), err.msg);
	}
}

static void more_images_than_a_pod_can_have_are_refused(void **state)
{
	cleanup_str struct str line = STR_INIT, got = STR_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	for (int i = 0; i < POD_APPS_MAX; i++)
		str_add(&line, i ? "|a" : "a");
	assert_int_equal(grammar(str_get(&line), &got, &err), 0);
	str_add(&line, "|a");
	assert_int_equal(grammar(str_get(&line), &got, &err), -E2BIG);
}

/* command_main() skips the value of a flag before the command without knowing the command. */
static void a_flag_takes_its_value_the_same_way_in_every_command(void **state)
{
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		struct option_walk walk = {.at = commands[i]->options};
		const struct option *a;

		while ((a = option_next(&walk))) {
			assert_null(option_find(global_options, a->name, strlen(a->name)));
			for (size_t k = 0; commands[k]; k++) {
				const struct option *b =
					option_find(commands[k]->options, a->name, strlen(a->name));

				if (b && option_takes_word(a) != option_takes_word(b))
					fail_msg("--%s differs between %s and %s", a->name,
						 commands[i]->name, commands[k]->name);
			}
		}
	}
}

static void tables_are_complete_and_sorted(void **state)
{
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		struct option_walk walk = {.at = commands[i]->options};
		const struct option *o;

		if (i > 0)
			assert_true(strcmp(commands[i - 1]->name, commands[i]->name) < 0);
		assert_non_null(commands[i]->summary);
		assert_non_null(commands[i]->args);
		while ((o = option_next(&walk))) {
			assert_non_null(o->help);
			assert_true(o->type == OPT_BOOL || o->arg != NULL);
			assert_true((o->type == OPT_STRING) || !o->noopt);
		}
	}
}

static void a_table_includes_others_in_its_place(void **state)
{
	static const struct option none[] = {{.name = NULL}};
	static const struct option inner[] = {{.name = "b"}, {.name = "c"}, {.name = NULL}};
	static const struct option outer[] = {{.name = "a"}, {.include = none}, {.include = inner},
					      {.name = "d"}, {.include = none}, {.name = NULL}};
	struct option_walk walk = {.at = outer};

	(void)state;
	assert_string_equal(option_next(&walk)->name, "a");
	assert_string_equal(option_next(&walk)->name, "b");
	assert_string_equal(option_next(&walk)->name, "c");
	assert_string_equal(option_next(&walk)->name, "d");
	assert_null(option_next(&walk));
	assert_null(option_next(&walk));
	assert_ptr_equal(option_find(outer, "c", 1), &inner[1]);
	walk = (struct option_walk){.at = NULL};
	assert_null(option_next(&walk));
}

static void commands_may_be_shortened_while_unambiguous(void **state)
{
	bool ambiguous = true;

	(void)state;
	assert_ptr_equal(command_find(NULL, "version", &ambiguous), &cmd_version);
	assert_ptr_equal(command_find(NULL, "v", &ambiguous), &cmd_version);
	assert_false(ambiguous);
	assert_null(command_find(NULL, "c", &ambiguous)); /* cat-manifest, completion */
	assert_true(ambiguous);
	assert_null(command_find(NULL, "versions", &ambiguous));
	assert_false(ambiguous);
	assert_null(command_find(NULL, "", &ambiguous));
}

static void a_groups_commands_are_found_in_the_group_alone(void **state)
{
	bool ambiguous = true;

	(void)state;
	assert_ptr_equal(command_find(NULL, "im", &ambiguous), &cmd_image);
	assert_null(cmd_image.run);
	assert_ptr_equal(command_find(&cmd_image, "cat-manifest", &ambiguous),
			 &cmd_image_cat_manifest);
	assert_ptr_equal(command_find(&cmd_image, "cat", &ambiguous), &cmd_image_cat_manifest);
	assert_null(command_find(&cmd_image, "version", &ambiguous));
	assert_null(command_find(&cmd_image, "image", &ambiguous));
	assert_null(command_find(&cmd_gc, "gc", &ambiguous));
	assert_string_equal(command_word(&cmd_image_cat_manifest), "cat-manifest");
	assert_string_equal(command_word(&cmd_image), "image");
}

static void every_command_with_two_words_is_in_a_group(void **state)
{
	bool ambiguous;

	(void)state;
	setenv("RKT_EXPERIMENT_APP", "true", 1);
	for (size_t i = 0; commands[i]; i++) {
		const char *space = strchr(commands[i]->name, ' ');
		cleanup_free char *group = NULL;

		if (!space)
			continue;
		group = xstrndup(commands[i]->name, (size_t)(space - commands[i]->name));
		assert_null(strchr(space + 1, ' '));
		assert_non_null(commands[i]->run);
		assert_non_null(command_find(NULL, group, &ambiguous));
		assert_null(command_find(NULL, group, &ambiguous)->run);
	}
	unsetenv("RKT_EXPERIMENT_APP");
	assert_null(command_find(NULL, "app", &ambiguous));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_takes_its_forms),
		cmocka_unit_test(defaults_stand_where_nothing_is_given),
		cmocka_unit_test(parsing_stops_at_the_first_word_of_a_grammar),
		cmocka_unit_test(a_letter_stands_for_its_flag),
		cmocka_unit_test(mistakes_name_the_flag),
		cmocka_unit_test(the_grammar_binds_words_to_images),
		cmocka_unit_test(more_images_than_a_pod_can_have_are_refused),
		cmocka_unit_test(a_flag_takes_its_value_the_same_way_in_every_command),
		cmocka_unit_test(tables_are_complete_and_sorted),
		cmocka_unit_test(a_table_includes_others_in_its_place),
		cmocka_unit_test(commands_may_be_shortened_while_unambiguous),
		cmocka_unit_test(a_groups_commands_are_found_in_the_group_alone),
		cmocka_unit_test(every_command_with_two_words_is_in_a_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
