/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/agent_proto.h"
#include "vmm/seccomp.h"

#define KILLED 0x100 /* what trying a call gives when it kills */

static int parse(const char *value, enum seccomp_mode mode, struct seccomp_spec *ret,
		 struct strv *notes, struct error *err)
{
	cleanup_json struct json_object *root = NULL;

	assert_int_equal(json_parse(value, strlen(value), "isolator", &root, err), 0);
	return seccomp_parse(root, mode, ret, notes, err);
}

/* Under the filter, make a call of nothing but bad arguments: its errno, or KILLED. */
static int try_call(const uint8_t *filter, size_t len, long nr)
{
	struct sock_fprog program = {.len = (unsigned short)(len / sizeof(struct sock_filter)),
				     .filter = (void *)filter};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    prctl(PR_SET_SECCOMP, 2, &program) < 0)
			_exit(255);
		errno = 0;
		syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L);
		/* a sanitizer's _exit() does more than the filter allows */
		syscall(SYS_exit_group, errno);
		__builtin_unreachable();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	assert_int_not_equal(WEXITSTATUS(status), 255);
	return WEXITSTATUS(status);
}

static int try_spec(const struct seccomp_spec *spec, long nr)
{
	cleanup_free uint8_t *filter = NULL;
	size_t len;

	seccomp_compile(spec, &filter, &len);
	assert_true(len > 0 && len % sizeof(struct sock_filter) == 0);
	assert_true(len / sizeof(struct sock_filter) <= PLAN_SECCOMP_MAX);
	return try_call(filter, len, nr);
}

static void filters_do_what_their_words_say(void **state)
{
	static const struct {
		enum seccomp_mode mode;
		const char *value; /* NULL: an app without an isolator */
		long nr;
		int result;
	} rows[] = {
		{SECCOMP_DEFAULT, NULL, SYS_dup, EBADF},
		{SECCOMP_DEFAULT, NULL, SYS_statx, EINVAL},
		{SECCOMP_DEFAULT, NULL, SYS_mount, KILLED},
		{SECCOMP_DEFAULT, NULL, SYS_ptrace, KILLED},
		{SECCOMP_DEFAULT, NULL, SYS_unshare, KILLED},
		{SECCOMP_DEFAULT, NULL, SYS_io_uring_setup, ENOSYS},
		{SECCOMP_DEFAULT, NULL, 5000, KILLED},
		{SECCOMP_RETAIN, "{\"set\":[\"dup\"]}", SYS_dup, EBADF},
		{SECCOMP_RETAIN, "{\"set\":[\"dup\"]}", SYS_close, KILLED},
		{SECCOMP_RETAIN, "{\"set\":[\"dup\"],\"errno\":\"EXDEV\"}", SYS_close, EXDEV},
		{SECCOMP_RETAIN, "{\"set\":[\"dup\"],\"errno\":\"ENOTSUP\"}", SYS_close, ENOTSUP},
		{SECCOMP_RETAIN, "{\"set\":[\"dup\"]}", SYS_execve, EFAULT},
		{SECCOMP_RETAIN, "{\"set\":[\"@docker/default-whitelist\",\"umount2\"]}",
		 SYS_umount2, EINVAL},
		{SECCOMP_RETAIN, "{\"set\":[\"@docker/default-whitelist\",\"umount2\"]}", SYS_mount,
		 KILLED},
		{SECCOMP_REMOVE, "{\"set\":[\"dup\"]}", SYS_dup, KILLED},
		{SECCOMP_REMOVE, "{\"set\":[\"dup\"]}", SYS_close, EBADF},
		{SECCOMP_REMOVE, "{\"set\":[\"dup\",\"dup\"],\"errno\":\"EPERM\"}", SYS_dup, EPERM},
		{SECCOMP_REMOVE, "{\"set\":[\"@rkt/default-blacklist\"]}", SYS_mount, KILLED},
		{SECCOMP_REMOVE, "{\"set\":[\"@rkt/default-blacklist\"]}", SYS_close, EBADF},
		{SECCOMP_REMOVE, "{\"set\":[\"@systemd/mount\",\"dup\"],\"errno\":\"EPERM\"}",
		 SYS_pivot_root, EPERM},
		{SECCOMP_REMOVE, "{\"set\":[\"dup\",\"@appc.io/empty\"]}", SYS_dup, EBADF},
		{SECCOMP_REMOVE, "{\"set\":[\"dup\",\"@appc.io/empty\"]}", SYS_mount, KILLED},
		{SECCOMP_REMOVE, "{\"set\":[\"@appc.io/empty\"],\"errno\":\"EPERM\"}", SYS_mount,
		 EPERM},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup(seccomp_spec_free) struct seccomp_spec spec = {.calls = STRV_INIT};
		cleanup_strv struct strv notes = STRV_INIT;
		struct error err = ERROR_INIT;
		int result;

		if (rows[i].value && parse(rows[i].value, rows[i].mode, &spec, &notes, &err) < 0)
			fail_msg("row %zu: %s", i, err.msg);
		assert_int_equal(notes.n, 0);
		result = try_spec(&spec, rows[i].nr);
		if (result != rows[i].result)
			fail_msg("row %zu: %d, not %d", i, result, rows[i].result);
	}
}

static void retaining_all_is_no_filter(void **state)
{
	cleanup(seccomp_spec_free) struct seccomp_spec spec = {.calls = STRV_INIT};
	cleanup_strv struct strv notes = STRV_INIT;
	struct error err = ERROR_INIT;
	uint8_t *filter = (uint8_t *)&spec;
	size_t len = 1;

	(void)state;
	assert_int_equal(
		parse("{\"set\":[\"read\",\"@appc.io/all\"]}", SECCOMP_RETAIN, &spec, &notes, &err),
		0);
	seccomp_compile(&spec, &filter, &len);
	assert_null(filter);
	assert_int_equal(len, 0);
}

static void words_that_mean_nothing_are_told_of(void **state)
{
	cleanup(seccomp_spec_free) struct seccomp_spec spec = {.calls = STRV_INIT};
	cleanup_strv struct strv notes = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse("{\"set\":[\"fly\",\"@sky/blue\",\"dup\"]}", SECCOMP_REMOVE, &spec,
			       &notes, &err),
			 0);
	assert_int_equal(notes.n, 2);
	assert_string_equal(notes.v[0], "unknown system call fly is left out");
	assert_string_equal(notes.v[1], "unknown set of system calls @sky/blue is left out");
	assert_int_equal(spec.calls.n, 1);
}

static void nonsense_is_refused(void **state)
{
	static const struct {
		const char *value, *why;
	} rows[] = {
		{"[]", "not an object"},
		{"{}", "no set"},
		{"{\"set\":[]}", "no set"},
		{"{\"set\":\"read\"}", "set"},
		{"{\"set\":[1]}", "set[0]"},
		{"{\"set\":[\"read\",\"\"]}", "set[1]"},
		{"{\"set\":[\"read\"],\"errno\":\"EFLY\"}", "EFLY"},
		{"{\"set\":[\"read\"],\"errno\":\"eperm\"}", "eperm"},
		{"{\"set\":[\"@appc.io/all\"]}", "leaves no system call"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct seccomp_spec spec;
		cleanup_strv struct strv notes = STRV_INIT;
		struct error err = ERROR_INIT;

		if (parse(rows[i].value, SECCOMP_REMOVE, &spec, &notes, &err) == 0 ||
		    !strstr(err.msg, rows[i].why))
			fail_msg("row %zu: %s", i, err.msg);
	}
}

static void sets_are_known_by_all_their_names(void **state)
{
	static const char *const names[] = {
		"@rkt/default-whitelist", "@docker/default-whitelist",
		"@rkt/default-blacklist", "@docker/default-blacklist",
		"@systemd/clock",	  "@systemd/default-whitelist",
		"@systemd/mount",	  "@systemd/network-io",
		"@systemd/obsolete",	  "@systemd/privileged",
		"@systemd/process",	  "@systemd/raw-io",
		SECCOMP_SET_IMPLICIT,	  SECCOMP_SET_DEFAULT,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_non_null(seccomp_set(names[i]));
	assert_null(seccomp_set("@rkt/"));
	assert_null(seccomp_set("read"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_do_what_their_words_say),
		cmocka_unit_test(retaining_all_is_no_filter),
		cmocka_unit_test(words_that_mean_nothing_are_told_of),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(sets_are_known_by_all_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
