/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/pod_control.h"
#include "tests/unit/scratch.h"

/* A pod that answers one client with these bytes, whatever it says, and hangs up or not. */
struct peer {
	int fd;
	const char *answer;
	size_t len;
	bool stays;
	char asked[64];
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct peer *peer = arg;
	int fd = accept(peer->fd, NULL, NULL);
	char byte;

	assert_true(fd >= 0);
	for (size_t n = 0; n < sizeof(peer->asked) - 1 && recv(fd, &byte, 1, 0) == 1; n++) {
		peer->asked[n] = byte;
		if (byte == '\n')
			break;
	}
	/* the client may have enough before the end */
	for (size_t at = 0; at < peer->len;) {
		ssize_t n = send(fd, peer->answer + at, peer->len - at, MSG_NOSIGNAL);

		if (n < 0)
			break;
		at += (size_t)n;
	}
	while (peer->stays && recv(fd, &byte, 1, 0) > 0)
		;
	close(fd);
	return NULL;
}

static void listen_at(const struct scratch *scratch, struct peer *peer)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control.sock", scratch->path);
	peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(addr.sun_path);
	assert_int_equal(bind(peer->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(peer->fd, 1), 0);
	assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

/* Ask a pod that answers so. */
static int ask(const struct scratch *scratch, struct peer *peer, int timeout_ms,
	       struct json_object **ret, struct error *err)
{
	struct pod pod = {.uuid = "0b1cdb3e", .where = POD_RUN, .fd = scratch->fd};
	int r;

	listen_at(scratch, peer);
	r = pod_control(&pod, "verb word", timeout_ms, ret, err);
	pthread_join(peer->thread, NULL);
	close(peer->fd);
	return r;
}

static void an_answer_is_a_line_of_json(void **state)
{
	struct peer peer = {.answer = "{\"a\":1}\nrest", .len = 12, .stays = true};
	struct json_object *doc = NULL;
	struct error err = ERROR_INIT;
	int64_t a = 0;

	assert_int_equal(ask(*state, &peer, 60000, &doc, &err), 0);
	assert_string_equal(peer.asked, "verb word\n");
	assert_int_equal(json_get_int(doc, "a", 0, 9, &a, &err), 0);
	assert_int_equal(a, 1);
	json_object_put(doc);
}

static void a_bad_answer_is_an_error(void **state)
{
	static const struct {
		const char *answer;
		int code;
		const char *why;
	} bad[] = {
		{"", -EPIPE, "ended before it answered"},
		{"{\"a\":1}", -EPIPE, "ended before it answered"},
		{"\n", -EINVAL, "answer"},
		{"{\n", -EINVAL, "answer"},
		{"{\"error\":\"no \\u001b[31mTPM\"}\n", -EREMOTEIO, "no \\x1b[31mTPM"},
		{"{\"error\":1}\n", -EINVAL, "error"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct peer peer = {.answer = bad[i].answer, .len = strlen(bad[i].answer)};
		struct json_object *doc = NULL;
		struct error err = ERROR_INIT;

		assert_int_equal(ask(*state, &peer, 60000, &doc, &err), bad[i].code);
		assert_null(doc);
		if (!strstr(err.msg, bad[i].why) || !strstr(err.msg, "pod 0b1cdb3e: "))
			fail_msg("%s", err.msg);
	}
}

static void an_answer_without_end_is_cut_off(void **state)
{
	cleanup_free char *bytes = xcalloc(1, 1 << 20);
	struct peer peer = {.answer = bytes, .len = 1 << 20};
	struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	memset(bytes, 'x', 1 << 20);
	assert_int_equal(ask(*state, &peer, 60000, &doc, &err), -EFBIG);
}

static void a_pod_that_does_not_answer_is_an_error(void **state)
{
	struct peer peer = {.answer = "{", .len = 1, .stays = true};
	struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(ask(*state, &peer, 50, &doc, &err), -ETIMEDOUT);
}

static void a_pod_that_does_not_run_is_told(void **state)
{
	const struct scratch *scratch = *state;
	struct pod pod = {.uuid = "0b1cdb3e", .where = POD_RUN, .fd = scratch->fd};
	struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(pod_control(&pod, "verb", 50, &doc, &err), -ENOENT);
	assert_string_equal(err.msg, "pod 0b1cdb3e is not running");
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH(an_answer_is_a_line_of_json),
		WITH(a_bad_answer_is_an_error),
		WITH(an_answer_without_end_is_cut_off),
		WITH(a_pod_that_does_not_answer_is_an_error),
		WITH(a_pod_that_does_not_run_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
