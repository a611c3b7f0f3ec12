/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/restrict.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/spawn.h"
#include "common/str.h"
#include "common/util.h"

#define TIMEOUT_MS   30000 /* others may hold the lock of the rules */
#define PROGRAM_DIRS "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin"

#define STATES "-m conntrack ! --ctstate ESTABLISHED,RELATED"

static const struct {
	const char *chain, *direction, *states;
} rules[] = {
	{"INPUT", "-i", STATES},
	{"FORWARD", "-i", STATES ",DNAT"}, /* published ports are translated */
	{"FORWARD", "-o", STATES ",DNAT"},
};

/* Run it with a text to read. *ret_status is its exit status. */
static int run_program(const char *name, const char *const *words, const char *text, int log,
		       int *ret_status, struct error *err)
{
	cleanup_fd int in = memfd_create("rules", MFD_CLOEXEC), pidfd = -1;
	const struct spawn_fd fds[] = {{in, 0}, {log, 2}};
	struct spawn_args args = {.cwd = -1, .fds = fds, .nfds = ARRAY_SIZE(fds)};
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_free char *path = spawn_find(name, PROGRAM_DIRS);
	pid_t pid;
	int r;

	if (in < 0 || pwrite(in, text, strlen(text), 0) < 0)
		return error_errno(err, "%s", name);
	if (!path)
		return error_set(err, -ENOENT, "%s is not installed", name);
	strv_add(&argv, name);
	for (; *words; words++)
		strv_add(&argv, *words);
	args.path = path;
	args.argv = argv.v;
	r = spawn(&args, &pid, &pidfd, err);
	if (r == 0 && (r = spawn_wait(pid, pidfd, TIMEOUT_MS, ret_status, err)) < 0)
		spawn_kill(pid, pidfd);
	return r < 0 ? error_wrap(err, "%s", name) : 0;
}

/* Insert (-I) or delete (-D) all rules at once. */
static int change(const char *program, const char *verb, const struct restriction *what,
		  struct error *err)
{
	static const char *const words[] = {"--wait", "--noflush", NULL};
	cleanup_fd int log = memfd_create("rules", MFD_CLOEXEC);
	cleanup_str struct str text = STR_INIT, said = STR_INIT;
	char line[256] = "";
	int status, r;

	if (log < 0)
		return error_errno(err, "memfd_create");
	str_add(&text, "*filter\n");
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		str_addf(&text, "%s %s %s %s %s -m comment --comment \"tripod %s\" -j DROP\n", verb,
			 rules[i].chain, rules[i].direction, what->interface, rules[i].states,
			 what->uuid);
	str_add(&text, "COMMIT\n");
	r = run_program(program, words, str_get(&text), log, &status, err);
	if (r < 0 || status == 0)
		return r;
	(void)!pread(log, line, sizeof(line) - 1, 0);
	str_add_escaped(&said, line, strcspn(line, "\n"));
	return error_set(err, -EIO, "%s failed with status %d: %s", program, status,
			 str_get(&said));
}

/* Whether the first of the rules is there: all are, then. */
static int is_there(const char *program, const struct restriction *what, bool *ret,
		    struct error *err)
{
	cleanup_free char *comment = xasprintf("tripod %s", what->uuid);
	const char *const words[] = {
		"--wait", "-C",	       "INPUT",	    "-i",	 what->interface,
		"-m",	  "conntrack", "!",	    "--ctstate", "ESTABLISHED,RELATED",
		"-m",	  "comment",   "--comment", comment,	 "-j",
		"DROP",	  NULL};
	cleanup_fd int log = memfd_create("rules", MFD_CLOEXEC);
	int status, r;

	if (log < 0)
		return error_errno(err, "memfd_create");
	r = run_program(program, words, "", log, &status, err);
	if (r == 0)
		*ret = status == 0;
	return r;
}

static int remove_of(const char *program, const char *restore, const struct restriction *what,
		     struct error *err)
{
	bool there = false;
	int r = is_there(program, what, &there, err);

	return r == 0 && there ? change(restore, "-D", what, err) : r;
}

int restrict_add(const struct restriction *what, struct error *err)
{
	int r = 0;

	if (what->ip4)
		r = change("iptables-restore", "-I", what, err);
	if (r == 0 && what->ip6)
		r = change("ip6tables-restore", "-I", what, err);
	return r;
}

int restrict_remove(const struct restriction *what, struct error *err)
{
	int r = 0;

	if (what->ip4)
		r = remove_of("iptables", "iptables-restore", what, err);
	if (r == 0 && what->ip6)
		r = remove_of("ip6tables", "ip6tables-restore", what, err);
	return r;
}
