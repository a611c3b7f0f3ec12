/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "stage0/command.h"

#define OPTIONS_SHOWN_MAX 64 /* options of one command and the global ones, far from reached */

static int by_name(const void *a, const void *b)
{
	const struct option *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void usage_options(FILE *out, const char *title, const struct option *table)
{
	const struct option *sorted[OPTIONS_SHOWN_MAX];
	struct option_walk walk = {.at = table};
	size_t n = 0;

	while (n < ARRAY_SIZE(sorted) && (sorted[n] = option_next(&walk)))
		n++;
	if (n == 0)
		return;
	qsort(sorted, n, sizeof(sorted[0]), by_name);
	fprintf(out, "%s:\n", title);
	for (size_t i = 0; i < n; i++) {
		const struct option *o = sorted[i];

		if (o->type == OPT_BOOL)
			fprintf(out, "\t--%s[=%s]\t%s%s%.*s%s\n", o->name,
				o->dflt ? o->dflt : "false", o->help, o->letter ? " (-" : "",
				o->letter != 0, &o->letter, o->letter ? ")" : "");
		else if (o->type == OPT_STRING)
			fprintf(out, "\t--%s=\"%s\"\t%s\n", o->name, o->dflt ? o->dflt : "",
				o->help);
		else
			fprintf(out, "\t--%s=%s\t%s\n", o->name, o->arg, o->help);
	}
	fputc('\n', out);
}

/* Text with each line indented by a tab. */
static void usage_text(FILE *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		fprintf(out, "%s%.*s\n", len ? "\t" : "", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* The commands of a group, or all that are no group. help comes last. */
static void usage_commands(FILE *out, const struct command *group)
{
	const struct command *help = NULL;

	fprintf(out, "COMMANDS:\n");
	for (size_t i = 0; commands[i]; i++) {
		if (!commands[i]->run || (group && !command_in(commands[i], group)) ||
		    (commands[i]->only && !commands[i]->only()))
			continue;
		if (strcmp(commands[i]->name, "help") == 0)
			help = commands[i];
		else
			fprintf(out, "\t%s\t%s\n", commands[i]->name, commands[i]->summary);
	}
	if (help)
		fprintf(out, "\t%s\t%s\n", help->name, help->summary);
	fputc('\n', out);
}

void usage_command(FILE *out, const char *prog, const struct command *command)
{
	fprintf(out, "NAME:\n\t%s - %s\n\n", command->name, command->summary);
	fprintf(out, "USAGE:\n\t%s %s%s%s\n\n", prog, command->name, *command->args ? " " : "",
		command->args);
	if (!command->run)
		usage_commands(out, command);
	if (command->text) {
		fprintf(out, "DESCRIPTION:\n");
		usage_text(out, command->text);
		fputc('\n', out);
	}
	usage_options(out, "OPTIONS", command->options);
	usage_options(out, "GLOBAL OPTIONS", global_options);
}

void usage_top(FILE *out, const char *prog)
{
	fprintf(out, "NAME:\n\t%s - run pods in microVMs\n\n", prog);
	fprintf(out, "USAGE:\n\t%s [options] COMMAND [options] [arguments]\n\n", prog);
	fprintf(out, "VERSION:\n\t%s\n\n", TRIPOD_VERSION);
	usage_commands(out, NULL);
	fprintf(out, "DESCRIPTION:\n");
	usage_text(out,
		   "A pod is one or more apps, each an image, that run together in a virtual\n"
		   "machine of their own with its own kernel. There is no daemon: the process\n"
		   "that runs a pod is the pod, and ends with the app's exit status.");
	fputc('\n', out);
	usage_options(out, "OPTIONS", global_options);
}

int usage_error(const char *prog, const struct command *command, const char *msg)
{
	cleanup_str struct str text = STR_INIT;

	usage_command(stdout, prog, command);
	fflush(stdout);
	str_add_escaped(&text, msg, strlen(msg));
	fprintf(stderr, "Error: %s\n\n", str_get(&text));
	return EXIT_FAILED;
}
