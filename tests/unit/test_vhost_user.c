/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/unit/vu_backend.h"
#include "vmm/memory.h"
#include "vmm/vhost_user.h"
#include "vmm/virtio.h"

struct fixture {
	struct vu_backend b;
	struct vhost_user vu;
	struct memory *memory;
	int kick, call;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err = ERROR_INIT;

	vu_init(&f->b);
	f->vu = (struct vhost_user){.fd = f->b.front};
	f->kick = eventfd(0, EFD_CLOEXEC);
	f->call = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(memory_new(MEMORY_BOOT_MIN, MEMORY_SLOT, &f->memory, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vu_free(&f->b);
	memory_free(f->memory);
	close(f->kick);
	close(f->call);
	free(f);
	return 0;
}

static int meet(struct fixture *f)
{
	struct error err = ERROR_INIT;

	return vhost_user_open(&f->vu, f->b.front, &err);
}

static void meet_well(struct fixture *f)
{
	vu_greet(&f->b);
	assert_int_equal(meet(f), 0);
	vu_skip(&f->b);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	assert_int_equal(fstat(a, &x), 0);
	assert_int_equal(fstat(b, &y), 0);
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void the_two_meet(void **state)
{
	struct fixture *f = *state;
	struct vu_message m;

	vu_greet(&f->b);
	assert_int_equal(meet(f), 0);
	assert_int_equal(vu_expect(&f->b, VU_GET_FEATURES).flags, 1);
	vu_expect(&f->b, VU_GET_PROTOCOL_FEATURES);
	m = vu_expect(&f->b, VU_SET_PROTOCOL_FEATURES);
	assert_int_equal(m.u64[0], VU_REPLY_ACK);
	assert_int_equal(m.flags, 1);
	m = vu_expect(&f->b, VU_SET_OWNER);
	assert_int_equal(m.flags, 1 | VU_NEED_REPLY);
	assert_int_equal(f->vu.features, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_EVENT_IDX |
						 VIRTIO_F_RING_INDIRECT_DESC);
	assert_false(f->vu.dead);
}

static void features_the_transport_does_not_know_are_not_taken(void **state)
{
	struct fixture *f = *state;

	vu_put_u64(&f->b, VU_GET_FEATURES, UINT64_MAX & ~VIRTIO_F_RING_EVENT_IDX);
	vu_put_u64(&f->b, VU_GET_PROTOCOL_FEATURES, UINT64_MAX);
	vu_ack(&f->b, VU_SET_OWNER);
	assert_int_equal(meet(f), 0);
	assert_int_equal(f->vu.features, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_INDIRECT_DESC);
	vu_expect(&f->b, VU_GET_FEATURES);
	vu_expect(&f->b, VU_GET_PROTOCOL_FEATURES);
	assert_int_equal(vu_expect(&f->b, VU_SET_PROTOCOL_FEATURES).u64[0], VU_REPLY_ACK);
}

static void a_back_end_that_can_not_acknowledge_is_refused(void **state)
{
	struct fixture *f = *state;

	vu_put_u64(&f->b, VU_GET_FEATURES, VU_FEATURES);
	vu_put_u64(&f->b, VU_GET_PROTOCOL_FEATURES, 0);
	assert_int_equal(meet(f), -EPROTO);
	assert_true(f->vu.dead);
}

static void a_back_end_without_protocol_features_is_refused(void **state)
{
	struct fixture *f = *state;

	vu_put_u64(&f->b, VU_GET_FEATURES, UINT64_C(1) << 32);
	assert_int_equal(meet(f), -EPROTO);
}

/* One answer to the first question, and what becomes of it. */
static void one_bad_answer(struct fixture *f, uint32_t request, uint32_t flags, uint32_t size,
			   int want)
{
	uint8_t payload[64] = {0};

	vu_free(&f->b);
	vu_init(&f->b);
	vu_put(&f->b, request, flags, payload, size);
	shutdown(f->b.back, SHUT_WR);
	assert_int_equal(meet(f), want);
	assert_true(f->vu.dead);
}

static void an_answer_that_makes_no_sense_is_the_last(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;

	one_bad_answer(f, VU_SET_OWNER, VU_REPLY, 8, -EPROTO);	      /* to something else */
	one_bad_answer(f, VU_GET_FEATURES, VU_REPLY, 4, -EPROTO);     /* too short */
	one_bad_answer(f, VU_GET_FEATURES, VU_REPLY, 16, -EPROTO);    /* too long */
	one_bad_answer(f, VU_GET_FEATURES, 1, 8, -EPROTO);	      /* no reply */
	one_bad_answer(f, VU_GET_FEATURES, VU_REPLY + 1, 8, -EPROTO); /* another version */
	one_bad_answer(f, VU_GET_FEATURES, UINT32_MAX, 8, -EPROTO);
	one_bad_answer(f, UINT32_MAX, VU_REPLY, 8, -EPROTO);

	/* nothing more is asked */
	vu_skip(&f->b);
	assert_int_equal(vhost_user_stop(&f->vu, 0, &err), -EPIPE);
	assert_false(vu_take(&f->b, &(struct vu_message){.request = 0}));
}

static void a_size_beyond_all_memory_is_refused_unread(void **state)
{
	struct fixture *f = *state;
	const uint32_t header[] = {VU_GET_FEATURES, VU_REPLY, UINT32_MAX};

	assert_int_equal(send(f->b.back, header, sizeof(header), 0), sizeof(header));
	assert_int_equal(meet(f), -EPROTO);
}

static void a_hang_up_at_any_byte_is_seen(void **state)
{
	struct fixture *f = *state;
	uint8_t stream[512];
	ssize_t len;

	vu_greet(&f->b);
	len = recv(f->b.front, stream, sizeof(stream), MSG_DONTWAIT);
	assert_true(len > 40);
	for (ssize_t cut = 0; cut < len; cut++) {
		vu_free(&f->b);
		vu_init(&f->b);
		assert_int_equal(send(f->b.back, stream, (size_t)cut, 0), cut);
		shutdown(f->b.back, SHUT_WR);
		assert_int_equal(meet(f), -EPIPE);
		assert_true(f->vu.dead);
	}
}

static void a_socket_that_was_closed_is_no_signal(void **state)
{
	struct fixture *f = *state;

	close_fd(&f->b.back);
	assert_int_equal(meet(f), -EPIPE);
}

/* An answer with a descriptor nobody asked for. */
static void descriptors_in_answers_do_not_come_in(void **state)
{
	struct fixture *f = *state;
	const uint64_t features = VU_FEATURES;
	uint32_t header[] = {VU_GET_FEATURES, VU_REPLY, sizeof(features)};
	struct iovec iov = {header, sizeof(header)};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} cmsg = {.bytes = {0}};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = cmsg.bytes,
			     .msg_controllen = sizeof(cmsg.bytes)};
	int free_before = dup(0), free_after;

	cmsg.head = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
				     .cmsg_type = SCM_RIGHTS,
				     .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(&cmsg.head), &f->kick, sizeof(int));
	assert_int_equal(sendmsg(f->b.back, &msg, 0), sizeof(header));
	assert_int_equal(send(f->b.back, &features, sizeof(features), 0), sizeof(features));
	vu_put_u64(&f->b, VU_GET_PROTOCOL_FEATURES, VU_REPLY_ACK);
	vu_ack(&f->b, VU_SET_OWNER);
	close(free_before);
	assert_int_equal(meet(f), 0);
	free_after = dup(0);
	assert_int_equal(free_after, free_before);
	close(free_after);
}

static void a_back_end_that_does_not_answer_is_given_up(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;

	meet_well(f);
	f->vu.timeout_ms = 1;
	assert_int_equal(vhost_user_stop(&f->vu, 0, &err), -ETIMEDOUT);
	assert_true(f->vu.dead);
}

static void the_back_end_sees_all_guest_memory(void **state)
{
	struct fixture *f = *state;
	const struct gmem *mem = &f->memory->gmem;
	struct error err = ERROR_INIT;
	struct vu_message m;

	meet_well(f);
	vu_ack(&f->b, VU_SET_FEATURES);
	vu_ack(&f->b, VU_SET_MEM_TABLE);
	assert_int_equal(vhost_user_set_up(&f->vu, VIRTIO_F_VERSION_1, mem, f->memory->fd, &err),
			 0);
	m = vu_expect(&f->b, VU_SET_FEATURES);
	assert_int_equal(m.u64[0], VIRTIO_F_VERSION_1 | UINT64_C(1) << 30);
	m = vu_expect(&f->b, VU_SET_MEM_TABLE);
	assert_int_equal(mem->nregions, 2); /* what it boots with, what can be plugged */
	assert_int_equal(m.u32[0], mem->nregions);
	assert_int_equal(m.nfds, mem->nregions);
	assert_int_equal(m.size, 8 + 32 * mem->nregions);
	for (unsigned i = 0; i < mem->nregions; i++) {
		const struct gmem_region *region = &mem->region[i];
		const uint64_t *told = &m.u64[1 + 4 * i];
		uint64_t *p;

		assert_int_equal(told[0], region->gpa);
		assert_int_equal(told[1], region->size);
		assert_int_equal(told[2], region->gpa); /* no address of ours */
		assert_true(same_file(m.fd[i], f->memory->fd));
		p = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd[i],
			 (off_t)told[3]);
		assert_ptr_not_equal(p, MAP_FAILED);
		p[1] = 0x1234567800 + i;
		assert_int_equal(((uint64_t *)region->hva)[1], 0x1234567800 + i);
		munmap(p, region->size);
		close(m.fd[i]);
	}
}

static void a_queue_is_told_by_guest_addresses_and_started_last(void **state)
{
	struct fixture *f = *state;
	const struct vhost_user_queue queue = {
		.index = 1,
		.size = 64,
		.desc_gpa = 0x1000,
		.avail_gpa = 0x2000,
		.used_gpa = 0x3000,
		.kickfd = f->kick,
		.callfd = f->call,
	};
	struct error err = ERROR_INIT;
	struct vu_message m;
	uint64_t count = 7;

	meet_well(f);
	vu_ack_queue(&f->b);
	assert_int_equal(vhost_user_start(&f->vu, &queue, &err), 0);
	m = vu_expect(&f->b, VU_SET_VRING_NUM);
	assert_int_equal(m.u32[0], 1);
	assert_int_equal(m.u32[1], 64);
	m = vu_expect(&f->b, VU_SET_VRING_BASE);
	assert_int_equal(m.u32[1], 0);
	m = vu_expect(&f->b, VU_SET_VRING_ADDR);
	assert_int_equal(m.u32[0], 1);
	assert_int_equal(m.u32[1], 0);
	assert_int_equal(m.u64[1], 0x1000);
	assert_int_equal(m.u64[2], 0x3000);
	assert_int_equal(m.u64[3], 0x2000);
	m = vu_expect(&f->b, VU_SET_VRING_CALL);
	assert_int_equal(m.u64[0], 1);
	assert_int_equal(m.nfds, 1);
	assert_int_equal(write(m.fd[0], &count, sizeof(count)), sizeof(count));
	assert_int_equal(read(f->call, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 7);
	close(m.fd[0]);
	m = vu_expect(&f->b, VU_SET_VRING_KICK);
	assert_int_equal(m.nfds, 1);
	assert_int_equal(write(f->kick, &count, sizeof(count)), sizeof(count));
	assert_int_equal(read(m.fd[0], &count, sizeof(count)), sizeof(count));
	close(m.fd[0]);
	m = vu_expect(&f->b, VU_SET_VRING_ENABLE);
	assert_int_equal(m.u32[1], 1);
}

static void a_back_end_that_can_not_is_asked_nothing_more(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;

	meet_well(f);
	vu_put_u64(&f->b, VU_SET_FEATURES, 1);
	assert_int_equal(vhost_user_set_up(&f->vu, VIRTIO_F_VERSION_1, &f->memory->gmem,
					   f->memory->fd, &err),
			 -EIO);
	assert_true(f->vu.dead);
	vu_expect(&f->b, VU_SET_FEATURES);
	assert_false(vu_take(&f->b, &(struct vu_message){.request = 0}));
}

static void a_queue_stops_when_the_back_end_says_so(void **state)
{
	struct fixture *f = *state;
	const uint32_t stopped[] = {1, 77}, other[] = {0, 77};
	struct error err = ERROR_INIT;

	meet_well(f);
	vu_put(&f->b, VU_GET_VRING_BASE, VU_REPLY, stopped, sizeof(stopped));
	assert_int_equal(vhost_user_stop(&f->vu, 1, &err), 0);
	assert_int_equal(vu_expect(&f->b, VU_GET_VRING_BASE).u32[0], 1);
	vu_put(&f->b, VU_GET_VRING_BASE, VU_REPLY, other, sizeof(other));
	assert_int_equal(vhost_user_stop(&f->vu, 1, &err), -EPROTO);
	assert_true(f->vu.dead);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_two_meet),
		T(features_the_transport_does_not_know_are_not_taken),
		T(a_back_end_that_can_not_acknowledge_is_refused),
		T(a_back_end_without_protocol_features_is_refused),
		T(an_answer_that_makes_no_sense_is_the_last),
		T(a_size_beyond_all_memory_is_refused_unread),
		T(a_hang_up_at_any_byte_is_seen),
		T(a_socket_that_was_closed_is_no_signal),
		T(descriptors_in_answers_do_not_come_in),
		T(a_back_end_that_does_not_answer_is_given_up),
		T(the_back_end_sees_all_guest_memory),
		T(a_queue_is_told_by_guest_addresses_and_started_last),
		T(a_back_end_that_can_not_is_asked_nothing_more),
		T(a_queue_stops_when_the_back_end_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
