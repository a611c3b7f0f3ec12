/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/unit/scratch.h"
#include "vmm/control.h"

struct fixture {
	struct scratch *dir;
	struct loop loop;
	struct control control;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	void *dir;
	struct error err;

	scratch_setup(&dir);
	f->dir = dir;
	assert_int_equal(fchdir(f->dir->fd), 0);
	assert_int_equal(loop_init(&f->loop, &err), 0);
	assert_int_equal(control_open(&f->control, &f->loop, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *dir = f->dir;

	control_close(&f->control);
	loop_free(&f->loop);
	assert_int_equal(chdir("/"), 0);
	scratch_teardown(&dir);
	free(f);
	return 0;
}

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = CONTROL_PATH};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Run the loop until nothing happens; the verbs that came, answered with an "ok" each. */
static unsigned run(struct fixture *f, enum control_verb *verbs, unsigned max)
{
	struct loop_event events[32];
	unsigned got = 0;
	int n;

	while ((n = loop_wait(&f->loop, events, 32, 0)) > 0) {
		for (int i = 0; i < n; i++) {
			enum control_verb verb;

			assert_int_equal(events[i].kind, LOOP_CONTROL);
			while ((verb = control_event(&f->control, events[i].index)) !=
			       CONTROL_NONE) {
				assert_true(got < max);
				verbs[got++] = verb;
				control_reply(&f->control, events[i].index, "{\"ok\":true}");
			}
		}
	}
	return got;
}

static void reads(int fd, const char *want)
{
	char text[1024] = "";

	assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), (ssize_t)strlen(want));
	assert_string_equal(text, want);
}

static void each_line_is_a_request_with_an_answer(void **state)
{
	struct fixture *f = *state;
	cleanup_fd int fd = dial();
	enum control_verb verbs[8];

	assert_int_equal(write(fd, "status\nstats\r\nst", 16), 16);
	assert_int_equal(run(f, verbs, 8), 2);
	assert_int_equal(verbs[0], CONTROL_STATUS);
	assert_int_equal(verbs[1], CONTROL_STATS);
	reads(fd, "{\"ok\":true}\n{\"ok\":true}\n");
	assert_int_equal(write(fd, "op\nkill\n", 8), 8);
	assert_int_equal(run(f, verbs, 8), 2);
	assert_int_equal(verbs[0], CONTROL_STOP);
	assert_int_equal(verbs[1], CONTROL_KILL);
}

static void send_fd(int to, const char *line, int fd)
{
	_Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)line, strlen(line)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ancillary,
			     .msg_controllen = sizeof(ancillary)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	assert_int_equal(sendmsg(to, &msg, 0), (ssize_t)iov.iov_len);
}

static void descriptors_are_kept_for_those_who_want_them_until_the_next(void **state)
{
	struct fixture *f = *state;
	cleanup_fd int fd = dial();
	enum control_verb verbs[8];
	int *fds, null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cleanup_fd int pipe_end = -1;
	int ends[2];
	char byte;

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	pipe_end = ends[0];
	send_fd(fd, "app-add a\n", null); /* nobody does */
	assert_int_equal(run(f, verbs, 8), 1);
	assert_int_equal(verbs[0], CONTROL_APP_ADD);
	assert_string_equal(control_args(&f->control, 1), "a");
	assert_int_equal(control_take_fds(&f->control, 1, &fds), 0);
	f->control.takes_fds = true;
	send_fd(fd, "app-add b\n", ends[1]);
	assert_int_equal(run(f, verbs, 8), 1);
	close(ends[1]);
	assert_int_equal(read(pipe_end, &byte, 1), -1); /* it is open somewhere */
	send_fd(fd, "app-add c\n", null);
	assert_int_equal(run(f, verbs, 8), 1);
	assert_int_equal(read(pipe_end, &byte, 1), 0); /* no longer */
	assert_int_equal(control_take_fds(&f->control, 1, &fds), 1);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	close(fds[0]);
	free(fds);
	assert_int_equal(control_take_fds(&f->control, 1, &fds), 0);
	send_fd(fd, "app-add d\n", null); /* closed with the connection */
	assert_int_equal(run(f, verbs, 8), 1);
	close(null);
}

/* Verbs of one client that are answered later; -1: none came. */
static enum control_verb next(struct fixture *f, uint32_t *ret_client)
{
	struct loop_event events[4];
	int n;

	while ((n = loop_wait(&f->loop, events, 4, 0)) > 0) {
		for (int i = 0; i < n; i++) {
			enum control_verb verb = control_event(&f->control, events[i].index);

			*ret_client = events[i].index;
			if (verb != CONTROL_NONE)
				return verb;
		}
	}
	return CONTROL_NONE;
}

static void an_answer_may_come_later_and_in_turn(void **state)
{
	struct fixture *f = *state;
	cleanup_fd int fd = dial();
	uint32_t client = 0, other;
	uint64_t serial;

	assert_int_equal(write(fd, "quote 00ff 8000\nstatus\n", 23), 23);
	assert_int_equal(next(f, &client), CONTROL_QUOTE);
	assert_string_equal(control_args(&f->control, client), "00ff 8000");
	serial = control_wait(&f->control, client);
	assert_int_equal(control_event(&f->control, client), CONTROL_NONE);
	assert_int_equal(next(f, &other), CONTROL_NONE);
	assert_false(control_answer(&f->control, client, serial + 1, "{\"not\":\"his\"}"));
	assert_true(control_answer(&f->control, client, serial, "{\"a\":1}"));
	reads(fd, "{\"a\":1}\n");
	assert_int_equal(control_event(&f->control, client), CONTROL_STATUS);
	assert_false(control_answer(&f->control, client, serial, "{\"a\":2}"));
}

static void who_leaves_before_the_answer_is_forgotten(void **state)
{
	struct fixture *f = *state;
	int fd = dial();
	uint32_t client = 0, second = 0;
	uint64_t serial;

	assert_int_equal(write(fd, "pcrs\n", 5), 5);
	assert_int_equal(next(f, &client), CONTROL_PCRS);
	serial = control_wait(&f->control, client);
	close(fd);
	assert_int_equal(next(f, &second), CONTROL_NONE);
	fd = dial();
	assert_int_equal(write(fd, "pcrs\n", 5), 5);
	assert_int_equal(next(f, &second), CONTROL_PCRS);
	assert_int_equal(second, client); /* the same place, another connection */
	control_wait(&f->control, second);
	assert_false(control_answer(&f->control, client, serial, "{\"old\":1}"));
	assert_int_equal(recv(fd, &serial, 1, 0), -1);
	close(fd);
}

static void words_after_a_verb_that_takes_none_are_an_error(void **state)
{
	struct fixture *f = *state;
	cleanup_fd int fd = dial();
	enum control_verb verbs[8];

	assert_int_equal(write(fd, "status now\nquotes\n", 18), 18);
	assert_int_equal(run(f, verbs, 8), 0);
	reads(fd, "{\"error\":\"unknown request\"}\n{\"error\":\"unknown request\"}\n");
}

static void an_unknown_request_is_an_error_and_no_verb(void **state)
{
	struct fixture *f = *state;
	cleanup_fd int fd = dial();
	enum control_verb verbs[8];

	assert_int_equal(write(fd, "statu\n\nSTOP\n", 12), 12);
	assert_int_equal(run(f, verbs, 8), 0);
	reads(fd, "{\"error\":\"unknown request\"}\n{\"error\":\"unknown request\"}\n"
		  "{\"error\":\"unknown request\"}\n");
}

static void a_line_without_end_is_cut_off(void **state)
{
	struct fixture *f = *state;
	cleanup_fd int fd = dial();
	char line[CONTROL_LINE_MAX + 1];
	enum control_verb verbs[8];
	char rest[64];

	memset(line, 'x', sizeof(line));
	assert_int_equal(write(fd, line, sizeof(line)), sizeof(line));
	assert_int_equal(run(f, verbs, 8), 0);
	assert_true(recv(fd, rest, sizeof(rest), 0) > 0);
	assert_true(recv(fd, rest, sizeof(rest), 0) <= 0);
}

static void clients_over_the_bound_wait_for_their_turn(void **state)
{
	struct fixture *f = *state;
	int fds[CONTROL_CLIENTS_MAX + 2];
	enum control_verb verbs[32];
	unsigned served = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial();
		assert_int_equal(write(fds[i], "status\n", 7), 7);
		served += run(f, verbs, 32);
	}
	assert_int_equal(served, CONTROL_CLIENTS_MAX);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(run(f, verbs, 32), 2);
	for (unsigned i = 2; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	assert_int_equal(run(f, verbs, 32), 0);
}

static void a_client_that_reads_nothing_is_dropped_not_waited_for(void **state)
{
	struct fixture *f = *state;
	enum control_verb verbs[1];
	int fd = dial();

	assert_int_equal(run(f, verbs, 1), 0);
	for (unsigned i = 0; i < 1000000 && f->control.client[0].fd >= 0; i++)
		control_reply(&f->control, 1, "{\"ok\":true}");
	assert_int_equal(f->control.client[0].fd, -1);
	close(fd);
}

static void the_socket_is_ours_alone_and_goes_with_us(void **state)
{
	struct fixture *f = *state;
	struct error err;
	struct stat st;

	assert_int_equal(stat(CONTROL_PATH, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	control_close(&f->control);
	assert_int_equal(stat(CONTROL_PATH, &st), -1);
	/* what a killed VMM left behind is replaced */
	assert_int_equal(control_open(&f->control, &f->loop, &err), 0);
	close(f->control.fd);
	assert_int_equal(control_open(&f->control, &f->loop, &err), 0);
}

static void a_connection_can_be_taken_out_of_its_hands(void **state)
{
	struct fixture *f = *state;
	struct loop_event events[8];
	cleanup_fd int fd = dial(), taken = -1, hasty = dial();

	assert_int_equal(loop_wait(&f->loop, events, 8, 0), 1);
	assert_int_equal(control_event(&f->control, 0), CONTROL_NONE);
	assert_int_equal(control_event(&f->control, 0), CONTROL_NONE);
	assert_int_equal(write(fd, "stream 3 1\n", 11), 11);
	assert_int_equal(control_event(&f->control, 1), CONTROL_STREAM);
	assert_string_equal(control_args(&f->control, 1), "3 1");
	taken = control_take(&f->control, 1);
	assert_true(taken >= 0);
	assert_int_equal(write(fd, "status\n", 7), 7);
	assert_int_equal(control_event(&f->control, 1), CONTROL_NONE); /* no longer ours */
	reads(taken, "status\n");
	/* raw bytes before the answer would be lost, so such a client is not taken */
	assert_int_equal(write(hasty, "session\nraw", 11), 11);
	assert_int_equal(control_event(&f->control, 2), CONTROL_SESSION);
	assert_int_equal(control_take(&f->control, 2), -1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_line_is_a_request_with_an_answer),
		T(descriptors_are_kept_for_those_who_want_them_until_the_next),
		T(an_answer_may_come_later_and_in_turn),
		T(who_leaves_before_the_answer_is_forgotten),
		T(words_after_a_verb_that_takes_none_are_an_error),
		T(an_unknown_request_is_an_error_and_no_verb),
		T(a_line_without_end_is_cut_off),
		T(clients_over_the_bound_wait_for_their_turn),
		T(a_client_that_reads_nothing_is_dropped_not_waited_for),
		T(a_connection_can_be_taken_out_of_its_hands),
		T(the_socket_is_ours_alone_and_goes_with_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
