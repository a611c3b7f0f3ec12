/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net_guard.h"

#include <string.h>

#include "vmm/net_guard_priv.h"

static bool is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static bool ip4_allowed(const struct net_guard *guard, const uint8_t *ip)
{
	for (unsigned i = 0; i < guard->nip4; i++)
		if (memcmp(guard->ip4[i], ip, sizeof(guard->ip4[i])) == 0)
			return true;
	return is_zero(ip, sizeof(guard->ip4[0]));
}

static bool ip6_allowed(const struct net_guard *guard, const uint8_t *ip)
{
	for (unsigned i = 0; i < guard->nip6; i++)
		if (memcmp(guard->ip6[i], ip, sizeof(guard->ip6[i])) == 0)
			return true;
	return is_zero(ip, sizeof(guard->ip6[0]));
}

/* An advertisement claims its target, whatever its source says. */
static bool ip6_frame_allowed(const struct net_guard *guard, const uint8_t *head, size_t len)
{
	if (len < IP6_HEADER || !ip6_allowed(guard, head + IP6_SOURCE))
		return false;
	switch (head[IP6_NEXT]) {
	case NEXT_HOP_BY_HOP:
		/* how Linux reports the groups it listens to; its receivers take nothing else */
		return len > IP6_HEADER && head[IP6_HEADER] == NEXT_ICMP6 &&
		       len >= IP6_HEADER + 9 && head[IP6_HEADER + 8] != ND_ADVERTISEMENT;
	case NEXT_ROUTING:
	case NEXT_DESTINATION:
		return false;
	case NEXT_ICMP6:
		if (len > IP6_HEADER && head[IP6_HEADER] == ND_ADVERTISEMENT)
			return len >= ND_LENGTH && ip6_allowed(guard, head + ND_TARGET);
		return len > IP6_HEADER;
	default:
		return true;
	}
}

bool net_guard_allows(const struct net_guard *guard, const uint8_t *head, size_t len)
{
	unsigned type;

	if (len < ETH_HEADER || memcmp(head + ETH_SOURCE, guard->mac, sizeof(guard->mac)) != 0)
		return false;
	if (!guard->addresses)
		return true;
	type = (unsigned)head[ETH_TYPE] << 8 | head[ETH_TYPE + 1];
	switch (type) {
	case TYPE_ARP:
		return len >= ARP_LENGTH &&
		       memcmp(head + ARP_SENDER_MAC, guard->mac, sizeof(guard->mac)) == 0 &&
		       ip4_allowed(guard, head + ARP_SENDER_IP);
	case TYPE_IP4:
		return len >= IP4_HEADER && ip4_allowed(guard, head + IP4_SOURCE);
	case TYPE_IP6:
		return ip6_frame_allowed(guard, head, len);
	default:
		return false;
	}
}
