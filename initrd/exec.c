/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executing an app's program.
 *
 * execve(2) itself finds out whether a file can be executed, so the usual case costs one system
 * call and no look at the file. Only after a failure are files opened and read, to tell a program
 * that is missing from one whose interpreter is: the kernel says ENOENT for both. An interpreter is
 * a file to be executed like the program, with an interpreter of its own perhaps, so they are
 * followed.
 */
#include "initrd/exec.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Interpreters of interpreters; the kernel itself gives up earlier. */
#define DEPTH_MAX 10
/* Bytes of a "#!" line the kernel looks at (BINPRM_BUF_SIZE). */
#define HEAD_SIZE 256
/* Program headers of an ELF file: the kernel takes at most a page of them. */
#define PHDRS_MAX (4096 / sizeof(Elf64_Phdr))

bool init_exec_candidate(const char *path, size_t *pos, const char *name, char *buf, size_t size)
{
	size_t name_len = strlen(name);

	/* one past the terminator means that the last element was given */
	while (*pos <= strlen(path)) {
		const char *dir = path + *pos;
		size_t len = strcspn(dir, ":");

		*pos += len + 1;
		if (len == 0) {
			dir = ".";
			len = 1;
		}
		if (name_len >= size || len >= size - name_len - 1)
			continue;
		memcpy(buf, dir, len);
		buf[len] = '/';
		memcpy(buf + len + 1, name, name_len + 1);
		return true;
	}
	return false;
}

static void say_open(struct init_text *why, const char *path, int code)
{
	char target[PATH_MAX];
	ssize_t n;

	init_text_fail(why, -code, "Error: Unable to open", path);
	n = code == ENOENT ? readlink(path, target, sizeof(target)) : -1;
	if (n > 0) {
		init_text_add(why, ", it links to \"");
		init_text_addn(why, target, (size_t)n);
		init_text_add(why, "\"");
	}
}

static void say(struct init_text *why, const char *path, const char *what)
{
	init_text_set(why, 0, "Error: \"");
	init_text_add(why, path);
	init_text_add(why, "\" ");
	init_text_add(why, what);
}

/* The interpreter of a script's first line. False when there is none or it does not fit. */
static bool script_interpreter(const char *head, size_t len, char *ret)
{
	const char *p = head + 2, *end = head + len;
	size_t n = 0;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (p + n < end && p[n] != ' ' && p[n] != '\t' && p[n] != '\n' && p[n] != '\0')
		n++;
	if (n == 0 || p + n == end)
		return false;
	memcpy(ret, p, n);
	ret[n] = '\0';
	return true;
}

/* The interpreter an ELF file names. 1: ret is it, 0: it names none, -1: not a file to execute. */
static int elf_interpreter(int fd, char *ret)
{
	Elf64_Phdr ph[PHDRS_MAX];
	Elf64_Ehdr eh;
	ssize_t size;

	if (pread(fd, &eh, sizeof(eh), 0) != sizeof(eh))
		return -1;
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_phentsize != sizeof(ph[0]) ||
	    eh.e_phnum == 0 || eh.e_phnum > PHDRS_MAX || eh.e_phoff > INT64_MAX)
		return -1;
	size = (ssize_t)(eh.e_phnum * sizeof(ph[0]));
	if (pread(fd, ph, (size_t)size, (off_t)eh.e_phoff) != size)
		return -1;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		if (ph[i].p_type != PT_INTERP)
			continue;
		if (ph[i].p_filesz < 2 || ph[i].p_filesz > PATH_MAX || ph[i].p_offset > INT64_MAX ||
		    pread(fd, ret, ph[i].p_filesz, (off_t)ph[i].p_offset) !=
			    (ssize_t)ph[i].p_filesz ||
		    ret[ph[i].p_filesz - 1] != '\0')
			return -1;
		return 1;
	}
	return 0;
}

/*
 * Look at one file to be executed. True: it is fine and names the interpreter in next. False: what
 * is wrong, or that nothing is, was said.
 */
static bool look(const char *path, int code, char *next, struct init_text *why)
{
	char head[HEAD_SIZE];
	struct stat st;
	ssize_t n;
	int fd, r;

	if (stat(path, &st) < 0)
		return say_open(why, path, errno), false;
	if (!S_ISREG(st.st_mode))
		return say(why, path, "is not a regular file"), false;
	if (!(st.st_mode & 0111))
		return say(why, path, "is not executable"), false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return say_open(why, path, errno), false;

	n = pread(fd, head, sizeof(head), 0);
	if (n >= SELFMAG && !memcmp(head, ELFMAG, SELFMAG)) {
		r = elf_interpreter(fd, next);
		if (r < 0)
			say(why, path, "is of an unsupported file type");
	} else if (n > 2 && head[0] == '#' && head[1] == '!') {
		r = script_interpreter(head, (size_t)n, next) ? 1 : -1;
		if (r < 0)
			say(why, path, "names no interpreter after #!");
	} else {
		r = -1;
		say(why, path, "is of an unsupported file type");
	}
	if (r == 0)
		init_text_fail(why, -code, "Error: Unable to execute", path);
	close(fd);
	return r > 0;
}

void init_exec_diagnose(const char *path, int code, struct init_text *why)
{
	static char names[2][PATH_MAX + 1];
	unsigned depth;

	if (strlen(path) >= PATH_MAX) {
		init_text_fail(why, -ENAMETOOLONG, "Error: Unable to open", path);
		return;
	}
	for (depth = 0; depth < DEPTH_MAX; depth++) {
		char *next = names[depth % 2];

		if (!look(path, code, next, why))
			return;
		if (next[0] != '/') {
			say(why, path, "names an interpreter that is not absolute: \"");
			init_text_add(why, next);
			init_text_add(why, "\"");
			return;
		}
		path = next;
	}
	say(why, path, "is an interpreter too deep in a chain of them");
}

static const char *getenv_in(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; *envp; envp++)
		if (!strncmp(*envp, name, len) && (*envp)[len] == '=')
			return *envp + len + 1;
	return NULL;
}

/* Whether there is something under this name, be it a link to nothing. */
static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int init_exec(char *const *argv, char *const *envp, struct init_text *why)
{
	static char buf[PATH_MAX], first[PATH_MAX];
	const char *path;
	int first_code = 0;
	size_t pos = 0;

	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, envp);
		first_code = errno;
		init_exec_diagnose(argv[0], first_code, why);
		return -first_code;
	}
	path = getenv_in(envp, "PATH");
	if (!path)
		path = ":/bin:/usr/bin";
	while (argv[0][0] != '\0' && init_exec_candidate(path, &pos, argv[0], buf, sizeof(buf))) {
		execve(buf, argv, envp);
		/* What was found first and can not be executed is what is told about. */
		if (!first_code && (errno == EACCES || is_there(buf))) {
			first_code = errno;
			memcpy(first, buf, sizeof(first));
		}
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			break;
	}
	if (first_code) {
		init_exec_diagnose(first, first_code, why);
		return -first_code;
	}
	init_text_fail(why, -ENOENT, "Error: Unable to open", argv[0]);
	init_text_add(why, " in ");
	init_text_add(why, path);
	return -ENOENT;
}
