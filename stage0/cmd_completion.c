/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "stage0/cmds.h"

/*
 * The words come from the tables. Files are completed where nothing better is known; pod UUIDs come
 * from "list" (its first column, as rkt's own completion does).
 */

static void print_flags(const struct option *table)
{
	for (; table && table->name; table++)
		printf(" --%s%s", table->name, option_takes_word(table) ? "=" : "");
}

static void print_script(const char *prog)
{
	printf("# bash completion for %s\n_%s()\n{\n", prog, prog);
	printf("\tlocal cur=${COMP_WORDS[COMP_CWORD]} word cmd= words=\n\n"
	       "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	       "\t\tcase $word in\n\t\t");
	for (size_t i = 0; commands[i]; i++)
		printf("%s%s", i ? "|" : "", commands[i]->name);
	printf(") cmd=$word; break ;;\n\t\tesac\n\tdone\n\tcase $cmd in\n");
	for (size_t i = 0; commands[i]; i++) {
		printf("\t%s) words='", commands[i]->name);
		print_flags(commands[i]->options);
		printf("' ;;\n");
	}
	printf("\t*) words='");
	for (size_t i = 0; commands[i]; i++)
		printf(" %s", commands[i]->name);
	printf("' ;;\n\tesac\n\twords+='");
	print_flags(global_options);
	printf("'\n\tCOMPREPLY=()\n\tcase $cmd:$cur in\n"
	       "\t*:-*|:*) ;;\n");
	for (size_t i = 0; commands[i]; i++)
		if (strstr(commands[i]->args, "UUID"))
			printf("\t%s:*) words=$(%s list --no-legend --full 2>/dev/null | "
			       "cut -f1 | grep .) ;;\n",
			       commands[i]->name, prog);
	printf("\t*) compopt -o default; return ;;\n\tesac\n"
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
