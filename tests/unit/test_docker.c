/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/util.h"
#include "vmm/docker.h"

static void a_signal_has_the_names_docker_knows(void **state)
{
	static const struct {
		const char *text;
		int sig;
	} rows[] = {
		{"SIGTERM", 15},     {"TERM", 15},     {"SIGQUIT", 3},	   {"SIGUSR1", 10},
		{"WINCH", 28},	     {"9", 9},	       {"64", 64},	   {"SIGRTMIN", 34},
		{"SIGRTMIN+3", 37},  {"RTMIN+30", 64}, {"SIGRTMAX-2", 62}, {"RTMAX", 64},
		{"SIGRTMAX-30", 34},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		int sig = 0;

		if (docker_signal(rows[i].text, &sig, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.msg);
		assert_int_equal(sig, rows[i].sig);
	}
}

static void what_is_no_signal_is_refused(void **state)
{
	static const char *const rows[] = {
		"",	      "SIG",	    "0",	  "65",
		"-1",	      "15 ",	    "sigterm",	  "SIGFLY",
		"SIGSIGTERM", "SIGRTMIN-1", "SIGRTMAX+1", "RTMIN+31",
		"RTMIN+",     "RTMIN3",	    "RTMAX-31",	  "RTMIN+99999999999999999999",
		"4294967305"};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		int sig = 77;

		if (docker_signal(rows[i], &sig, &err) == 0)
			fail_msg("\"%s\" is %d", rows[i], sig);
		assert_int_equal(err.code, -EINVAL);
		assert_int_equal(sig, 77);
	}
}

static void the_rule_is_for_users_that_come_from_the_image(void **state)
{
	static const struct {
		const char *text, *user, *group;
		bool applies, primary;
	} rows[] = {
		{"postgres", "postgres", "postgres", true, true},
		{"1000", "1000", "1000", true, true},
		{"1000:0", "1000", "0", true, false},
		{"app:app", "app", "app", true, false},
		{"app:", "app", "app", true, true},
		{"app", "root", "app", false, false},
		{"app", "app", "root", false, false},
		{"app:staff", "app", "root", false, false},
		{"app", "application", "application", false, false},
		{"application", "app", "app", false, false},
		{"", "0", "0", false, false},
		{":5", "0", "5", false, false},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool primary = false;
		bool applies =
			docker_user_applies(rows[i].text, rows[i].user, rows[i].group, &primary);

		if (applies != rows[i].applies || (applies && primary != rows[i].primary))
			fail_msg("\"%s\" and %s, %s", rows[i].text, rows[i].user, rows[i].group);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_has_the_names_docker_knows),
		cmocka_unit_test(what_is_no_signal_is_refused),
		cmocka_unit_test(the_rule_is_for_users_that_come_from_the_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
