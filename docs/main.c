/* SPDX-License-Identifier: Apache-2.0 */
/* The options section of a command's page, in Markdown, from the command's table. */
#include <string.h>

#include "stage0/cmds.h"

static void print_table(const struct option *table)
{
	for (; table && table->name; table++) {
		if (table->type == OPT_BOOL && !table->explicit_value)
			printf("`--%s`", table->name);
		else if (table->noopt)
			printf("`--%s`, `--%s=%s`", table->name, table->name, table->arg);
		else
			printf("`--%s=%s`", table->name, table->arg);
		printf("\n:   %s", table->help);
		if (table->dflt && table->type == OPT_STRING)
			printf(" (default: %s)", table->dflt);
		else if (table->dflt)
			printf(" (on unless --%s=false)", table->name);
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
