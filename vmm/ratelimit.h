/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_RATELIMIT_H
#define VMM_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A token bucket: so many units (bytes, packets) a second on average, burst of them at once. A
 * request of more than burst passes when the bucket is full, and leaves it in debt, so that the
 * average holds for whatever sizes there are.
 */
struct ratelimit {
	uint64_t rate;	  /* units a second; 0: no limit */
	uint64_t burst;	  /* units */
	int64_t tokens;	  /* negative: in debt */
	uint64_t last_ns; /* when tokens was right */
	uint64_t rest;	  /* of a token, in units of 1 / second / 1e9, that time has earned */
};

#define RATELIMIT_MAX (UINT64_C(1) << 40) /* of rate and burst: a tebibyte */

/* A full bucket. rate and burst are at most RATELIMIT_MAX; a burst of 0 is one second's. */
void ratelimit_init(struct ratelimit *limit, uint64_t rate, uint64_t burst, uint64_t now_ns)
	__attribute__((nonnull));

/* Whether n units may pass now. Nothing is taken: ask every bucket, then take from all. */
bool ratelimit_ready(struct ratelimit *limit, uint64_t n, uint64_t now_ns) __attribute__((nonnull));
void ratelimit_take(struct ratelimit *limit, uint64_t n) __attribute__((nonnull));
/* Nanoseconds until n units may pass; 0 when they may now. Call after ratelimit_ready(). */
uint64_t ratelimit_wait_ns(const struct ratelimit *limit, uint64_t n) __attribute__((nonnull));

#endif
