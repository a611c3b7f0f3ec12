/* SPDX-License-Identifier: Apache-2.0 */
/* The guard of a NIC as a program for the kernel: it says of any frame what the C code says. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/net_guard.h"

#define FRAME_MAX 128

static const struct net_guard guards[] = {
	{.mac = {2, 1, 2, 3, 4, 5}},
	{.mac = {2, 1, 2, 3, 4, 5}, .addresses = true},
	{.mac = {2, 1, 2, 3, 4, 5}, .addresses = true, .nip4 = 1, .ip4 = {{172, 31, 0, 2}}},
	{.mac = {2, 1, 2, 3, 4, 0xff},
	 .addresses = true,
	 .nip4 = 2,
	 .ip4 = {{172, 31, 0, 2}, {255, 0, 255, 1}},
	 .nip6 = 2,
	 .ip6 = {{0x20, 1, [15] = 9}, {0xfe, 0x80, [15] = 1}}},
};

struct kernel {
	int in, out;
};

static void load(const struct net_guard *guard, struct kernel *ret)
{
	struct sock_filter code[NET_GUARD_PROGRAM_MAX];
	struct sock_fprog program = {.filter = code};
	int pair[2];

	program.len = (unsigned short)net_guard_program(guard, UINT32_MAX, 0, code);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(
		setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	*ret = (struct kernel){.in = pair[0], .out = pair[1]};
}

static bool kernel_allows(const struct kernel *kernel, const uint8_t *frame, size_t len)
{
	uint8_t copy[FRAME_MAX];
	ssize_t n;

	assert_int_equal(send(kernel->in, frame, len, 0), len);
	n = recv(kernel->out, copy, sizeof(copy), MSG_DONTWAIT);
	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	else
		assert_int_equal(n, len);
	return n >= 0;
}

static void compare(const struct net_guard *guard, const struct kernel *kernel,
		    const uint8_t *frame, size_t len, unsigned *ret_allowed)
{
	bool want = net_guard_allows(guard, frame, MIN(len, (size_t)NET_GUARD_HEAD));

	if (kernel_allows(kernel, frame, len) != want)
		fail_msg("a frame of %zu bytes, type %02x%02x: the guard says %d", len, frame[12],
			 frame[13], want);
	*ret_allowed += want;
}

#define KINDS 5

/* A frame the guard allows, of each kind. Returns its length. */
static size_t make(const struct net_guard *guard, unsigned kind, uint8_t frame[FRAME_MAX])
{
	static const uint16_t types[] = {0x0806, 0x0800, 0x86dd, 0x86dd, 0x86dd};
	static const uint8_t next[] = {0, 0, 6, 58, 0};

	memset(frame, 0, FRAME_MAX);
	memcpy(frame + 6, guard->mac, 6);
	frame[12] = (uint8_t)(types[kind] >> 8);
	frame[13] = (uint8_t)types[kind];
	if (kind == 0) {
		memcpy(frame + 22, guard->mac, 6);
		memcpy(frame + 28, guard->ip4[0], 4);
		return 42;
	}
	if (kind == 1) {
		memcpy(frame + 26, guard->ip4[guard->nip4 ? guard->nip4 - 1 : 0], 4);
		return 60;
	}
	memcpy(frame + 22, guard->ip6[guard->nip6 ? guard->nip6 - 1 : 0], 16);
	frame[20] = next[kind];
	if (kind == 3) {
		frame[54] = 136;
		memcpy(frame + 62, guard->ip6[0], 16);
		return 86;
	}
	if (kind == 4) {
		frame[54] = 58;
		frame[62] = 143;
		return 90;
	}
	return 74;
}

/* What the tests below make of a frame the guard allows, and what comes of it. */
struct count {
	unsigned asked, allowed, seed;
};

typedef void variation(const struct net_guard *guard, const struct kernel *kernel,
		       uint8_t frame[FRAME_MAX], size_t len, struct count *count);

static void vary(const struct net_guard *guard, variation *change, struct count *count)
{
	struct kernel kernel;

	load(guard, &kernel);
	for (unsigned kind = 0; kind < KINDS; kind++) {
		uint8_t frame[FRAME_MAX];
		size_t len = make(guard, kind, frame);

		change(guard, &kernel, frame, len, count);
	}
	close(kernel.in);
	close(kernel.out);
}

static struct count vary_all(variation *change)
{
	struct count count = {.seed = 7};

	for (size_t g = 0; g < ARRAY_SIZE(guards); g++)
		vary(&guards[g], change, &count);
	return count;
}

static void of_any_length(const struct net_guard *guard, const struct kernel *kernel,
			  uint8_t frame[FRAME_MAX], size_t len, struct count *count)
{
	for (len = 1; len <= FRAME_MAX; len++)
		compare(guard, kernel, frame, len, &count->allowed);
}

static void the_kernels_verdict_is_the_guards_for_frames_of_any_length(void **state)
{
	(void)state;
	assert_true(vary_all(of_any_length).allowed > 500);
}

/* Each byte of what it looks at, changed to what it might take for something else. */
static void by_a_byte(const struct net_guard *guard, const struct kernel *kernel,
		      uint8_t frame[FRAME_MAX], size_t len, struct count *count)
{
	static const uint8_t values[] = {0, 1, 2, 6, 43, 58, 60, 136, 0x80, 0xff};

	for (size_t i = 0; i < len; i++) {
		uint8_t was = frame[i];

		for (size_t v = 0; v < ARRAY_SIZE(values); v++, count->asked++) {
			frame[i] = values[v];
			compare(guard, kernel, frame, len, &count->allowed);
		}
		frame[i] = was;
	}
}

static void the_kernels_verdict_is_the_guards_for_any_changed_byte(void **state)
{
	struct count count = vary_all(by_a_byte);

	(void)state;
	assert_true(count.allowed > 1000 && count.allowed < count.asked);
}

static void at_random(const struct net_guard *guard, const struct kernel *kernel,
		      uint8_t frame[FRAME_MAX], size_t len, struct count *count)
{
	unsigned *seed = &count->seed;

	for (unsigned n = 0; n < 4000; n++) {
		uint8_t copy[FRAME_MAX];
		size_t size = len;

		memcpy(copy, frame, FRAME_MAX);
		for (int i = rand_r(seed) % 4; i > 0; i--)
			copy[(unsigned)rand_r(seed) % len] = (uint8_t)rand_r(seed);
		if (rand_r(seed) % 4 == 0)
			size = (unsigned)rand_r(seed) % len + 1;
		compare(guard, kernel, copy, size, &count->allowed);
	}
}

static void the_kernels_verdict_is_the_guards_for_random_frames(void **state)
{
	(void)state;
	assert_true(vary_all(at_random).allowed > 1000);
}

static void as_it_is(const struct net_guard *guard, const struct kernel *kernel,
		     uint8_t frame[FRAME_MAX], size_t len, struct count *count)
{
	compare(guard, kernel, frame, len, &count->allowed);
}

static void the_largest_guard_has_room(void **state)
{
	struct net_guard guard = {
		.addresses = true, .nip4 = NET_GUARD_ADDRS, .nip6 = NET_GUARD_ADDRS};
	struct count count = {.allowed = 0};

	(void)state;
	for (unsigned i = 0; i < NET_GUARD_ADDRS; i++)
		guard.ip4[i][0] = guard.ip6[i][0] = (uint8_t)(i + 1);
	vary(&guard, as_it_is, &count);
	assert_int_equal(count.allowed, KINDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernels_verdict_is_the_guards_for_frames_of_any_length),
		cmocka_unit_test(the_kernels_verdict_is_the_guards_for_any_changed_byte),
		cmocka_unit_test(the_kernels_verdict_is_the_guards_for_random_frames),
		cmocka_unit_test(the_largest_guard_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
