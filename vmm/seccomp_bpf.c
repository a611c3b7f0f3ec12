/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel tries a filter for every call there is when it is installed, to find those that are
 * always allowed, and each instruction it comes by costs some thirty of its own: a program is cheap
 * when the paths of most calls are short. So it is a search for the range of numbers, all treated
 * alike, that the call's lies in, with one comparison for each end of a range. Each comparison halves
 * the numbers that are left, not the ranges: long ranges are found early.
 *
 * The program is written from its end to its begin, so that where a jump goes is known when it is
 * written: first what to return, then the comparisons, those next to the leaves of the tree before
 * those above. A jump reaches 255 instructions; one that would have to go further goes by way of an
 * unconditional one.
 *
 * The x32 interface of x86-64 has the same architecture and a bit of its own in the number.
 */
#include "vmm/seccomp_bpf.h"

#include <assert.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#include "common/util.h"

#define X32_BIT	    0x40000000U
#define JUMP_MAX    255 /* instructions a conditional jump skips */
#define RANGES_MAX  (SECCOMP_CALLS_MAX + 4)
#define CALLS_TRIED 451 /* by Linux 6.1 when it installs a filter */

struct writer {
	struct sock_filter *buf;
	unsigned at; /* the first instruction that is written */
};

/* Numbers from first on, up to the next range's, and the instruction that decides about them. */
struct range {
	uint32_t first;
	unsigned target;
};

/* A comparison: the ranges from begin to end, parted before middle. */
struct node {
	unsigned begin, middle, end;
	unsigned low, high; /* the nodes of both parts; 0: a single range */
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

/* How far from even the calls that are tried are parted at a range. */
static uint32_t imbalance(const struct range *ranges, const struct node *node, unsigned at)
{
	uint32_t first = MIN(ranges[node->begin].first, CALLS_TRIED);
	uint32_t last = MIN(ranges[node->end].first, CALLS_TRIED);
	uint32_t twice = 2 * MIN(ranges[at].first, CALLS_TRIED);

	return twice > first + last ? twice - first - last : first + last - twice;
}

/* The most even parting; among several such, the one where the ranges are. */
static unsigned find_middle(const struct range *ranges, const struct node *node)
{
	unsigned half = (node->begin + node->end) / 2, best = half;

	for (unsigned i = node->begin + 1; i < node->end; i++)
		if (imbalance(ranges, node, i) < imbalance(ranges, node, best))
			best = i;
	return best;
}

/* Part the n ranges until each is alone. Returns the number of nodes, the first is the root. */
static unsigned make_tree(const struct range *ranges, unsigned n, struct node *nodes)
{
	unsigned nnodes = n > 1;

	nodes[0] = (struct node){.end = n};
	for (unsigned i = 0; i < nnodes; i++) {
		struct node *node = &nodes[i];

		node->middle = find_middle(ranges, node);
		if (node->middle - node->begin > 1) {
			node->low = nnodes;
			nodes[nnodes++] = (struct node){.begin = node->begin, .end = node->middle};
		}
		if (node->end - node->middle > 1) {
			node->high = nnodes;
			nodes[nnodes++] = (struct node){.begin = node->middle, .end = node->end};
		}
	}
	return nnodes;
}

static void write_tree(struct writer *w, const struct range *ranges, unsigned n)
{
	struct node nodes[RANGES_MAX];
	unsigned nnodes = make_tree(ranges, n, nodes);

	while (nnodes-- > 0) {
		struct node *node = &nodes[nnodes];
		unsigned low = node->low ? nodes[node->low].target : ranges[node->begin].target;
		unsigned high = node->high ? nodes[node->high].target : ranges[node->middle].target;

		node->target = compare(w, low, ranges[node->middle].first, high);
	}
}

size_t seccomp_bpf(const struct seccomp_actions *actions, struct sock_filter buf[SECCOMP_BPF_MAX],
		   const struct sock_filter **ret)
{
	struct writer w = {.buf = buf, .at = SECCOMP_BPF_MAX};
	struct range ranges[RANGES_MAX + 1];
	unsigned n = 0;

	for (uint32_t nr = 0; nr < SECCOMP_CALLS_MAX; nr++)
		n = add_range(&w, ranges, n, nr, actions->call[nr]);
	n = add_range(&w, ranges, n, SECCOMP_CALLS_MAX, actions->rest);
	if (actions->arch == AUDIT_ARCH_X86_64) {
		n = add_range(&w, ranges, n, X32_BIT, SECCOMP_RET_KILL_PROCESS);
		/* not a call: what a tracer sets to have one skipped */
		n = add_range(&w, ranges, n, UINT32_MAX, actions->rest);
	}
	ranges[n].first = UINT32_MAX;
	write_tree(&w, ranges, n);
	put(&w, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	put(&w, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	put(&w, BPF_JMP | BPF_JEQ | BPF_K, actions->arch, 1, 0);
	put(&w, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	*ret = &buf[w.at];
	return SECCOMP_BPF_MAX - w.at;
}
