/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel tries a filter for every call there is when it is installed, to find those that are
 * always allowed, and each instruction of it costs some thirty of the kernel's to check and translate:
 * a program is cheap when it is short and its paths are. So it is a search for the range of numbers,
 * all treated alike, that the call's lies in: one comparison for each end of a range, no path longer
 * than the logarithm of how many there are.
 *
 * The program is written from its end to its begin, so that where a jump goes is known when it is
 * written: first what to return, then the comparisons of neighbouring ranges, then those of
 * neighbouring pairs, and so on until one is left. A jump reaches 255 instructions; one that would
 * have to go further goes by way of an unconditional one.
 *
 * The x32 interface of x86-64 has the same architecture and a bit of its own in the number.
 */
#include "vmm/seccomp_bpf.h"

#include <assert.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#define X32_BIT	   0x40000000U
#define JUMP_MAX   255 /* instructions a conditional jump skips */
#define RANGES_MAX (SECCOMP_CALLS_MAX + 4)

struct writer {
	struct sock_filter *buf;
	unsigned at; /* the first instruction that is written */
};

/* Numbers from first on, up to the next range's, and the instruction that decides about them. */
struct range {
	uint32_t first;
	unsigned target;
};

static unsigned put(struct writer *w, uint16_t code, uint32_t k, unsigned jt, unsigned jf)
{
	assert(w->at > 0 && jt <= JUMP_MAX && jf <= JUMP_MAX);
	w->buf[--w->at] =
		(struct sock_filter){.code = code, .k = k, .jt = (uint8_t)jt, .jf = (uint8_t)jf};
	return w->at;
}

/* The return of the action, written once: those are the program's end. */
static unsigned find_return(struct writer *w, uint32_t action)
{
	for (unsigned i = SECCOMP_BPF_MAX; i-- > w->at;)
		if (w->buf[i].k == action)
			return i;
	return put(w, BPF_RET | BPF_K, action, 0, 0);
}

/* An instruction that leads to target and that the next but one to be written can jump to. */
static unsigned within_reach(struct writer *w, unsigned target)
{
	/* another like this one may come between */
	return target - w->at < JUMP_MAX ? target : put(w, BPF_JMP | BPF_JA, target - w->at, 0, 0);
}

/* Decide between two neighbours. */
static unsigned compare(struct writer *w, unsigned low, uint32_t first, unsigned high)
{
	low = within_reach(w, low);
	high = within_reach(w, high);
	return put(w, BPF_JMP | BPF_JGE | BPF_K, first, high - w->at, low - w->at);
}

static unsigned add_range(struct writer *w, struct range *ranges, unsigned n, uint32_t first,
			  uint32_t action)
{
	unsigned target = find_return(w, action);

	if (n > 0 && ranges[n - 1].target == target)
		return n;
	assert(n < RANGES_MAX);
	ranges[n] = (struct range){.first = first, .target = target};
	return n + 1;
}

size_t seccomp_bpf(const struct seccomp_actions *actions, struct sock_filter buf[SECCOMP_BPF_MAX],
		   const struct sock_filter **ret)
{
	struct writer w = {.buf = buf, .at = SECCOMP_BPF_MAX};
	struct range ranges[RANGES_MAX];
	unsigned n = 0;

	for (uint32_t nr = 0; nr < SECCOMP_CALLS_MAX; nr++)
		n = add_range(&w, ranges, n, nr, actions->call[nr]);
	n = add_range(&w, ranges, n, SECCOMP_CALLS_MAX, actions->rest);
	if (actions->arch == AUDIT_ARCH_X86_64) {
		n = add_range(&w, ranges, n, X32_BIT, SECCOMP_RET_KILL_PROCESS);
		/* not a call: what a tracer sets to have one skipped */
		n = add_range(&w, ranges, n, UINT32_MAX, actions->rest);
	}
	while (n > 1) {
		unsigned pairs = 0;

		for (unsigned i = 0; i + 1 < n; i += 2, pairs++)
			ranges[pairs] = (struct range){.first = ranges[i].first,
						       .target = compare(&w, ranges[i].target,
									 ranges[i + 1].first,
									 ranges[i + 1].target)};
		if (n % 2 != 0)
			ranges[pairs++] = ranges[n - 1];
		n = pairs;
	}
	assert(ranges[0].target == w.at);
	put(&w, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	put(&w, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	put(&w, BPF_JMP | BPF_JEQ | BPF_K, actions->arch, 1, 0);
	put(&w, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	*ret = &buf[w.at];
	return SECCOMP_BPF_MAX - w.at;
}
