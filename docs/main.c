/* SPDX-License-Identifier: Apache-2.0 */
/* The options section of a command's page, in Markdown, from the command's table. */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "stage0/cmds.h"

#define OPTIONS_MAX 64 /* of one command: far from reached, as in its usage */

static int by_name(const void *a, const void *b)
{
	const struct option *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void print_table(const struct option *first)
{
	struct option_walk walk = {.at = first};
	const struct option *sorted[OPTIONS_MAX];
	size_t n = 0;

	while (n < ARRAY_SIZE(sorted) && (sorted[n] = option_next(&walk)))
		n++;
	qsort(sorted, n, sizeof(sorted[0]), by_name);
	for (size_t i = 0; i < n; i++) {
		const struct option *o = sorted[i];

		if (o->type == OPT_BOOL && !o->explicit_value)
			printf("%s%.*s%s`--%s`", o->letter ? "`-" : "", o->letter != 0, &o->letter,
			       o->letter ? "`, " : "", o->name);
		else if (o->noopt)
			printf("`--%s`, `--%s=%s`", o->name, o->name, o->arg);
		else
			printf("`--%s=%s`", o->name, o->arg);
		printf("\n:   %s", o->help);
		if (o->dflt && o->type == OPT_STRING)
			printf(" (default: %s)", o->dflt);
		else if (o->dflt)
			printf(" (on unless --%s=false)", o->name);
		printf("\n\n");
	}
}

/* The command a page's name is made of: its words, joined by dashes. */
static const struct command *command_of_page(const char *page)
{
	for (size_t i = 0; commands[i]; i++) {
		const char *name = commands[i]->name, *p = page;

		while (*name && *p == (*name == ' ' ? '-' : *name)) {
			name++;
			p++;
		}
		if (!*name && !*p)
			return commands[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "tripod") == 0) {
		print_table(global_options);
		return 0;
	}
	command = command_of_page(argv[1]);
	if (!command)
		return 1;
	if (!command->options)
		printf("None but the global ones, see [tripod](tripod.md).\n\n");
	print_table(command->options);
	return 0;
}
