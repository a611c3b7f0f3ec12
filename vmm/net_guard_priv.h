/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_NET_GUARD_PRIV_H
#define VMM_NET_GUARD_PRIV_H

/* Where in a frame is what the guard compares: for its two forms, in C and as a program. */

enum {
	ETH_SOURCE = 6,
	ETH_TYPE = 12,
	ETH_HEADER = 14,
	ARP_SENDER_MAC = ETH_HEADER + 8,
	ARP_SENDER_IP = ETH_HEADER + 14,
	ARP_LENGTH = ETH_HEADER + 28,
	IP4_SOURCE = ETH_HEADER + 12,
	IP4_HEADER = ETH_HEADER + 20,
	IP6_SOURCE = ETH_HEADER + 8,
	IP6_NEXT = ETH_HEADER + 6,
	IP6_HEADER = ETH_HEADER + 40,
	ND_TARGET = IP6_HEADER + 8,
	ND_LENGTH = ND_TARGET + 16,
};

#define TYPE_IP4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_IP6 0x86dd

/* Next headers (IANA protocol numbers): options and routing, behind which anything can hide. */
#define NEXT_HOP_BY_HOP	 0
#define NEXT_ROUTING	 43
#define NEXT_DESTINATION 60
#define NEXT_ICMP6	 58
#define ND_ADVERTISEMENT 136

#endif
