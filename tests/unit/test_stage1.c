/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "tests/unit/scratch.h"
#include "vmm/stage1.h"

#define UUID "01234567-89ab-4cde-8f01-23456789abcd"

static int parse(char **argv, struct stage1_args *args, struct error *err)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return stage1_parse(argc, argv, args, err);
}

#define PARSE(args, err, ...) parse((char *[]){"run", __VA_ARGS__, NULL}, args, err)

static void every_argument_of_the_contract_is_taken(void **state)
{
	struct stage1_args args;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&args, &err, "--debug", "--net=default", "--interactive=true",
			       "--private-users=", "--mds-token=t", "--local-config=/etc/rkt",
			       "--hostname=h", "--dns-conf-mode=resolv=host,hosts=stage0",
			       "--disable-capabilities-restriction", "--disable-paths",
			       "--disable-seccomp", "--mutable=false", "--ipc=private", UUID),
			 0);
	assert_true(args.debug && args.interactive && args.no_caps_restriction && args.no_paths &&
		    args.no_seccomp);
	assert_false(args.mutable_pod);
	assert_string_equal(args.net, "default");
	assert_string_equal(args.hostname, "h");
	assert_string_equal(args.uuid, UUID);
	assert_int_equal(stage1_check(&args, &err), 0);
}

static void the_hostname_defaults_to_the_pods(void **state)
{
	struct stage1_args args;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&args, &err, UUID), 0);
	assert_string_equal(args.hostname, "rkt-" UUID);
	assert_int_equal(PARSE(&args, &err, "--hostname=", UUID), 0);
	assert_string_equal(args.hostname, "rkt-" UUID);
}

static void malformed_arguments_are_refused(void **state)
{
	struct stage1_args args;
	struct error err;

	(void)state;
	assert_true(PARSE(&args, &err, "--debug") < 0);
	assert_true(PARSE(&args, &err, "--debug=maybe", UUID) < 0);
	assert_true(PARSE(&args, &err, "--debugging", UUID) < 0);
	assert_true(PARSE(&args, &err, "--unknown=1", UUID) < 0);
	assert_true(PARSE(&args, &err, UUID, UUID) < 0);
	assert_true(PARSE(&args, &err, "not-a-uuid") < 0);
	assert_true(PARSE(&args, &err,
			  "--hostname="
			  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			  UUID) < 0);
}

static void what_a_vm_can_not_have_is_refused_by_name(void **state)
{
	static const struct {
		char *arg, *why;
	} wrong[] = {
		{"--net=host", "failed to setup network"},
		{"--net=default,host", "failed to setup network"},
		{"--net=none,user", "failed to setup network"},
		{"--net=user,bridge", "failed to setup network"},
		{"--private-users=1:2", "private-users"},
		{"--ipc=parent", "--ipc=parent"},
	};
	struct stage1_args args;
	struct error err;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(PARSE(&args, &err, wrong[i].arg, UUID), 0);
		assert_true(stage1_check(&args, &err) < 0);
		if (!strstr(err.msg, wrong[i].why))
			fail_msg("%s: %s", wrong[i].arg, err.msg);
	}
}

static void the_lock_stays_with_us_and_goes_to_nobody(void **state)
{
	cleanup_fd int fd = open("/dev/null", O_RDONLY);
	cleanup_free char *text = xasprintf("%d", fd);
	struct error err;

	(void)state;
	unsetenv("RKT_LOCK_FD");
	assert_int_equal(stage1_keep_lock(&err), 0);
	setenv("RKT_LOCK_FD", text, 1);
	assert_int_equal(stage1_keep_lock(&err), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	setenv("RKT_LOCK_FD", "12345", 1);
	assert_int_equal(stage1_keep_lock(&err), -EBADF);
	setenv("RKT_LOCK_FD", "x", 1);
	assert_int_equal(stage1_keep_lock(&err), -EINVAL);
	unsetenv("RKT_LOCK_FD");
}

static void reads(struct scratch *dir, const char *path, const char *want)
{
	cleanup_free char *text = NULL;
	struct error err;
	size_t len;

	if (file_read(dir->fd, path, 100, &text, &len, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(text, want);
}

static void the_pod_directory_gets_its_files(void **state)
{
	struct scratch *dir = *state;
	cleanup_free char *pid = xasprintf("%d\n", (int)getpid());
	struct error err;
	char target[16] = "";

	assert_int_equal(mkdirat(dir->fd, "stage1", 0755), 0);
	assert_int_equal(mkdirat(dir->fd, "stage1/rootfs", 0755), 0);
	assert_int_equal(stage1_write_pid(dir->fd, &err), 0);
	reads(dir, "pid", pid);
	assert_int_equal(stage1_write_net_info(dir->fd, "[]", &err), 0);
	reads(dir, "net-info.json", "[]");
	assert_int_equal(stage1_write_ready(dir->fd, &err), 0);
	assert_int_equal(readlinkat(dir->fd, "stage1/rootfs/rkt/supervisor-status", target, 15), 5);
	assert_string_equal(target, "ready");
	assert_int_equal(stage1_write_status(dir->fd, "app", 7, &err), 0);
	assert_int_equal(stage1_write_status(dir->fd, "app", 143, &err), 0);
	reads(dir, "stage1/rootfs/rkt/status/app", "143\n");
	assert_int_equal(faccessat(dir->fd, "stage1/rootfs/rkt/status/app.new", F_OK, 0), -1);
}

static void a_wait_status_becomes_an_exit_code(void **state)
{
	(void)state;
	assert_int_equal(stage1_exit_code(0), 0);
	assert_int_equal(stage1_exit_code(7 << 8), 7);
	assert_int_equal(stage1_exit_code(SIGKILL), 137);
	assert_int_equal(stage1_exit_code(SIGSEGV | 0x80), 139);
	assert_in_range(stage1_exit_code(0xffffffff), 0, 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_argument_of_the_contract_is_taken),
		cmocka_unit_test(the_hostname_defaults_to_the_pods),
		cmocka_unit_test(malformed_arguments_are_refused),
		cmocka_unit_test(what_a_vm_can_not_have_is_refused_by_name),
		cmocka_unit_test(the_lock_stays_with_us_and_goes_to_nobody),
		cmocka_unit_test_setup_teardown(the_pod_directory_gets_its_files, scratch_setup,
						scratch_teardown),
		cmocka_unit_test(a_wait_status_becomes_an_exit_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
