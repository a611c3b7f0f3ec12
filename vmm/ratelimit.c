/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/ratelimit.h"

#include "common/util.h"

#define SECOND UINT64_C(1000000000)

void ratelimit_init(struct ratelimit *limit, uint64_t rate, uint64_t burst, uint64_t now_ns)
{
	rate = MIN(rate, RATELIMIT_MAX);
	burst = MIN(burst ? burst : rate, RATELIMIT_MAX);
	*limit = (struct ratelimit){
		.rate = rate, .burst = burst, .tokens = (int64_t)burst, .last_ns = now_ns};
}

static void refill(struct ratelimit *limit, uint64_t now_ns)
{
	uint64_t elapsed = now_ns > limit->last_ns ? now_ns - limit->last_ns : 0;
	unsigned __int128 earned = (unsigned __int128)elapsed * limit->rate + limit->rest;
	unsigned __int128 room = (unsigned __int128)((int64_t)limit->burst - limit->tokens);

	limit->last_ns = now_ns;
	if (earned / SECOND >= room) {
		limit->tokens = (int64_t)limit->burst;
		limit->rest = 0;
		return;
	}
	limit->tokens += (int64_t)(earned / SECOND);
	limit->rest = (uint64_t)(earned % SECOND);
}

/* What has to be in the bucket for n to pass. */
static int64_t needed(const struct ratelimit *limit, uint64_t n)
{
	return (int64_t)MIN(n, limit->burst);
}

bool ratelimit_ready(struct ratelimit *limit, uint64_t n, uint64_t now_ns)
{
	if (!limit->rate)
		return true;
	refill(limit, now_ns);
	return limit->tokens >= needed(limit, n);
}

void ratelimit_take(struct ratelimit *limit, uint64_t n)
{
	if (limit->rate)
		limit->tokens -= (int64_t)MIN(n, RATELIMIT_MAX);
}

uint64_t ratelimit_wait_ns(const struct ratelimit *limit, uint64_t n)
{
	unsigned __int128 missing;

	if (!limit->rate || limit->tokens >= needed(limit, n))
		return 0;
	missing = (unsigned __int128)(needed(limit, n) - limit->tokens) * SECOND - limit->rest;
	return (uint64_t)((missing + limit->rate - 1) / limit->rate);
}
