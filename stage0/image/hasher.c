/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/image/hasher.h"

#include <pthread.h>
#include <stdbool.h>

#include "common/util.h"

#define BLOCKS 4 /* one being filled, one being read, one being hashed, one to even out */

struct hasher {
	struct hash *hash;
	pthread_t thread;
	bool threaded;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned pushed, hashed; /* blocks, counted from the start */
	bool done;
	size_t len[BLOCKS];
	uint8_t block[BLOCKS][HASHER_BLOCK];
};

static void *run(void *arg)
{
	struct hasher *hasher = arg;

	pthread_mutex_lock(&hasher->lock);
	for (;;) {
		unsigned i = hasher->hashed % BLOCKS;

		if (hasher->pushed != hasher->hashed) {
			pthread_mutex_unlock(&hasher->lock);
			hash_update(hasher->hash, hasher->block[i], hasher->len[i]);
			pthread_mutex_lock(&hasher->lock);
			hasher->hashed++;
			pthread_cond_signal(&hasher->changed);
		} else if (hasher->done) {
			break;
		} else {
			pthread_cond_wait(&hasher->changed, &hasher->lock);
		}
	}
	pthread_mutex_unlock(&hasher->lock);
	return NULL;
}

struct hasher *hasher_new(enum hash_alg alg, int threaded)
{
	struct hasher *hasher = xcalloc(1, sizeof(*hasher));

	hasher->hash = hash_new(alg);
	pthread_mutex_init(&hasher->lock, NULL);
	pthread_cond_init(&hasher->changed, NULL);
	/* without a thread it is only slower */
	hasher->threaded = threaded && pthread_create(&hasher->thread, NULL, run, hasher) == 0;
	return hasher;
}

void *hasher_block(struct hasher *hasher)
{
	pthread_mutex_lock(&hasher->lock);
	while (hasher->threaded && hasher->pushed - hasher->hashed >= BLOCKS - 1)
		pthread_cond_wait(&hasher->changed, &hasher->lock);
	pthread_mutex_unlock(&hasher->lock);
	return hasher->block[hasher->pushed % BLOCKS];
}

void hasher_push(struct hasher *hasher, size_t len)
{
	unsigned i = hasher->pushed % BLOCKS;

	pthread_mutex_lock(&hasher->lock);
	hasher->len[i] = len;
	hasher->pushed++;
	pthread_cond_signal(&hasher->changed);
	pthread_mutex_unlock(&hasher->lock);
	if (!hasher->threaded) {
		hash_update(hasher->hash, hasher->block[i], len);
		hasher->hashed++;
	}
}

static void stop(struct hasher *hasher)
{
	if (!hasher->threaded)
		return;
	pthread_mutex_lock(&hasher->lock);
	hasher->done = true;
	pthread_cond_signal(&hasher->changed);
	pthread_mutex_unlock(&hasher->lock);
	pthread_join(hasher->thread, NULL);
	hasher->threaded = false;
}

void hasher_final(struct hasher *hasher, uint8_t *digest)
{
	stop(hasher);
	hash_final(hasher->hash, digest);
}

void hasher_free(struct hasher *hasher)
{
	if (!hasher)
		return;
	stop(hasher);
	hash_free(hasher->hash);
	pthread_mutex_destroy(&hasher->lock);
	pthread_cond_destroy(&hasher->changed);
	free(hasher);
}
