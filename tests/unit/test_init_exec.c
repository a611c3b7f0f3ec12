/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "initrd/exec.h"

/* Tests run in a directory of their own. */
static char dir[] = "/tmp/tripod-exec.XXXXXX";

static int enter(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	char command[64];
	(void)state;

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return chdir("/") == 0 ? system(command) : -1;
}

static void put(const char *name, mode_t mode, const void *data, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_true(write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static void script(const char *name, const char *text)
{
	put(name, 0755, text, strlen(text));
}

/* An ELF file with one program header that names interp. */
static void program(const char *name, const char *interp)
{
	struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph;
		char interp[128];
	} file = {.eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(file.eh),
			 .e_ehsize = sizeof(file.eh),
			 .e_phentsize = sizeof(file.ph),
			 .e_phnum = 1},
		  .ph = {.p_type = PT_INTERP,
			 .p_offset = sizeof(file.eh) + sizeof(file.ph),
			 .p_filesz = strlen(interp) + 1}};

	assert_true(strlen(interp) < sizeof(file.interp));
	strncpy(file.interp, interp, sizeof(file.interp) - 1);
	put(name, 0755, &file, sizeof(file));
}

static void assert_says(const char *path, int code, const char *what)
{
	struct init_text why = {.len = 0};

	init_exec_diagnose(path, code, &why);
	assert_true(why.len < sizeof(why.s));
	why.s[why.len] = '\0';
	assert_non_null(strstr(why.s, "Error: "));
	if (!strstr(why.s, what))
		fail_msg("\"%s\" does not hold \"%s\"", why.s, what);
}

static void candidates_follow_path(void **state)
{
	static const char *const want[] = {"/a/prog", "./prog", "b/prog", "./prog"};
	size_t pos = 0, n = 0;
	char buf[64];
	(void)state;

	while (init_exec_candidate("/a::b:", &pos, "prog", buf, sizeof(buf))) {
		assert_true(n < 4);
		assert_string_equal(buf, want[n++]);
	}
	assert_int_equal(n, 4);

	pos = 0;
	assert_true(init_exec_candidate("", &pos, "prog", buf, sizeof(buf)));
	assert_string_equal(buf, "./prog");
	assert_false(init_exec_candidate("", &pos, "prog", buf, sizeof(buf)));
}

static void candidates_too_long_are_left_out(void **state)
{
	char buf[10];
	size_t pos = 0;
	(void)state;

	assert_true(init_exec_candidate("/aaaaa:/aaaa:/b", &pos, "prog", buf, sizeof(buf)));
	assert_string_equal(buf, "/b/prog");
	assert_false(init_exec_candidate("/aaaaa:/aaaa:/b", &pos, "prog", buf, sizeof(buf)));
	pos = 0;
	assert_false(init_exec_candidate("/a", &pos, "0123456789", buf, sizeof(buf)));
}

static void missing_files_and_dead_links_are_named(void **state)
{
	(void)state;

	assert_says("/foo-not-there", ENOENT,
		    "Error: Unable to open \"/foo-not-there\": No such file or directory");
	assert_int_equal(symlink("/nowhere", "dead"), 0);
	assert_says("dead", ENOENT,
		    "Unable to open \"dead\": No such file or directory, it links to \"/nowhere\"");
}

static void missing_interpreters_are_named(void **state)
{
	(void)state;

	program("elf", "/lib64/ld-not-there.so");
	assert_says("elf", ENOENT, "Error: Unable to open \"/lib64/ld-not-there.so\": No such");
	script("script", "#! \t/no/shell -e\n");
	assert_says("script", ENOENT, "Error: Unable to open \"/no/shell\": No such");
}

static void interpreters_are_followed_ten_deep(void **state)
{
	char name[64], text[128], path[96];
	(void)state;

	script("s0", "#!/no/shell\n");
	for (int i = 1; i <= 10; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(text, sizeof(text), "#!%s/s%d\n", dir, i - 1);
		script(name, text);
	}
	snprintf(path, sizeof(path), "%s/s8", dir);
	assert_says(path, ENOENT, "Unable to open \"/no/shell\"");
	snprintf(path, sizeof(path), "%s/s10", dir);
	assert_says(path, ELOOP, "too deep");
	snprintf(text, sizeof(text), "#!%s/loop\n", dir);
	script("loop", text);
	assert_says("loop", ELOOP, "too deep");
}

static void files_that_can_not_be_executed_are_told_apart(void **state)
{
	(void)state;

	assert_int_equal(mkdir("d", 0755), 0);
	assert_says("d", EACCES, "is not a regular file");
	assert_int_equal(mkfifo("fifo", 0755), 0);
	assert_says("fifo", EACCES, "is not a regular file");
	put("plain", 0644, "x", 1);
	assert_says("plain", EACCES, "is not executable");
	script("text", "hello\n");
	assert_says("text", ENOEXEC, "unsupported file type");
	script("empty", "");
	assert_says("empty", ENOEXEC, "unsupported file type");
	script("bare", "#!\n");
	assert_says("bare", ENOEXEC, "names no interpreter");
	script("relative", "#!bin/sh\n");
	assert_says("relative", ENOENT, "not absolute: \"bin/sh\"");
	put("static", 0755, "\177ELF", 4);
	assert_says("static", ENOEXEC, "unsupported file type");
}

static void hostile_elf_headers_are_survived(void **state)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	int fd;
	(void)state;

	program("hostile", "/lib/ld.so");
	fd = open("hostile", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(pread(fd, &eh, sizeof(eh), 0) == sizeof(eh));
	assert_true(pread(fd, &ph, sizeof(ph), sizeof(eh)) == sizeof(ph));

	ph.p_filesz = UINT64_MAX;
	assert_true(pwrite(fd, &ph, sizeof(ph), sizeof(eh)) == sizeof(ph));
	assert_says("hostile", ENOEXEC, "unsupported");
	ph.p_filesz = 64;
	ph.p_offset = UINT64_MAX;
	assert_true(pwrite(fd, &ph, sizeof(ph), sizeof(eh)) == sizeof(ph));
	assert_says("hostile", ENOEXEC, "unsupported");
	ph.p_offset = 0; /* no terminator in the first bytes */
	ph.p_filesz = 5;
	assert_true(pwrite(fd, &ph, sizeof(ph), sizeof(eh)) == sizeof(ph));
	assert_says("hostile", ENOEXEC, "unsupported");
	eh.e_phnum = 0xffff;
	assert_true(pwrite(fd, &eh, sizeof(eh), 0) == sizeof(eh));
	assert_says("hostile", ENOEXEC, "unsupported");
	eh.e_phnum = 1;
	eh.e_phoff = UINT64_MAX;
	assert_true(pwrite(fd, &eh, sizeof(eh), 0) == sizeof(eh));
	assert_says("hostile", ENOEXEC, "unsupported");
	close(fd);
}

/* Run init_exec() in a child. Its exit status, or 99 with the reason in text when it returned. */
static int run(char *const *argv, char *const *envp, char *text, size_t size)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct init_text why = {.len = 0};

		init_exec(argv, envp, &why);
		_exit(write(fds[1], why.s, why.len) == (ssize_t)why.len ? 99 : 98);
	}
	close(fds[1]);
	n = read(fds[0], text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	assert_true(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void bare_names_are_searched_in_the_apps_path(void **state)
{
	char path[96], text[512];
	char *const env[] = {path, NULL}, *const no_env[] = {NULL};
	char *const seven[] = {"seven", NULL}, *const missing[] = {"no-such-program", NULL};
	char *const dead[] = {"dead2", NULL}, *const empty[] = {"", NULL};
	(void)state;

	assert_int_equal(mkdir("bin", 0755), 0);
	script("bin/seven", "#!/bin/sh\nexit 7\n");
	assert_int_equal(symlink("nowhere", "bin/dead2"), 0);
	snprintf(path, sizeof(path), "PATH=/no/such/dir:%s/bin", dir);

	assert_int_equal(run(seven, env, text, sizeof(text)), 7);
	assert_int_equal(run(seven, no_env, text, sizeof(text)), 99);
	assert_non_null(strstr(text, "Error: Unable to open \"seven\": No such file"));
	/* without PATH the working directory is searched first */
	script("seven", "#!/bin/sh\nexit 8\n");
	assert_int_equal(run(seven, no_env, text, sizeof(text)), 8);
	assert_int_equal(run(missing, env, text, sizeof(text)), 99);
	assert_int_equal(run(empty, env, text, sizeof(text)), 99);
	assert_int_equal(run(dead, env, text, sizeof(text)), 99);
	assert_non_null(strstr(text, "it links to \"nowhere\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(candidates_follow_path),
		cmocka_unit_test(candidates_too_long_are_left_out),
		cmocka_unit_test(missing_files_and_dead_links_are_named),
		cmocka_unit_test(missing_interpreters_are_named),
		cmocka_unit_test(interpreters_are_followed_ten_deep),
		cmocka_unit_test(files_that_can_not_be_executed_are_told_apart),
		cmocka_unit_test(hostile_elf_headers_are_survived),
		cmocka_unit_test(bare_names_are_searched_in_the_apps_path),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
