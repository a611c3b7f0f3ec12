/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/spawn.h"
#include "common/util.h"
#include "tests/unit/scratch.h"

#define LIMIT_MS     20000 /* for anything that takes no time */
#define NOBODY	     65534
#define KILL_ROUNDS  200
#define KILL_STEP_NS 10000 /* a start takes 1 ms: the kills are spread over 2 */

/* Run a shell script to its end with its descriptor 1 (and 7 when given) ours; what it wrote. */
static char *shell(const char *script, int cwd, int extra, int *ret_status)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
	struct error err = ERROR_INIT;
	static char text[4096];
	ssize_t n, len = 0;
	int pipes[2], pidfd;
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	struct spawn_fd fds[] = {{pipes[1], 1}, {extra, 7}};
	struct spawn_args args = {
		.path = "sh", .argv = argv, .cwd = cwd, .fds = fds, .nfds = extra >= 0 ? 2 : 1};

	if (spawn(&args, &pid, &pidfd, &err) < 0)
		fail_msg("%s", err.msg);
	close(pipes[1]);
	while ((n = read(pipes[0], text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	text[len] = '\0';
	close(pipes[0]);
	assert_int_equal(spawn_wait(pid, pidfd, LIMIT_MS, ret_status, &err), 0);
	close(pidfd);
	return text;
}

static void output_and_exit_status_come_back(void **state)
{
	int status = -1;

	(void)state;
	assert_string_equal(shell("echo out; exit 7", -1, -1, &status), "out\n");
	assert_int_equal(status, 7);
	shell("kill -TERM $$", -1, -1, &status);
	assert_int_equal(status, 128 + SIGTERM);
}

static void the_child_has_the_given_descriptors_and_no_other(void **state)
{
	cleanup_fd int extra = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	cleanup_fd int leak = open("/dev/full", O_RDWR); /* inheritable */
	int status = -1;
	char *text = shell("for f in 0 1 2 3 4 5 6 7 8 9 256 257 258 259; do"
			   "  [ -e /proc/self/fd/$f ] && echo $f $(readlink /proc/$$/fd/$f);"
			   "done",
			   -1, extra, &status);

	(void)state;
	assert_true(leak > 2);
	assert_non_null(strstr(text, "0 /dev/null\n"));
	assert_non_null(strstr(text, "2 /dev/null\n"));
	assert_non_null(strstr(text, "7 /dev/zero\n"));
	assert_null(strstr(text, "/dev/full"));
	assert_null(strstr(text, "\n25")); /* at the begin: a pipe's number may hold anything */
}

static void the_directory_is_entered_whatever_its_number(void **state)
{
	struct scratch *scratch = *state;
	cleanup_fd int extra = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	int status = -1, saved;
	char *text = shell("pwd -P", scratch->fd, -1, &status);

	assert_memory_equal(text, scratch->path, strlen(scratch->path));
	/* descriptor 7 of the child is /dev/zero, ours is the directory */
	saved = dup(7);
	assert_int_equal(dup2(scratch->fd, 7), 7);
	text = shell("pwd -P", 7, extra, &status);
	if (saved >= 0) {
		dup2(saved, 7);
		close(saved);
	} else {
		close(7);
	}
	assert_int_equal(status, 0);
	assert_memory_equal(text, scratch->path, strlen(scratch->path));
}

static void a_missing_program_is_the_callers_error(void **state)
{
	char *argv[] = {(char *)"x", NULL};
	struct spawn_args args = {.path = "/nonexistent/program", .argv = argv, .cwd = -1};
	struct error err = ERROR_INIT;
	int pidfd = -7;
	pid_t pid = -7;

	(void)state;
	assert_int_equal(spawn(&args, &pid, &pidfd, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/program"));
	assert_int_equal(pid, -7);
	assert_int_equal(pidfd, -7);
	args.path = "/dev/null";
	assert_int_equal(spawn(&args, &pid, &pidfd, &err), -EACCES);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to reap */
	assert_int_equal(errno, ECHILD);
}

static void a_program_is_found_where_it_is_first_and_can_be_executed(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_free char *first = xasprintf("%s/a/tool", scratch->path);
	cleanup_free char *second = xasprintf("%s/b/tool", scratch->path);
	cleanup_free char *dirs =
		xasprintf("%s/none::%s/a:%s/b", scratch->path, scratch->path, scratch->path);
	cleanup_free char *found = NULL, *relative = NULL;

	assert_int_equal(mkdirat(scratch->fd, "a", 0755), 0);
	assert_int_equal(mkdirat(scratch->fd, "b", 0755), 0);
	close(openat(scratch->fd, "a/tool", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	close(openat(scratch->fd, "b/tool", O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
	found = spawn_find("tool", dirs);
	assert_string_equal(found, second);
	assert_int_equal(chmod(first, 0755), 0);
	free(found);
	found = spawn_find("tool", dirs);
	assert_string_equal(found, first);
	assert_null(spawn_find("other", dirs));
	assert_null(spawn_find("tool", ""));
	assert_int_equal(fchdir(scratch->fd), 0);
	relative = spawn_find("tool", "a:./b:");
	assert_null(relative);
}

static void signals_are_as_a_program_expects_them(void **state)
{
	sigset_t blocked, before;
	int status = -1;
	char *text;

	(void)state;
	sigfillset(&blocked);
	sigprocmask(SIG_SETMASK, &blocked, &before);
	signal(SIGUSR1, SIG_IGN);
	text = shell("grep -E '^Sig(Blk|Ign)' /proc/self/status", -1, -1, &status);
	signal(SIGUSR1, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_memory_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t", 32);
	/* 32 and 33 are the C library's, which leaves them as they were inherited */
	assert_true((strtoull(text + 32, NULL, 16) & ~(UINT64_C(3) << 31)) == 0);
}

static void the_environment_is_the_given_one(void **state)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"[ \"$A\" = b ] && [ -z \"$HOME\" ]",
			NULL};
	char *envp[] = {(char *)"A=b", NULL};
	struct spawn_args args = {.path = "/bin/sh", .argv = argv, .envp = envp, .cwd = -1};
	struct error err = ERROR_INIT;
	cleanup_fd int pidfd = -1;
	int status = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(spawn(&args, &pid, &pidfd, &err), 0);
	assert_int_equal(spawn_wait(pid, pidfd, LIMIT_MS, &status, &err), 0);
	assert_int_equal(status, 0);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void waiting_ends_at_its_deadline_whatever_signals_come(void **state)
{
	char *argv[] = {(char *)"sleep", (char *)"60", NULL};
	struct spawn_args args = {.path = "sleep", .argv = argv, .cwd = -1};
	struct sigaction action = {.sa_handler = on_alarm}, before;
	struct timeval none = {0}, often = {.tv_usec = 20000};
	struct itimerval timer = {.it_interval = often, .it_value = often};
	struct error err = ERROR_INIT;
	cleanup_fd int pidfd = -1;
	int status = -7;
	pid_t pid;

	(void)state;
	assert_int_equal(spawn(&args, &pid, &pidfd, &err), 0);
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &timer, NULL);
	assert_int_equal(spawn_wait(pid, pidfd, 100, &status, &err), -ETIMEDOUT);
	timer = (struct itimerval){.it_interval = none, .it_value = none};
	setitimer(ITIMER_REAL, &timer, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_int_equal(status, -7);
	assert_int_equal(kill(pid, 0), 0);
	spawn_kill(pid, pidfd);
	assert_int_equal(kill(pid, 0), -1);
}

static void the_child_dies_with_its_parent(void **state)
{
	int pipes[2];
	pid_t parent;
	char c;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0) {
		char *argv[] = {(char *)"sleep", (char *)"60", NULL};
		struct spawn_fd fds[] = {{pipes[1], 1}};
		struct spawn_args args = {
			.path = "sleep", .argv = argv, .cwd = -1, .fds = fds, .nfds = 1};
		struct error err = ERROR_INIT;
		int pidfd;
		pid_t pid;

		if (spawn(&args, &pid, &pidfd, &err) < 0)
			_exit(1);
		_exit(0);
	}
	close(pipes[1]);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	/* the pipe ends when the last writer, the child, is gone */
	alarm(LIMIT_MS / 1000);
	assert_int_equal(read(pipes[0], &c, 1), 0);
	alarm(0);
	close(pipes[0]);
}

/* Start a sleep as nobody, if we may become that, its descriptor 1 the one given. */
static void *start_as_nobody(void *arg)
{
	char *argv[] = {(char *)"sleep", (char *)"60", NULL};
	struct spawn_fd fds[] = {{*(int *)arg, 1}};
	struct spawn_args args = {.path = "sleep", .argv = argv, .cwd = -1, .fds = fds, .nfds = 1};
	struct error err = ERROR_INIT;
	int pidfd;
	pid_t pid;

	/* raw calls: of this thread only */
	syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY);
	syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY);
	if (spawn(&args, &pid, &pidfd, &err) < 0)
		_exit(1);
	pause();
	return NULL;
}

/* The process as the VMM is: a thread of another user starts programs, the first may signal nobody. */
static void __attribute__((noreturn)) start_in_a_thread(int fd)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	pthread_t thread;

	if (pthread_create(&thread, NULL, start_as_nobody, &fd) != 0)
		_exit(1);
	syscall(SYS_capset, &header, none);
	for (;;)
		pause();
}

static void a_parent_killed_at_any_moment_leaves_no_child(void **state)
{
	(void)state;
	for (unsigned round = 0; round < KILL_ROUNDS; round++) {
		struct pollfd pfd = {.events = POLLIN};
		struct timespec pause = {.tv_nsec = round * KILL_STEP_NS};
		int pipes[2];
		pid_t parent;

		assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
		parent = fork();
		if (parent == 0)
			start_in_a_thread(pipes[1]);
		close(pipes[1]);
		nanosleep(&pause, NULL);
		kill(parent, SIGKILL);
		assert_int_equal(waitpid(parent, NULL, 0), parent);
		/* the pipe ends when the last writer, the child, is gone */
		pfd.fd = pipes[0];
		assert_int_equal(poll(&pfd, 1, LIMIT_MS), 1);
		close(pipes[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_exit_status_come_back),
		cmocka_unit_test(the_child_has_the_given_descriptors_and_no_other),
		cmocka_unit_test_setup_teardown(the_directory_is_entered_whatever_its_number,
						scratch_setup, scratch_teardown),
		cmocka_unit_test(a_missing_program_is_the_callers_error),
		cmocka_unit_test_setup_teardown(
			a_program_is_found_where_it_is_first_and_can_be_executed, scratch_setup,
			scratch_teardown),
		cmocka_unit_test(signals_are_as_a_program_expects_them),
		cmocka_unit_test(the_environment_is_the_given_one),
		cmocka_unit_test(waiting_ends_at_its_deadline_whatever_signals_come),
		cmocka_unit_test(the_child_dies_with_its_parent),
		cmocka_unit_test(a_parent_killed_at_any_moment_leaves_no_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
