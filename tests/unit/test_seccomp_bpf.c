/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/seccomp.h"
#include "vmm/seccomp_bpf.h"

#define ARCH	  AUDIT_ARCH_X86_64
#define STEPS_MAX 64  /* no path is that long */
#define TRIED	  451 /* calls a guest's kernel tries when it installs a filter */

/*
 * What the kernel would answer: the few instructions there are in such programs, by linux/filter.h.
 * Steps and bounds are checked; *steps counts.
 */
static uint32_t answer(const struct sock_filter *program, size_t n, uint32_t arch, uint32_t nr,
		       unsigned *steps)
{
	uint32_t acc = 0;

	for (size_t at = 0; at < n; at++) {
		const struct sock_filter *in = &program[at];

		++*steps;
		switch (in->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(in->k == offsetof(struct seccomp_data, nr) ||
				    in->k == offsetof(struct seccomp_data, arch));
			acc = in->k == offsetof(struct seccomp_data, nr) ? nr : arch;
			break;
		case BPF_JMP | BPF_JA:
			at += in->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += acc == in->k ? in->jt : in->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += acc >= in->k ? in->jt : in->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K: /* libseccomp's */
			at += acc > in->k ? in->jt : in->jf;
			break;
		case BPF_RET | BPF_K:
			return in->k;
		default:
			fail_msg("instruction %zu: code %#x", at, in->code);
		}
	}
	fail_msg("the program is left at its end");
	return 0;
}

/* The numbers around which answers could change. */
static uint32_t probe_number(unsigned i)
{
	static const uint32_t edges[] = {SECCOMP_CALLS_MAX - 1,
					 SECCOMP_CALLS_MAX,
					 4095,
					 65536,
					 0x3fffffff,
					 0x40000000,
					 0x40000001,
					 0x40000200,
					 0x7fffffff,
					 0x80000000,
					 0xfffffffe,
					 0xffffffff};

	return i < SECCOMP_CALLS_MAX ? i : edges[i - SECCOMP_CALLS_MAX];
}

#define PROBES (SECCOMP_CALLS_MAX + 12)

/* What was decided for a number. */
static uint32_t wanted(const struct seccomp_actions *actions, uint32_t nr)
{
	if (nr < SECCOMP_CALLS_MAX)
		return actions->call[nr];
	return nr >= 0x40000000 && nr != UINT32_MAX ? SECCOMP_RET_KILL_PROCESS : actions->rest;
}

/* Returns how many instructions the program has. */
static size_t check_program(const struct seccomp_actions *actions, unsigned *longest)
{
	static struct sock_filter buf[SECCOMP_BPF_MAX];
	const struct sock_filter *program;
	size_t n = seccomp_bpf(actions, buf, &program);
	unsigned steps = 0;

	*longest = 0;
	assert_true(n <= SECCOMP_BPF_MAX && program + n == buf + SECCOMP_BPF_MAX);
	for (unsigned i = 0; i < PROBES; i++) {
		uint32_t nr = probe_number(i);

		steps = 0;
		assert_int_equal(answer(program, n, ARCH, nr, &steps), wanted(actions, nr));
		*longest = MAX(*longest, steps);
	}
	assert_int_equal(answer(program, n, AUDIT_ARCH_I386, 1, &steps), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(answer(program, n, 0, 1, &steps), SECCOMP_RET_KILL_PROCESS);
	assert_true(*longest < STEPS_MAX);
	return n;
}

static void fill(struct seccomp_actions *actions, uint32_t action)
{
	actions->arch = ARCH;
	actions->rest = action;
	for (unsigned i = 0; i < SECCOMP_CALLS_MAX; i++)
		actions->call[i] = action;
}

static void every_number_is_treated_as_was_decided(void **state)
{
	static struct seccomp_actions actions;
	unsigned longest;
	(void)state;

	fill(&actions, SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(check_program(&actions, &longest), 5);
	fill(&actions, SECCOMP_RET_ALLOW);
	check_program(&actions, &longest);
	for (unsigned i = 0; i < SECCOMP_CALLS_MAX; i += 7) {
		fill(&actions, SECCOMP_RET_ALLOW);
		actions.call[i] = SECCOMP_RET_ERRNO | EPERM;
		check_program(&actions, &longest);
		assert_true(longest <= 10);
	}
}

/* No set is worse than one that changes with each number. */
static void the_worst_set_fits_and_jumps_far_enough(void **state)
{
	static const uint32_t some[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | ENOSYS,
					SECCOMP_RET_KILL_PROCESS};
	static struct seccomp_actions actions;
	unsigned longest;
	(void)state;

	for (unsigned period = 2; period <= 3; period++) {
		fill(&actions, SECCOMP_RET_KILL_PROCESS);
		for (unsigned i = 0; i < SECCOMP_CALLS_MAX; i++)
			actions.call[i] = some[i % period];
		check_program(&actions, &longest);
		assert_true(longest <= 40);
	}
}

static void any_set_is_kept_to(void **state)
{
	static struct seccomp_actions actions;
	unsigned longest;
	uint32_t seed = 1;
	(void)state;

	for (unsigned round = 0; round < 200; round++) {
		fill(&actions, round % 2 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EXDEV);
		for (unsigned i = 0; i < SECCOMP_CALLS_MAX; i++) {
			seed = seed * 1664525 + 1013904223;
			if (seed >> 24 < round)
				actions.call[i] = SECCOMP_RET_KILL_PROCESS;
		}
		check_program(&actions, &longest);
	}
}

/* The same filter by libseccomp, from the words. */
static size_t oracle(const struct seccomp_spec *spec, struct sock_filter **ret)
{
	uint32_t deny = spec->code ? SCMP_ACT_ERRNO((uint32_t)spec->code) : SCMP_ACT_KILL_PROCESS;
	bool remove = spec->mode == SECCOMP_REMOVE;
	scmp_filter_ctx ctx = seccomp_init(remove ? SCMP_ACT_ALLOW : deny);
	cleanup_strv struct strv words = STRV_INIT;
	int fd = memfd_create("oracle", MFD_CLOEXEC);
	off_t len;

	assert_non_null(ctx);
	assert_true(fd >= 0);
	assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	for (size_t i = 0; i < spec->calls.n; i++)
		strv_add(&words, spec->calls.v[i]);
	if (spec->mode == SECCOMP_DEFAULT)
		strv_split(&words, seccomp_set(SECCOMP_SET_DEFAULT), ' ');
	if (!remove)
		strv_split(&words, seccomp_set(SECCOMP_SET_IMPLICIT), ' ');
	for (size_t i = 0; i < words.n; i++) {
		int nr = seccomp_syscall_resolve_name(words.v[i]), r;

		if (nr < 0)
			continue;
		r = seccomp_rule_add(ctx, remove ? deny : SCMP_ACT_ALLOW, nr, 0);
		assert_true(r == 0 || r == -EEXIST);
	}
	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	seccomp_release(ctx);
	len = lseek(fd, 0, SEEK_CUR);
	*ret = malloc((size_t)len);
	assert_int_equal(pread(fd, *ret, (size_t)len, 0), len);
	close(fd);
	return (size_t)len / sizeof(**ret);
}

/* Each set as a retain and as a remove set, killing and with an errno. */
static void libseccomp_says_the_same_of_every_set(void **state)
{
	static const char *const sets[] = {SECCOMP_SET_DEFAULT, "@rkt/default-blacklist",
					   "@systemd/clock",	SECCOMP_SET_IMPLICIT,
					   "@systemd/mount",	"@systemd/network-io",
					   "@systemd/obsolete", "@systemd/privileged",
					   "@systemd/process",	"@systemd/raw-io"};
	(void)state;

	for (unsigned i = 0; i < 4 * ARRAY_SIZE(sets); i++) {
		cleanup(seccomp_spec_free) struct seccomp_spec spec = {
			.mode = i % 2 ? SECCOMP_RETAIN : SECCOMP_REMOVE,
			.code = i / 2 % 2 ? EXDEV : 0,
			.calls = STRV_INIT};
		cleanup_free uint8_t *ours = NULL;
		cleanup_free struct sock_filter *theirs = NULL;
		unsigned steps = 0;
		size_t len, n;

		strv_split(&spec.calls, seccomp_set(sets[i / 4]), ' ');
		seccomp_compile(&spec, &ours, &len);
		n = oracle(&spec, &theirs);
		for (unsigned p = 0; p < PROBES; p++) {
			uint32_t nr = probe_number(p);
			uint32_t got =
				answer((void *)ours, len / sizeof(*theirs), ARCH, nr, &steps);
			uint32_t want = answer(theirs, n, ARCH, nr, &steps);

			if (got != want)
				fail_msg("%s, call %u: %#x, not %#x", sets[i / 4], nr, got, want);
		}
	}
}

/* The default filter is in the way of every app. */
static void the_default_filter_is_short(void **state)
{
	const struct seccomp_spec spec = {.mode = SECCOMP_DEFAULT, .calls = STRV_INIT};
	cleanup_free uint8_t *ours = NULL;
	cleanup_free struct sock_filter *theirs = NULL;
	static struct seccomp_actions actions;
	unsigned longest, steps = 0;
	size_t len, n = oracle(&spec, &theirs);
	(void)state;

	seccomp_decide(&spec, &actions);
	assert_true(check_program(&actions, &longest) <= 100);
	assert_true(longest <= 20);
	seccomp_compile(&spec, &ours, &len);
	for (uint32_t nr = 0; nr < TRIED; nr++)
		answer((void *)ours, len / sizeof(*theirs), ARCH, nr, &steps);
	assert_true(steps < 9 * TRIED);
	for (unsigned p = 0; p < PROBES; p++) {
		uint32_t nr = probe_number(p);
		uint32_t got = answer((void *)ours, len / sizeof(*theirs), ARCH, nr, &steps);

		/* those that are probed for are told to be missing, not killed for */
		if (got != (SECCOMP_RET_ERRNO | ENOSYS))
			assert_int_equal(got, answer(theirs, n, ARCH, nr, &steps));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_is_treated_as_was_decided),
		cmocka_unit_test(the_worst_set_fits_and_jumps_far_enough),
		cmocka_unit_test(any_set_is_kept_to),
		cmocka_unit_test(libseccomp_says_the_same_of_every_set),
		cmocka_unit_test(the_default_filter_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
