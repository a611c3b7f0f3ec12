/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "stage0/cmds.h"

/*
 * The words come from the tables. Files are completed where nothing better is known; pod UUIDs come
 * from "list" (its first column, as rkt's own completion does), images of the store from "image list".
 */

static void print_flags(const struct option *table)
{
	struct option_walk walk = {.at = table};
	const struct option *o;

	while ((o = option_next(&walk)))
		printf(" --%s%s", o->name, option_takes_word(o) ? "=" : "");
}

/* A command's name as a shell pattern. */
static void print_name(const char *name)
{
	for (; *name; name++)
		printf("%s%c", *name == ' ' ? "\\" : "", *name);
}

/* The case in which words are the commands of a group, or, for NULL, of none. */
static void print_group(const struct command *group)
{
	printf("\t");
	print_name(group ? group->name : "''");
	printf(") words='");
	for (size_t i = 0; commands[i]; i++)
		if (command_in(commands[i], group))
			printf(" %s", command_word(commands[i]));
	printf("' ;;\n");
}

/* The cases in which words are a command's arguments. */
static void print_arguments(const char *prog, const struct command *command)
{
	printf("\t");
	print_name(command->name);
	if (!command->run)
		printf(":*) ;;\n");
	else if (strstr(command->args, "UUID"))
		printf(":*) words=$(%s list --no-legend --full 2>/dev/null | cut -f1 | grep .) "
		       ";;\n",
		       prog);
	else if (strcmp(command->args, "IMAGE...") == 0 || str_ends_with(command->args, "] IMAGE"))
		printf(":*) words=$(%s image list --no-legend --fields=name 2>/dev/null) ;;\n",
		       prog);
	else
		printf(":*) compopt -o default; return ;;\n");
}

static void print_script(const char *prog)
{
	printf("# bash completion for %s\n_%s()\n{\n", prog, prog);
	printf("\tlocal cur=${COMP_WORDS[COMP_CWORD]} word cmd= words=\n\n"
	       "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	       "\t\tcase ${cmd:+$cmd }$word in\n\t\t");
	for (size_t i = 0; commands[i]; i++) {
		printf("%s", i ? "|" : "");
		print_name(commands[i]->name);
	}
	printf(") cmd=${cmd:+$cmd }$word ;;\n\t\tesac\n\tdone\n\tcase $cmd in\n");
	print_group(NULL);
	for (size_t i = 0; commands[i]; i++) {
		if (!commands[i]->run) {
			print_group(commands[i]);
			continue;
		}
		printf("\t");
		print_name(commands[i]->name);
		printf(") words='");
		print_flags(commands[i]->options);
		printf("' ;;\n");
	}
	printf("\tesac\n\twords+='");
	print_flags(global_options);
	printf("'\n\tCOMPREPLY=()\n\tcase $cmd:$cur in\n"
	       "\t*:-*|:*) ;;\n");
	for (size_t i = 0; commands[i]; i++)
		print_arguments(prog, commands[i]);
	printf("\tesac\n"
	       "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	       "\t[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace\n"
	       "}\ncomplete -F _%s %s\n",
	       prog, prog);
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	(void)opts;
	if (args->n != 1 || strcmp(args->v[0], "bash") != 0) {
		fprintf(stderr, "completion: name the shell; only bash is supported\n");
		return EXIT_FAILED;
	}
	print_script(globals->prog);
	return 0;
}

const struct command cmd_completion = {
	.name = "completion",
	.args = "bash",
	.summary = "print a shell completion script",
	.text = "Load it with: source <(tripod completion bash)",
	.max_args = 1,
	.run = run,
};
