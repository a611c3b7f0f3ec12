/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_LAYER_POOL_H
#define STAGE0_IMAGE_LAYER_POOL_H

#include "common/error.h"
#include "stage0/image/layer.h"

/*
 * layer_make() for threads. A child that runs our code must not be forked while other threads hold
 * locks of libraries, so the processes that fork it are started before the threads are: one for each
 * that may work at a time.
 */

struct layer_pool;

/* Start n workers. The caller frees *ret, in the thread that called this. */
int layer_pool_new(unsigned n, struct layer_pool **ret, struct error *err) __attribute__((nonnull));
/* End the workers, whatever they do. */
void layer_pool_free(struct layer_pool *pool); /* NULL is fine */

/*
 * layer_make() in worker i, which is nobody else's meanwhile. -ECANCELED as soon as the descriptor
 * cancel becomes readable; the worker is of no use after that.
 */
int layer_pool_make(struct layer_pool *pool, unsigned i, const struct layer_job *job, int cancel,
		    struct layer_result *ret, struct error *err) __attribute__((nonnull));

#endif
