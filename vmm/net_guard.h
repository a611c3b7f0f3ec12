/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_NET_GUARD_H
#define VMM_NET_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a NIC may claim to be: frames that leave it carry its MAC and one of its addresses, so that a
 * guest can not speak for another pod, whatever the network it is on believes.
 */

#define NET_GUARD_ADDRS 8  /* addresses of a family: more than a CNI result has in practice */
#define NET_GUARD_HEAD	80 /* bytes of a frame that are looked at: to a neighbour's target */

struct net_guard {
	uint8_t mac[6];
	bool addresses; /* check them too; otherwise only the MAC */
	unsigned nip4, nip6;
	uint8_t ip4[NET_GUARD_ADDRS][4];
	uint8_t ip6[NET_GUARD_ADDRS][16];
};

/*
 * Whether a frame of which head is the first len bytes (NET_GUARD_HEAD, or all) may leave. With
 * addresses checked only ARP, IPv4 and IPv6 may, the unspecified address included (DHCP, duplicate
 * address detection). The link-local address is one like others: the list has it.
 */
bool net_guard_allows(const struct net_guard *guard, const uint8_t *head, size_t len)
	__attribute__((nonnull));

/*
 * The same as a classic BPF program over a whole frame, ending with one of two values. ret has room
 * for NET_GUARD_PROGRAM_MAX instructions; returns how many there are.
 */
#define NET_GUARD_PROGRAM_MAX 320 /* with all addresses there may be: 274 */
struct sock_filter;
unsigned net_guard_program(const struct net_guard *guard, uint32_t allow, uint32_t deny,
			   struct sock_filter *ret) __attribute__((nonnull));

#endif
