/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/util.h"
#include "tests/unit/scratch.h"
#include "vmm/notify.h"

/* A manager's socket at path, or in the abstract name space. */
static int listen_at(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t len = strlen(path);

	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&addr,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	setenv("NOTIFY_SOCKET", path, 1);
	return fd;
}

static const char *heard(int fd)
{
	static char text[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void without_a_manager_nothing_is_said(void **state)
{
	struct notify notify;
	struct error err;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_open(&notify, &err), 0);
	assert_int_equal(notify.fd, -1);
	notify_send(&notify, "READY=1");
	notify_watchdog(&notify, UINT64_MAX);
	notify_close(&notify);
}

static void a_manager_hears_it_at_a_path_or_an_abstract_name(void **state)
{
	struct scratch *dir = *state;
	cleanup_free char *path = xasprintf("%s/notify", dir->path);
	cleanup_free char *name = xasprintf("@tripod-test-%d", (int)getpid());
	const char *const addresses[] = {path, name};

	for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
		cleanup_fd int fd = listen_at(addresses[i]);
		struct notify notify;
		struct error err;

		assert_int_equal(notify_open(&notify, &err), 0);
		assert_null(getenv("NOTIFY_SOCKET")); /* nobody we start speaks for us */
		notify_send(&notify, "READY=1");
		assert_string_equal(heard(fd), "READY=1");
		notify_watchdog(&notify, UINT64_MAX); /* none was asked for */
		assert_string_equal(heard(fd), "");
		notify_close(&notify);
	}
}

/* Until READY=1 comes, or nothing. */
static void *manager(void *arg)
{
	const int *fd = arg;
	char text[64] = "";

	while (!strstr(text, "READY=1")) {
		ssize_t n = recv(*fd, text, sizeof(text) - 1, 0);

		if (n <= 0)
			return NULL;
		text[n] = '\0';
	}
	return arg;
}

static void what_a_manager_acts_on_waits_until_it_reads(void **state)
{
	struct scratch *dir = *state;
	cleanup_free char *path = xasprintf("%s/notify", dir->path);
	cleanup_fd int fd = listen_at(path);
	const struct timeval limit = {.tv_sec = 60};
	struct notify notify;
	struct error err;
	pthread_t thread;
	void *got;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(notify_open(&notify, &err), 0);
	while (send(notify.fd, "STATUS=x", 8, MSG_DONTWAIT) > 0)
		;
	notify_send(&notify, "STATUS=lost");
	assert_int_equal(pthread_create(&thread, NULL, manager, &fd), 0);
	notify_state(&notify, "READY=1");
	pthread_join(thread, &got);
	assert_non_null(got);
	notify_close(&notify);
}

static void the_watchdog_is_told_twice_in_its_time(void **state)
{
	struct scratch *dir = *state;
	cleanup_free char *path = xasprintf("%s/notify", dir->path);
	cleanup_fd int fd = listen_at(path);
	struct notify notify;
	struct error err;
	char pid[16];
	uint64_t now;

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	setenv("WATCHDOG_USEC", "2000000", 1);
	assert_int_equal(notify_open(&notify, &err), 0);
	assert_int_equal(notify.period_ns, 1000000000);
	now = clock_now_ns();
	notify_watchdog(&notify, now);
	assert_string_equal(heard(fd), "WATCHDOG=1");
	notify_watchdog(&notify, now + 999999999);
	assert_string_equal(heard(fd), "");
	notify_watchdog(&notify, now + 1000000000);
	assert_string_equal(heard(fd), "WATCHDOG=1");
	notify_close(&notify);
}

static void a_watchdog_of_another_process_is_not_ours(void **state)
{
	struct notify notify;
	struct error err;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_PID", "1", 1);
	setenv("WATCHDOG_USEC", "2000000", 1);
	assert_int_equal(notify_open(&notify, &err), 0);
	assert_int_equal(notify.period_ns, 0);
	assert_null(getenv("WATCHDOG_USEC"));
}

static void an_address_that_is_none_is_refused(void **state)
{
	struct scratch *dir = *state;
	cleanup_free char *none = xasprintf("%s/none", dir->path);
	char longest[200];
	const char *const bad[] = {"relative", longest, none};

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct notify notify;
		struct error err;

		setenv("NOTIFY_SOCKET", bad[i], 1);
		assert_true(notify_open(&notify, &err) < 0);
		assert_non_null(strstr(err.msg, "NOTIFY_SOCKET"));
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		T(without_a_manager_nothing_is_said),
		T(a_manager_hears_it_at_a_path_or_an_abstract_name),
		T(what_a_manager_acts_on_waits_until_it_reads),
		T(the_watchdog_is_told_twice_in_its_time),
		T(a_watchdog_of_another_process_is_not_ours),
		T(an_address_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
