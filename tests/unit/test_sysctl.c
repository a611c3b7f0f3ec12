/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "vmm/agent_proto.h"
#include "vmm/sysctl.h"

#define ISOLATOR(value) "{\"isolators\":[{\"name\":\"os/unix/sysctl\",\"value\":" value "}]}"
#define TWICE                                                                                      \
	"{\"isolators\":[{\"name\":\"os/unix/sysctl\",\"value\":{\"net.a\":\"1\"}},"               \
	"{\"name\":\"os/unix/sysctl\",\"value\":{\"net.b\":\"1\"}}]}"

static int parse(const char *text, struct strv *ret, struct error *err)
{
	cleanup_json struct json_object *pod = NULL;

	assert_int_equal(json_parse(text, strlen(text), "pod", &pod, err), 0);
	return sysctl_parse(pod, ret, err);
}

static void names_become_paths_as_sysctl8_has_it(void **state)
{
	static const char *const rows[][2] = {
		{"net.core.somaxconn", "net/core/somaxconn"},
		{"net/core/somaxconn", "net/core/somaxconn"},
		{"net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"},
		{"net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"},
		{"kernel.shmmax", "kernel/shmmax"},
		{"vm.overcommit_memory", "vm/overcommit_memory"},
		{"fs.file-max", "fs/file-max"},
		{"user.max_user_namespaces", "user/max_user_namespaces"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *text = xasprintf(ISOLATOR("{\"%s\":\"1 2=3\"}"), rows[i][0]);
		cleanup_free char *want = xasprintf("%s=1 2=3", rows[i][1]);
		cleanup_strv struct strv ret = STRV_INIT;
		struct error err = ERROR_INIT;

		if (parse(text, &ret, &err) < 0)
			fail_msg("%s: %s", rows[i][0], err.msg);
		assert_int_equal(ret.n, 1);
		assert_string_equal(ret.v[0], want);
	}
}

static void refuse_names(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *text = xasprintf(ISOLATOR("{\"%s\":\"1\"}"), names[i]);
		cleanup_strv struct strv ret = STRV_INIT;
		struct error err = ERROR_INIT;

		if (parse(text, &ret, &err) == 0)
			fail_msg("\"%s\" can be set, as %s", names[i], ret.v[0]);
	}
}

static void what_reaches_beyond_the_apps_can_not_be_set(void **state)
{
	static const char *const names[] = {
		"kernel.core_pattern",
		"kernel/core_pattern",
		"kernel.modprobe",
		"kernel.poweroff_cmd",
		"kernel.hotplug",
		"kernel.panic",
		"kernel.panic_on_oops",
		"kernel.sysrq",
		"kernel.hostname",
		"vm.panic_on_oom",
		"fs.binfmt_misc.register",
		"kernel.usermodehelper.bset",
		"debug.exception-trace",
		"dev.tty.ldisc_autoload",
		"shmmax",
	};
	(void)state;

	refuse_names(names, ARRAY_SIZE(names));
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const names[] = {
		"",	     "net",
		".",	     "..",
		"net..core", "net/../kernel/modprobe",
		"/net/a",    "net/a/",
		"net//a",    "net.core.",
		".net.core", "net/./a",
		"net.a=b",   "net.a b",
		"net.*",     "net.\\u0001",
		"net/a/..",  "net.a/../b",
	};
	(void)state;

	refuse_names(names, ARRAY_SIZE(names));
}

static void values_that_are_no_text_are_refused(void **state)
{
	static const char *const rows[] = {
		ISOLATOR("{\"net.a\":1}"),
		ISOLATOR("{\"net.a\":null}"),
		ISOLATOR("{\"net.a\":\"a\\u0000b\"}"),
		ISOLATOR("[]"),
		ISOLATOR("null"),
		"{\"isolators\":[1]}",
		"{\"isolators\":{}}",
		"{\"isolators\":[{\"name\":\"os/unix/sysctl\"}]}",
		TWICE,
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_strv struct strv ret = STRV_INIT;
		struct error err = ERROR_INIT;

		if (parse(rows[i], &ret, &err) == 0)
			fail_msg("row %zu is taken", i);
	}
}

static void there_are_limits_to_number_and_length(void **state)
{
	cleanup_str struct str many = STR_INIT, one_long = STR_INIT;
	cleanup_strv struct strv ret = STRV_INIT, none = STRV_INIT;
	struct error err = ERROR_INIT;
	(void)state;

	for (unsigned i = 0; i <= PLAN_SYSCTLS_MAX; i++)
		str_addf(&many, "%s\"net.a%u\":\"1\"", i ? "," : "", i);
	for (unsigned i = 0; i < 2000; i++)
		str_add(&one_long, "1");
	cleanup_free char *text = xasprintf(ISOLATOR("{%s}"), str_get(&many));
	cleanup_free char *value = xasprintf(ISOLATOR("{\"net.a\":\"%s\"}"), str_get(&one_long));
	cleanup_free char *name = xasprintf(ISOLATOR("{\"net.%s\":\"1\"}"), str_get(&one_long));

	assert_int_equal(parse(text, &ret, &err), -E2BIG);
	assert_int_equal(parse(value, &none, &err), -EINVAL);
	assert_int_equal(parse(name, &none, &err), -EINVAL);
}

static void other_isolators_of_the_pod_are_left_alone(void **state)
{
	cleanup_strv struct strv ret = STRV_INIT;
	struct error err = ERROR_INIT;
	(void)state;

	assert_int_equal(
		parse("{\"isolators\":[{\"name\":\"resource/memory\",\"value\":7}]}", &ret, &err),
		0);
	assert_int_equal(parse("{\"isolators\":null}", &ret, &err), 0);
	assert_int_equal(parse("{}", &ret, &err), 0);
	assert_int_equal(ret.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_become_paths_as_sysctl8_has_it),
		cmocka_unit_test(what_reaches_beyond_the_apps_can_not_be_set),
		cmocka_unit_test(names_that_lead_elsewhere_are_refused),
		cmocka_unit_test(values_that_are_no_text_are_refused),
		cmocka_unit_test(there_are_limits_to_number_and_length),
		cmocka_unit_test(other_isolators_of_the_pod_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
