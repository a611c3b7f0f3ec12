/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch: find the command's word, or two in a group, which flags of the command itself may precede
 * (rkt-behaviour 1.1), parse all flags against the command's table and the global one, check, run.
 *
 * To skip the value of a flag that stands before the command, the flag is looked up in all tables.
 * That is sound because a name takes its value in the same way wherever it is used (tested).
 */
#include "stage0/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/util.h"

const struct option global_options[] = {
	{.name = "debug",
	 .type = OPT_BOOL,
	 .offset = offsetof(struct globals, debug),
	 .help = "say what is being done, and show the guest kernel's console"},
	{.name = "dir",
	 .type = OPT_STRING,
	 .offset = offsetof(struct globals, dir),
	 .arg = "PATH",
	 .help = "data directory (for root /var/lib/tripod, else ~/.local/share/tripod)"},
	{.name = "help",
	 .type = OPT_BOOL,
	 .offset = offsetof(struct globals, help),
	 .help = "show usage and exit"},
	{.name = "insecure-options",
	 .type = OPT_STRING,
	 .offset = offsetof(struct globals, insecure_arg),
	 .dflt = "none",
	 .arg = "LIST",
	 .help = "security features to switch off: none, image, tls, ondisk, http, pubkey, "
		 "capabilities, paths, seccomp, all-fetch, all-run, all"},
	{.name = "local-config",
	 .type = OPT_STRING,
	 .offset = offsetof(struct globals, local_config),
	 .arg = "DIR",
	 .help = "the administrator's configuration (/etc/tripod; called as rkt /etc/rkt)"},
	{.name = "system-config",
	 .type = OPT_STRING,
	 .offset = offsetof(struct globals, system_config),
	 .arg = "DIR",
	 .help = "the vendor's configuration (/usr/lib/tripod; called as rkt /usr/lib/rkt)"},
	{.name = "trust-keys-from-https",
	 .type = OPT_BOOL,
	 .offset = offsetof(struct globals, trust_keys_from_https),
	 .help = "trust the signing keys a name's server offers over https, without asking"},
	{.name = "user-config",
	 .type = OPT_STRING,
	 .offset = offsetof(struct globals, user_config),
	 .arg = "DIR",
	 .help = "your own configuration (default: none)"},
	{.name = NULL},
};

static const struct {
	const char *word;
	unsigned bits;
} insecure_words[] = {
	{"none", 0},
	{"image", INSECURE_IMAGE},
	{"tls", INSECURE_TLS},
	{"ondisk", INSECURE_ONDISK},
	{"http", INSECURE_HTTP},
	{"pubkey", INSECURE_PUBKEY},
	{"capabilities", INSECURE_CAPABILITIES},
	{"paths", INSECURE_PATHS},
	{"seccomp", INSECURE_SECCOMP},
	{"all-fetch", INSECURE_IMAGE | INSECURE_TLS | INSECURE_HTTP | INSECURE_PUBKEY},
	{"all-run", INSECURE_CAPABILITIES | INSECURE_PATHS | INSECURE_SECCOMP},
	{"all", 0xff},
};

static int insecure_parse(const char *list, unsigned *ret, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	unsigned bits = 0, seen = 0;

	strv_split(&words, list, ',');
	for (size_t i = 0; i < words.n; i++) {
		size_t k = 0;

		while (k < ARRAY_SIZE(insecure_words) &&
		       strcasecmp(words.v[i], insecure_words[k].word) != 0)
			k++;
		if (k == ARRAY_SIZE(insecure_words))
			return error_set(err, -EINVAL, "--insecure-options: unknown word \"%s\"",
					 words.v[i]);
		if (seen & (1U << k))
			return error_set(err, -EINVAL, "--insecure-options: \"%s\" is given twice",
					 words.v[i]);
		seen |= 1U << k;
		bits |= insecure_words[k].bits;
	}
	*ret = bits;
	return 0;
}

int globals_apply(struct globals *globals, struct error *err)
{
	if (globals->dir && globals->dir[0] != '/')
		return error_set(err, -EINVAL, "--dir: \"%s\" is not an absolute path",
				 globals->dir);
	if (globals->debug)
		log_set_level(LOG_DEBUG);
	return insecure_parse(globals->insecure_arg, &globals->insecure, err);
}

static char *default_data_dir(void)
{
	const char *home;

	if (geteuid() == 0)
		return xstrdup("/var/lib/tripod");
	home = getenv("XDG_DATA_HOME");
	if (home && home[0] == '/')
		return xasprintf("%s/tripod", home);
	home = getenv("HOME");
	if (home && home[0] == '/')
		return xasprintf("%s/.local/share/tripod", home);
	return NULL;
}

struct config_dirs globals_config_dirs(const struct globals *globals)
{
	return (struct config_dirs){
		.system = globals->system_config ? globals->system_config
			  : globals->as_rkt	 ? "/usr/lib/rkt"
						 : "/usr/lib/tripod",
		.local = globals->local_config ? globals->local_config
			 : globals->as_rkt     ? "/etc/rkt"
					       : "/etc/tripod",
		.user = globals->user_config,
	};
}

int globals_config(const struct globals *globals, struct config *ret, struct error *err)
{
	struct config_dirs dirs = globals_config_dirs(globals);

	return config_load(&dirs, ret, err) < 0 ? error_wrap(err, "configuration") : 0;
}

/* --dir, what is configured, or the default; NULL when there is none. */
static int choose_data_dir(const struct globals *globals, char **ret, struct error *err)
{
	cleanup_config struct config config = CONFIG_INIT;
	int r;

	if (globals->dir) {
		*ret = xstrdup(globals->dir);
		return 0;
	}
	r = globals_config(globals, &config, err);
	if (r == 0)
		*ret = config.data ? take_ptr(config.data) : default_data_dir();
	return r;
}

int globals_data_dir(const struct globals *globals, char **ret, struct error *err)
{
	cleanup_free char *dir = NULL;
	char *real;
	int r = choose_data_dir(globals, &dir, err);

	if (r < 0)
		return r;
	if (!dir)
		return error_set(err, -ENOENT,
				 "no data directory: HOME is not set; name one with --dir");
	r = mkdir_path(AT_FDCWD, dir, 0750, err);
	if (r < 0)
		return r;
	real = realpath(dir, NULL);
	if (!real)
		return error_errno(err, "%s", dir);
	*ret = real;
	return 0;
}

static bool experiment(const char *variable)
{
	const char *value = getenv(variable);
	bool on = false;

	return value && parse_bool(value, &on) && on;
}

bool experiment_app(void)
{
	return experiment("RKT_EXPERIMENT_APP");
}

bool experiment_attach(void)
{
	return experiment("RKT_EXPERIMENT_ATTACH");
}

const char *command_word(const struct command *command)
{
	const char *space = strrchr(command->name, ' ');

	return space ? space + 1 : command->name;
}

bool command_in(const struct command *command, const struct command *group)
{
	size_t len = (size_t)(command_word(command) - command->name);

	if (command->only && !command->only())
		return false;
	if (!group)
		return len == 0;
	return len == strlen(group->name) + 1 && strncmp(command->name, group->name, len - 1) == 0;
}

const struct command *command_find(const struct command *group, const char *word,
				   bool *ret_ambiguous)
{
	const struct command *found = NULL;

	*ret_ambiguous = false;
	for (size_t i = 0; commands[i]; i++) {
		if (!command_in(commands[i], group))
			continue;
		if (strcmp(command_word(commands[i]), word) == 0) {
			*ret_ambiguous = false;
			return commands[i];
		}
		if (*word && str_starts_with(command_word(commands[i]), word)) {
			*ret_ambiguous = found != NULL;
			found = commands[i];
		}
	}
	return *ret_ambiguous ? NULL : found;
}

int command_unknown(const char *prog, const char *word, bool ambiguous)
{
	fprintf(stderr, "Error: %s command \"%s\" for \"%s\"\nRun '%s help' for usage.\n",
		ambiguous ? "ambiguous" : "unknown", word, prog, prog);
	return EXIT_FAILED;
}

static const struct option *option_find_anywhere(const char *name, size_t len)
{
	const struct option *option = option_find(global_options, name, len);

	for (size_t i = 0; !option && commands[i]; i++)
		option = option_find(commands[i]->options, name, len);
	return option;
}

/* Index of the first word from at on that is no flag nor a flag's value, or n. */
static size_t next_word(char *const *words, size_t at, size_t n)
{
	for (size_t i = at; i < n; i++) {
		const char *word = words[i];
		const struct option *option;

		if (word[0] != '-')
			return i;
		if (strcmp(word, "--") == 0)
			return n;
		if (word[1] != '-' || strchr(word, '='))
			continue;
		option = option_find_anywhere(word + 2, strlen(word + 2));
		if (option && option_takes_word(option))
			i++;
	}
	return n;
}

static bool is_help(const char *word)
{
	return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

/* What the command line is without a command in it. */
static int without_command(struct globals *globals, char *const *words, size_t n)
{
	const struct option_set set = {global_options, globals};
	cleanup_strv struct strv rest = STRV_INIT;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < n; i++) {
		if (is_help(words[i])) {
			usage_top(stdout, globals->prog);
			return 0;
		}
	}
	if (options_parse(words, n, true, &set, 1, &rest, &err) < 0) {
		usage_top(stdout, globals->prog);
		fflush(stdout);
		fprintf(stderr, "Error: %s\n\n", err.msg);
		return EXIT_FAILED;
	}
	fprintf(stderr, "%s: no command given; the usage follows\n", globals->prog);
	usage_top(stdout, globals->prog);
	return EXIT_NO_COMMAND;
}

static int check_args(const struct command *command, const struct strv *args, struct error *err)
{
	if (args->n < command->min_args)
		return error_set(err, -EINVAL, "%s: an argument is missing", command->name);
	if (args->n > command->max_args)
		return error_set(err, -EINVAL, "%s: unexpected argument \"%s\"", command->name,
				 args->v[command->max_args]);
	return 0;
}

static int run_command(struct globals *globals, const struct command *command, char *const *words,
		       size_t n, void *opts)
{
	const struct option_set sets[] = {{command->options, opts}, {global_options, globals}};
	cleanup_strv struct strv args = STRV_INIT;
	struct error err = ERROR_INIT;

	log_init(command_word(command), LOG_INFO);
	if (globals->as_rkt && (command->flags & COMMAND_ROOT) && geteuid() != 0) {
		log_error("cannot run as unprivileged user");
		return EXIT_FAILED;
	}
	if (options_parse(words, n, !(command->flags & COMMAND_GRAMMAR), sets, ARRAY_SIZE(sets),
			  &args, &err) < 0)
		return usage_error(globals->prog, command, err.msg);
	if (globals->help) {
		usage_command(stdout, globals->prog, command);
		return 0;
	}
	if (globals_apply(globals, &err) < 0 ||
	    (command->run && !(command->flags & COMMAND_GRAMMAR) &&
	     check_args(command, &args, &err) < 0))
		return usage_error(globals->prog, command, err.msg);
	if (!command->run) {
		usage_command(stdout, globals->prog, command);
		return 0;
	}
	return command->run(globals, opts, &args);
}

static int parse_and_run(struct globals *globals, const struct command *command, char *const *words,
			 size_t n)
{
	void *opts = xcalloc(1, command->size ? command->size : 1);
	int status;

	options_init(command->options, opts, false);
	status = run_command(globals, command, words, n, opts);
	options_free(command->options, opts, false);
	free(opts);
	return status;
}

/* The command of a group that word names. rkt has "image fetch", too, and does not show it. */
static const struct command *find_member(const struct command *group, const char *word)
{
	bool ambiguous;

	if (strcmp(group->name, "image") == 0 && strcmp(word, "fetch") == 0)
		group = NULL;
	return command_find(group, word, &ambiguous);
}

/* Find the command, in its group if it has one, and run it with the other words. */
static int dispatch(struct globals *globals, char *const *words, size_t n)
{
	size_t at = next_word(words, 0, n), second = n;
	cleanup_strv struct strv rest = STRV_INIT;
	const struct command *command, *member;
	bool ambiguous;

	if (at == n)
		return without_command(globals, words, n);
	command = command_find(NULL, words[at], &ambiguous);
	if (!command)
		return command_unknown(globals->prog, words[at], ambiguous);
	if (!command->run) {
		second = next_word(words, at + 1, n);
		member = second < n ? find_member(command, words[second]) : NULL;
		if (member)
			command = member;
	}
	for (size_t i = 0; i < n; i++)
		if (i != at && i != second)
			strv_add(&rest, words[i]);
	return parse_and_run(globals, command, rest.v, rest.n);
}

int command_main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
	struct globals globals = {.prog = "tripod"};
	int status;

	if (strcmp(name, "rkt") == 0) {
		globals.prog = "rkt";
		globals.as_rkt = true;
	}
	options_init(global_options, &globals, false);
	status = dispatch(&globals, argv + 1, argc > 0 ? (size_t)argc - 1 : 0);
	options_free(global_options, &globals, false);
	if (fflush(stdout) != 0 && status == 0)
		status = EXIT_FAILED;
	return status;
}
