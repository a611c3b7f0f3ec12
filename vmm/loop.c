/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/loop.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/util.h"

#define LOOP_BATCH 32 /* events taken from the kernel at once */

/* epoll's 64 bits of user data hold {kind, index}. */
static struct epoll_event pack(uint32_t events, enum loop_kind kind, uint32_t index)
{
	return (struct epoll_event){.events = events, .data.u64 = (uint64_t)kind << 32 | index};
}

int loop_init(struct loop *loop, struct error *err)
{
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0)
		return error_errno(err, "epoll_create1");
	return 0;
}

void loop_free(struct loop *loop)
{
	if (loop)
		close_fd(&loop->epfd);
}

int loop_add(struct loop *loop, int fd, uint32_t events, enum loop_kind kind, uint32_t index,
	     struct error *err)
{
	struct epoll_event event = pack(events, kind, index);

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &event) < 0)
		return error_errno(err, "epoll_ctl");
	return 0;
}

void loop_set(struct loop *loop, int fd, uint32_t events, enum loop_kind kind, uint32_t index)
{
	struct epoll_event event = pack(events, kind, index);
	int r = epoll_ctl(loop->epfd, EPOLL_CTL_MOD, fd, &event);

	assert(r == 0);
	(void)r;
}

void loop_del(struct loop *loop, int fd)
{
	int r = epoll_ctl(loop->epfd, EPOLL_CTL_DEL, fd, NULL);

	assert(r == 0);
	(void)r;
}

int loop_wait(struct loop *loop, struct loop_event *ret, int max, int timeout_ms)
{
	struct epoll_event events[LOOP_BATCH];
	int n;

	do {
		n = epoll_wait(loop->epfd, events, MIN(max, LOOP_BATCH), timeout_ms);
	} while (n < 0 && errno == EINTR);
	assert(n >= 0);
	for (int i = 0; i < n; i++)
		ret[i] = (struct loop_event){
			.kind = (enum loop_kind)(events[i].data.u64 >> 32),
			.index = (uint32_t)events[i].data.u64,
			.events = events[i].events,
		};
	return n;
}
