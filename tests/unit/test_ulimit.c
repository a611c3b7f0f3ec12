/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "common/ulimit.h"
#include "common/util.h"

static void limits_are_read_as_podman_writes_them(void **state)
{
	static const struct {
		const char *name, *text;
		struct ulimit limit;
	} rows[] = {
		{"nofile", "1024:4096", {RLIMIT_NOFILE, 1024, 4096}},
		{"nofile", "7", {RLIMIT_NOFILE, 7, 7}},
		{"core", "unlimited", {RLIMIT_CORE, ULIMIT_UNLIMITED, ULIMIT_UNLIMITED}},
		{"core", "-1", {RLIMIT_CORE, ULIMIT_UNLIMITED, ULIMIT_UNLIMITED}},
		{"stack", "8388608:-1", {RLIMIT_STACK, 8388608, ULIMIT_UNLIMITED}},
		{"nproc", "0:0", {RLIMIT_NPROC, 0, 0}},
		{"memlock",
		 "18446744073709551614:unlimited",
		 {RLIMIT_MEMLOCK, UINT64_MAX - 1, ULIMIT_UNLIMITED}},
		{"rttime", "5", {RLIMIT_RTTIME, 5, 5}},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		struct ulimit limit;

		if (ulimit_parse(rows[i].name, rows[i].text, &limit, &err) < 0)
			fail_msg("%s=%s: %s", rows[i].name, rows[i].text, err.msg);
		assert_int_equal(limit.resource, rows[i].limit.resource);
		assert_true(limit.soft == rows[i].limit.soft && limit.hard == rows[i].limit.hard);
	}
}

static void every_limit_of_linux_has_a_name(void **state)
{
	static const char *const names[] = {
		"as",	"core",	  "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue",
		"nice", "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};
	unsigned seen = 0;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct error err = ERROR_INIT;
		struct ulimit limit;

		assert_int_equal(ulimit_parse(names[i], "1", &limit, &err), 0);
		seen |= 1U << limit.resource;
	}
	assert_int_equal(seen, 0xffff);
}

static void nonsense_is_refused(void **state)
{
	static const char *const rows[][3] = {
		{"files", "1", "not the name"},
		{"", "1", "not the name"},
		{"NOFILE", "1", "not the name"},
		{"nofile", "", "neither"},
		{"nofile", ":", "neither"},
		{"nofile", "1:", "neither"},
		{"nofile", ":1", "neither"},
		{"nofile", "-2", "neither"},
		{"nofile", "1:2:3", "neither"},
		{"nofile", " 1", "neither"},
		{"nofile", "1k", "neither"},
		{"nofile", "0x10", "neither"},
		{"nofile", "2:1", "above"},
		{"nofile", "-1:5", "above"},
		{"nofile", "18446744073709551615", "neither"},
		{"nofile", "99999999999999999999", "neither"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		struct ulimit limit;

		assert_int_equal(ulimit_parse(rows[i][0], rows[i][1], &limit, &err), -EINVAL);
		if (!strstr(err.msg, rows[i][2]))
			fail_msg("%s=%s: %s", rows[i][0], rows[i][1], err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_read_as_podman_writes_them),
		cmocka_unit_test(every_limit_of_linux_has_a_name),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
