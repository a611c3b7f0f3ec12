/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_guard_allows() as a program for the kernel, for where frames pass that the VMM does not see: a
 * classic BPF filter, straight from top to bottom. A load beyond the end of a frame would end it
 * with 0, which lets the frame pass where traffic control asks, so lengths are compared first.
 */
#include <assert.h>
#include <linux/filter.h>

#include "common/util.h"
#include "vmm/net_guard.h"
#include "vmm/net_guard_priv.h"

#define MATCH6_SIZE 9 /* instructions that compare with one address */

struct program {
	struct sock_filter *v;
	unsigned n;
	uint32_t allow, deny;
};

static void emit(struct program *p, unsigned code, uint32_t k)
{
	assert(p->n < NET_GUARD_PROGRAM_MAX);
	p->v[p->n++] = (struct sock_filter){.code = (uint16_t)code, .k = k};
}

static void emit_jump(struct program *p, unsigned code, uint32_t k, unsigned yes, unsigned no)
{
	emit(p, BPF_JMP | code | BPF_K, k);
	p->v[p->n - 1].jt = (uint8_t)yes;
	p->v[p->n - 1].jf = (uint8_t)no;
}

static void verdict(struct program *p, uint32_t value)
{
	emit(p, BPF_RET | BPF_K, value);
}

static void load(struct program *p, unsigned size, uint32_t offset)
{
	emit(p, BPF_LD | size | BPF_ABS, offset);
}

static void deny_unless_equal(struct program *p, uint32_t k)
{
	emit_jump(p, BPF_JEQ, k, 1, 0);
	verdict(p, p->deny);
}

static void deny_if_equal(struct program *p, uint32_t k)
{
	emit_jump(p, BPF_JEQ, k, 0, 1);
	verdict(p, p->deny);
}

static void deny_if_shorter(struct program *p, uint32_t len)
{
	emit(p, BPF_LD | BPF_W | BPF_LEN, 0);
	emit_jump(p, BPF_JGE, len, 1, 0);
	verdict(p, p->deny);
}

static uint32_t word(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static void deny_unless_mac(struct program *p, const struct net_guard *guard, uint32_t offset)
{
	load(p, BPF_W, offset);
	deny_unless_equal(p, word(guard->mac));
	load(p, BPF_H, offset + 4);
	deny_unless_equal(p, (uint32_t)guard->mac[4] << 8 | guard->mac[5]);
}

/* Ends with a verdict. */
static void match_ip4(struct program *p, const struct net_guard *guard, uint32_t offset)
{
	load(p, BPF_W, offset);
	for (unsigned i = 0; i <= guard->nip4; i++) {
		emit_jump(p, BPF_JEQ, i < guard->nip4 ? word(guard->ip4[i]) : 0, 0, 1);
		verdict(p, p->allow);
	}
	verdict(p, p->deny);
}

/* Goes on behind itself, or ends with deny. */
static void deny_unless_ip6(struct program *p, const struct net_guard *guard, uint32_t offset)
{
	static const uint8_t unspecified[16];
	unsigned start = p->n;

	for (unsigned i = 0; i <= guard->nip6; i++) {
		const uint8_t *ip = i < guard->nip6 ? guard->ip6[i] : unspecified;

		for (unsigned w = 0; w < 4; w++) {
			load(p, BPF_W, offset + 4 * w);
			emit_jump(p, BPF_JEQ, word(ip + 4 * (size_t)w), 0,
				  MATCH6_SIZE - 2 * (w + 1));
		}
		emit(p, BPF_JMP | BPF_JA, (guard->nip6 - i) * MATCH6_SIZE + 1);
	}
	assert(p->n - start == (guard->nip6 + 1) * MATCH6_SIZE);
	verdict(p, p->deny);
}

static void ip6_section(struct program *p, const struct net_guard *guard)
{
	unsigned jump;

	deny_if_shorter(p, IP6_HEADER);
	deny_unless_ip6(p, guard, IP6_SOURCE);
	load(p, BPF_B, IP6_NEXT);
	deny_if_equal(p, NEXT_ROUTING);
	deny_if_equal(p, NEXT_DESTINATION);

	jump = p->n;
	emit_jump(p, BPF_JEQ, NEXT_HOP_BY_HOP, 0, 0);
	deny_if_shorter(p, IP6_HEADER + 9);
	load(p, BPF_B, IP6_HEADER);
	deny_unless_equal(p, NEXT_ICMP6);
	load(p, BPF_B, IP6_HEADER + 8);
	deny_if_equal(p, ND_ADVERTISEMENT);
	verdict(p, p->allow);
	p->v[jump].jf = (uint8_t)(p->n - jump - 1);
	emit_jump(p, BPF_JEQ, NEXT_ICMP6, 1, 0);
	verdict(p, p->allow);
	deny_if_shorter(p, IP6_HEADER + 1);
	load(p, BPF_B, IP6_HEADER);
	emit_jump(p, BPF_JEQ, ND_ADVERTISEMENT, 1, 0);
	verdict(p, p->allow);
	deny_if_shorter(p, ND_LENGTH);
	deny_unless_ip6(p, guard, ND_TARGET);
	verdict(p, p->allow);
}

unsigned net_guard_program(const struct net_guard *guard, uint32_t allow, uint32_t deny,
			   struct sock_filter *ret)
{
	struct program p = {.v = ret, .allow = allow, .deny = deny};
	unsigned jump;

	deny_if_shorter(&p, ETH_HEADER);
	deny_unless_mac(&p, guard, ETH_SOURCE);
	if (!guard->addresses) {
		verdict(&p, allow);
		return p.n;
	}
	load(&p, BPF_H, ETH_TYPE);
	jump = p.n;
	emit_jump(&p, BPF_JEQ, TYPE_ARP, 0, 0);
	deny_if_shorter(&p, ARP_LENGTH);
	deny_unless_mac(&p, guard, ARP_SENDER_MAC);
	match_ip4(&p, guard, ARP_SENDER_IP);
	p.v[jump].jf = (uint8_t)(p.n - jump - 1);
	jump = p.n;
	emit_jump(&p, BPF_JEQ, TYPE_IP4, 0, 0);
	deny_if_shorter(&p, IP4_HEADER);
	match_ip4(&p, guard, IP4_SOURCE);
	p.v[jump].jf = (uint8_t)(p.n - jump - 1);
	deny_unless_equal(&p, TYPE_IP6);
	ip6_section(&p, guard);
	return p.n;
}
