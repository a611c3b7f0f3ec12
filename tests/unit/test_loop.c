/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/loop.h"

static void raise_event(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void an_event_carries_kind_and_index(void **state)
{
	cleanup_fd int fd = eventfd(0, EFD_CLOEXEC);
	struct error err = ERROR_INIT;
	struct loop_event event;
	struct loop loop;

	(void)state;
	assert_int_equal(loop_init(&loop, &err), 0);
	assert_int_equal(loop_add(&loop, fd, EPOLLIN, LOOP_NOTIFY, LOOP_QUEUE(0xffff, 255), &err),
			 0);
	assert_int_equal(loop_wait(&loop, &event, 1, 0), 0);
	raise_event(fd);
	assert_int_equal(loop_wait(&loop, &event, 1, -1), 1);
	assert_int_equal(event.kind, LOOP_NOTIFY);
	assert_int_equal(LOOP_DEVICE(event.index), 0xffff);
	assert_int_equal(LOOP_QUEUE_OF(event.index), 255);
	assert_int_equal(event.events, EPOLLIN);
	loop_free(&loop);
}

static void a_parked_descriptor_is_silent_until_set_again(void **state)
{
	cleanup_fd int fd = eventfd(1, EFD_CLOEXEC);
	struct error err = ERROR_INIT;
	struct loop_event event;
	struct loop loop;

	(void)state;
	assert_int_equal(loop_init(&loop, &err), 0);
	assert_int_equal(loop_add(&loop, fd, 0, LOOP_STREAM_IN, 7, &err), 0);
	assert_int_equal(loop_wait(&loop, &event, 1, 0), 0);
	loop_set(&loop, fd, EPOLLIN, LOOP_STREAM_IN, 8);
	assert_int_equal(loop_wait(&loop, &event, 1, 0), 1);
	assert_int_equal(event.kind, LOOP_STREAM_IN);
	assert_int_equal(event.index, 8);
	loop_del(&loop, fd);
	assert_int_equal(loop_wait(&loop, &event, 1, 0), 0);
	loop_free(&loop);
}

static void adding_twice_is_an_error(void **state)
{
	cleanup_fd int fd = eventfd(0, EFD_CLOEXEC);
	struct error err = ERROR_INIT;
	struct loop loop;

	(void)state;
	assert_int_equal(loop_init(&loop, &err), 0);
	assert_int_equal(loop_add(&loop, fd, EPOLLIN, LOOP_VCPU, 0, &err), 0);
	assert_int_equal(loop_add(&loop, fd, EPOLLIN, LOOP_VCPU, 0, &err), -EEXIST);
	loop_free(&loop);
}

static void no_more_events_come_than_asked_for(void **state)
{
	struct error err = ERROR_INIT;
	struct loop_event events[4];
	struct loop loop;
	int fds[6];

	(void)state;
	assert_int_equal(loop_init(&loop, &err), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = eventfd(1, EFD_CLOEXEC);
		assert_int_equal(loop_add(&loop, fds[i], EPOLLIN, LOOP_CONTROL, i, &err), 0);
	}
	assert_int_equal(loop_wait(&loop, events, 4, 0), 4);
	loop_free(&loop);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_carries_kind_and_index),
		cmocka_unit_test(a_parked_descriptor_is_silent_until_set_again),
		cmocka_unit_test(adding_twice_is_an_error),
		cmocka_unit_test(no_more_events_come_than_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
