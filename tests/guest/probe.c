/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process of an app is and can do, a line "NAME=VALUE" each: run in a guest by
 * tests/e2e/confine.t and users.t, which compare it with tables. Static, so that any image will do.
 *
 * Arguments: "ids" is for who it is only, "hog" touches memory, "limits" tells the app's control group,
 * which takes a mount, "wait" and "go" are for several apps, of which none is to begin before all are
 * there. What is found out by trying is in probe/calls.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/probe/calls.h"

/* A line, its words parted by commas: a value is one word of the table. */
static void tell_words(const char *name, char *text)
{
	char *word, *rest = NULL;

	printf("%s=", name);
	for (word = strtok_r(text, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest))
		printf("%s%s", word, *rest && strspn(rest, " \t\n") < strlen(rest) ? "," : "");
	puts("");
}

/* The lines of /proc/self/status that are about confinement. */
static void tell_status(void)
{
	static const char *const keys[] = {"CapBnd",	 "CapEff",  "CapPrm", "CapInh", "CapAmb",
					   "NoNewPrivs", "Seccomp", "Groups", "Uid",	"Gid",
					   "Umask",	 "SigBlk",  "SigIgn", "SigCgt"};
	FILE *f = fopen("/proc/self/status", "r");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		char *value = strchr(line, ':');

		if (!value)
			continue;
		*value++ = '\0';
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (!strcmp(line, keys[i]))
				tell_words(line, value);
	}
	if (f)
		fclose(f);
}

/* A small file on one line. */
static void tell_file(const char *name, const char *path)
{
	char text[512];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0) {
		printf("%s=%s\n", name, code_name(errno));
		return;
	}
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (char *p = text; *p; p++)
		if (*p == ' ') /* a value is one word of the table */
			*p = '_';
	printf("%s=%s\n", name, text);
	close(fd);
}

static void tell_modes(void)
{
	static const char *const paths[] = {
		"/sys/firmware", "/sys/fs",	 "/sys/module", "/sys/kernel",
		"/proc/kcore",	 "/dev/shm",	 "/dev/mqueue", "/dev/null",
		"/dev/zero",	 "/dev/full",	 "/dev/random", "/dev/urandom",
		"/dev/tty",	 "/dev/console", "/dev/ptmx",	"/dev/net/tun"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct stat st;

		if (stat(paths[i], &st) < 0)
			printf("%s=%s\n", paths[i], code_name(errno));
		else
			printf("%s=%o\n", paths[i], (unsigned)st.st_mode);
	}
}

/* The limits of this app as its own group has them, and others' groups: for one that may mount. */
static void tell_limits(void)
{
	static const char *const files[] = {"memory.max", "cpu.max", "cpu.weight"};

	if (unshare(CLONE_NEWNS) < 0 || mount("cgroup2", "/tmp", "cgroup2", 0, NULL) < 0)
		printf("limits=%s\n", code_name(errno));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[256];

		snprintf(path, sizeof(path), "/tmp/%s", files[i]);
		tell_file(files[i], path);
	}
	umount2("/tmp", MNT_DETACH); /* for the next */
}

/* What is in a directory, in the order of names. */
static void tell_directory(const char *name, const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort);
	const char *comma = "";

	if (n < 0) {
		printf("%s=%s\n", name, code_name(errno));
		return;
	}
	printf("%s=", name);
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.') {
			printf("%s%s", comma, entries[i]->d_name);
			comma = ",";
		}
		free(entries[i]);
	}
	free(entries);
	puts("");
}

static void tell_links(void)
{
	static const char *const links[] = {"/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr",
					    "/etc/mtab"};

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char to[256];
		ssize_t n = readlink(links[i], to, sizeof(to));

		printf("%s=%.*s\n", links[i], n < 0 ? 0 : (int)n, to);
	}
}

/* Descriptors that are open: nobody's but our three. */
static void tell_descriptors(void)
{
	const char *comma = "";

	printf("descriptors=");
	for (int fd = 0; fd < 1024; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		printf("%s%d", comma, fd);
		comma = ",";
	}
	puts("");
}

static void tell_ulimits(void)
{
	static const struct {
		const char *name;
		int resource;
	} limits[] = {{"nofile", RLIMIT_NOFILE},
		      {"core", RLIMIT_CORE},
		      {"nproc", RLIMIT_NPROC},
		      {"stack", RLIMIT_STACK},
		      {"fsize", RLIMIT_FSIZE}};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit limit;
		rlim_t value[2];

		getrlimit(limits[i].resource, &limit);
		value[0] = limit.rlim_cur;
		value[1] = limit.rlim_max;
		printf("ulimit-%s=", limits[i].name);
		for (int k = 0; k < 2; k++)
			if (value[k] == RLIM_INFINITY)
				printf("%sunlimited", k ? ":" : "");
			else
				printf("%s%llu", k ? ":" : "", (unsigned long long)value[k]);
		puts("");
	}
}

/* Which directory it is: apps that share it say the same. */
static void tell_shm(void)
{
	struct stat st;

	if (stat("/dev/shm", &st) == 0)
		printf("shm-is=%llx:%llu\n", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
}

static void tell_surroundings(char **env)
{
	char text[256];

	for (; *env; env++)
		printf("env-%s\n", *env);
	printf("cwd=%s\n", getcwd(text, sizeof(text)) ? text : "none");
	printf("hostname=%s\n", gethostname(text, sizeof(text)) < 0 ? "none" : text);
	printf("session=%s\n", getsid(0) == getpid() ? "own" : "other");
	tell_directory("dev", "/dev");
	tell_links();
	tell_file("machine-id", "/etc/machine-id");
	tell_file("boot-id", "/proc/sys/kernel/random/boot_id");
	tell_file("etc-hostname", "/etc/hostname");
	tell_file("somaxconn", "/proc/sys/net/core/somaxconn");
	tell_shm();
}

static int has_word(char **argv, const char *word)
{
	while (*argv && strcmp(*argv, word) != 0)
		argv++;
	return *argv != NULL;
}

/* With "wait": go on when an app with "go" has started, the last one. Starting all comes first. */
static void wait_for_all(char **argv)
{
	const struct timespec pause = {.tv_nsec = 50000000};

	if (has_word(argv, "go"))
		close(open("/dev/shm/go", O_CREAT | O_WRONLY, 0644));
	while (has_word(argv, "wait") && access("/dev/shm/go", F_OK) < 0)
		nanosleep(&pause, NULL);
}

/* What is tried changes the machine where it may be done: only ever in a guest. */
static int is_guest(void)
{
	const char *container = getenv("container");

	return container && !strcmp(container, "tripod") && getppid() == 1;
}

int main(int argc, char **argv, char **env)
{
	if (!is_guest()) {
		fputs("probe: this is for an app in a pod\n", stderr);
		return 1;
	}
	(void)argc;
	if (has_word(argv, "ids")) {
		tell_status();
		return 0;
	}
	tell_descriptors(); /* before any of ours */
	wait_for_all(argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("uid=%u\n", (unsigned)getuid());
	tell_status();
	tell_file("oom", "/proc/self/oom_score_adj");
	tell_file("group", "/proc/self/cgroup");
	if (has_word(argv, "limits"))
		tell_limits();
	if (has_word(argv, "hog"))
		tell_hog();
	tell_surroundings(env);
	tell_ulimits();
	tell_modes();
	tell_calls();
	puts("done=1");
	return 0;
}
