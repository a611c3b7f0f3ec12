/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/unit/scratch.h"
#include "vmm/control.h"
#include "vmm/dial.h"

/* A pod in the working directory, which gives one client that answer. */
static pid_t answer_one(const char *answer)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = CONTROL_PATH};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[64];
	pid_t pid;
	int fd;

	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid = fork();
	if (pid == 0) {
		fd = accept(listener, NULL, NULL);
		if (recv(fd, request, sizeof(request), 0) < 1 ||
		    send(fd, answer, strlen(answer), MSG_NOSIGNAL) != (ssize_t)strlen(answer))
			_exit(1);
		_exit(0);
	}
	assert_true(pid > 0);
	close(listener);
	return pid;
}

static int ask(const struct scratch *scratch, const char *answer, struct json_object **ret,
	       struct error *err)
{
	pid_t pid;
	int fd = -1, status, r;

	assert_int_equal(fchdir(scratch->fd), 0);
	pid = answer_one(answer);
	r = dial_ask("verb", &fd, ret, err);
	close_fd(&fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return r;
}

static void an_answer_may_be_longer_than_a_request(void **state)
{
	cleanup_json struct json_object *json = NULL;
	struct error err = ERROR_INIT;
	char answer[CONTROL_LINE_MAX + 100];
	const char *text = NULL;

	snprintf(answer, sizeof(answer), "{\"text\":\"%0*d\"}\n", CONTROL_LINE_MAX, 7);
	assert_int_equal(ask(*state, answer, &json, &err), 0);
	assert_int_equal(json_get_string(json, "text", &text, &err), 0);
	assert_int_equal(strlen(text), CONTROL_LINE_MAX);
}

static void a_refusal_is_an_error(void **state)
{
	struct json_object *json = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(ask(*state, "{\"error\":\"not now\"}\n", &json, &err), -EBUSY);
	assert_string_equal(err.msg, "the pod refuses: not now");
	assert_null(json);
}

static void a_pod_that_hangs_up_has_ended(void **state)
{
	struct json_object *json = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(ask(*state, "{\"text\":", &json, &err), -EPIPE);
	assert_null(json);
}

static void a_pod_that_nobody_runs_has_ended(void **state)
{
	const struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	int fd = -1;

	assert_int_equal(fchdir(scratch->fd), 0);
	assert_int_equal(dial_pod(&fd, &err), -ESRCH);
	assert_int_equal(fd, -1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		T(an_answer_may_be_longer_than_a_request),
		T(a_refusal_is_an_error),
		T(a_pod_that_hangs_up_has_ended),
		T(a_pod_that_nobody_runs_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
