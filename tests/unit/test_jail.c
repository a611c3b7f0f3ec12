/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "tests/unit/guest_elf.h"
#include "vmm/jail.h"
#include "vmm/machine.h"

/* Every test's jail is a child's, in a directory of its own; what it says comes through a pipe. */

#define NOBODY	    65534
#define EXIT_JAILED 254

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true /* no filters then */
#else
#define SANITIZED false
#endif

struct fixture {
	char dir[32];
	char said[256];
	int status; /* of the child */
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	memcpy(f->dir, "/tmp/test_jail.XXXXXX", sizeof("/tmp/test_jail.XXXXXX"));
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(chmod(f->dir, 0777), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;

	remove_tree(AT_FDCWD, f->dir, &err);
	free(f);
	return 0;
}

/* Run body in a child that sits in the directory; its result is the exit status. */
static void in_child(struct fixture *f, int (*body)(void))
{
	ssize_t len;
	int fds[2];
	pid_t pid;

	if (SANITIZED)
		skip();
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		_exit(chdir(f->dir) < 0 ? 99 : body());
	}
	close(fds[1]);
	memset(f->said, 0, sizeof(f->said));
	len = read(fds[0], f->said, sizeof(f->said) - 1);
	(void)len;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &f->status, 0), pid);
}

static void enter(void)
{
	struct error err = ERROR_INIT;

	mkdir("state", 0755);
	if (jail_process("state", &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		_exit(98);
	}
}

static int do_pod_files(void)
{
	struct error err = ERROR_INIT;
	int fd;

	enter();
	if (mkdir_path(AT_FDCWD, "state/b", 0755, &err) < 0)
		return 1;
	fd = open("state/b/x.new", O_WRONLY | O_CREAT, 0644);
	if (fd < 0 || write_all(fd, "1\n", 2) < 0 || close(fd) < 0)
		return 2;
	if (rename("state/b/x.new", "state/b/x") < 0 || symlinkat("x", AT_FDCWD, "state/b/y") < 0 ||
	    unlink("state/b/x") < 0)
		return 3;
	return 0;
}

static void files_below_its_directory_can_be_written(void **state)
{
	struct fixture *f = *state;

	in_child(f, do_pod_files);
	assert_string_equal(f->said, "");
	assert_int_equal(WEXITSTATUS(f->status), 0);
}

static int do_foreign_files(void)
{
	int fd = open("image", O_WRONLY | O_CREAT, 0666), socket = open("socket", O_CREAT, 0666);

	enter();
	if (fd < 0 || socket < 0)
		return 1;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (open("../x", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
		return 3;
	if (open("image", O_WRONLY) >= 0 || open("new", O_WRONLY | O_CREAT, 0600) >= 0)
		return 4;
	if (rename("image", "state/image") == 0 || open("/proc/self/mem", O_RDWR) >= 0)
		return 5;
	/* what is open stays open, and the pod's socket can be taken away */
	return write_all(fd, "x", 1) < 0 || unlink("socket") < 0 ? 6 : 0;
}

static bool have_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

static void files_elsewhere_can_not_be_opened(void **state)
{
	struct fixture *f = *state;

	if (!have_landlock())
		skip();
	in_child(f, do_foreign_files);
	assert_int_equal(WEXITSTATUS(f->status), 0);
}

/* Calls a VMM never makes. Each must end the child with its number. */
static int forbidden;

static const struct call {
	long nr;
	long arg[3];
} calls[] = {
	{SYS_execve, {0, 0, 0}},
	{SYS_fork, {0, 0, 0}},
	{SYS_clone, {SIGCHLD, 0, 0}},
	{SYS_ptrace, {PTRACE_TRACEME, 0, 0}},
	{SYS_kill, {1, SIGKILL, 0}},
	{SYS_tgkill, {1, 1, SIGKILL}},
	{SYS_socket, {AF_INET, SOCK_STREAM, 0}},
	{SYS_socket, {AF_UNIX, SOCK_STREAM, 0}},
	{SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
	{SYS_connect, {0, 0, 0}},
	{SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC}},
	{SYS_mprotect, {0, 4096, PROT_EXEC}},
	{SYS_chmod, {0, 0, 0}},
	{SYS_mount, {0, 0, 0}},
	{SYS_ioctl, {0, TIOCSTI, 0}},
	{SYS_ioctl, {0, KVM_CREATE_VM, 0}},
	{SYS_seccomp, {0, 0, 0}},
	{SYS_prctl, {0, 0, 0}},
	{0x40000000 | SYS_read, {0, 0, 0}}, /* the x32 way */
};

static int do_call(void)
{
	const struct call *c = &calls[forbidden];

	enter();
	syscall(c->nr, c->arg[0], c->arg[1], c->arg[2], 0, 0, 0);
	return 0;
}

static void other_calls_end_the_process_with_a_line(void **state)
{
	struct fixture *f = *state;
	char line[80];

	for (forbidden = 0; forbidden < (int)ARRAY_SIZE(calls); forbidden++) {
		in_child(f, do_call);
		snprintf(line, sizeof(line),
			 "tripod-vmm: system call %d is not allowed; the pod ends\n",
			 (int)calls[forbidden].nr);
		assert_string_equal(f->said, line);
		assert_true(WIFEXITED(f->status));
		assert_int_equal(WEXITSTATUS(f->status), EXIT_JAILED);
	}
}

static int do_status(void)
{
	int fd = open("/proc/self/status", O_RDONLY);
	char text[8192];
	ssize_t len;

	enter();
	len = pread(fd, text, sizeof(text) - 1, 0);
	if (len < 0)
		return 1;
	text[len] = '\0';
	if (!strstr(text, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"))
		return 2;
	if (!strstr(text, "NoNewPrivs:\t1\n") || !strstr(text, "Seccomp:\t2\n"))
		return 3;
	return 0;
}

static void no_capability_is_left(void **state)
{
	struct fixture *f = *state;

	in_child(f, do_status);
	assert_int_equal(WEXITSTATUS(f->status), 0);
}

static int do_as_nobody(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return 97;
	return do_pod_files();
}

static void it_is_the_same_for_who_is_not_root(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	in_child(f, do_as_nobody);
	assert_string_equal(f->said, "");
	assert_int_equal(WEXITSTATUS(f->status), 0);
}

static int do_machine(void)
{
	static const char code[] = "\xb0\xfe\xe6\x64"; /* mov $0xfe, %al; out %al, $0x64 */
	struct machine_config config = {
		.memory = 32 * MIB, .ncpus = 3, .serial_fd = -1, .jail = true};
	struct guest_elf elf = guest_elf(code, sizeof(code) - 1);
	struct error err = ERROR_INIT;
	struct machine *machine;
	struct loop_event event;
	struct vcpu_end end;
	struct loop loop;

	if (loop_init(&loop, &err) < 0 || machine_new(&config, &loop, &machine, &err) < 0 ||
	    machine_load(machine, guest_elf_file(&elf), -1, "", &err) < 0 ||
	    machine_start(machine, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	if (loop_wait(&loop, &event, 1, 20000) != 1 || !machine_ended(machine, &end))
		return 2;
	machine_stop(machine);
	machine_free(machine);
	return end.kind == VCPU_END_RESET ? 0 : 3;
}

static void a_machine_lives_and_ends_in_it(void **state)
{
	struct fixture *f = *state;

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		skip();
	in_child(f, do_machine);
	assert_string_equal(f->said, "");
	assert_int_equal(WEXITSTATUS(f->status), 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(files_below_its_directory_can_be_written),
		test(files_elsewhere_can_not_be_opened),
		test(other_calls_end_the_process_with_a_line),
		test(no_capability_is_left),
		test(it_is_the_same_for_who_is_not_root),
		test(a_machine_lives_and_ends_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
