/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of an OCI image, several at once.
 *
 * Theory of operation: the layers the store lacks are handed out to threads, each with a worker
 * process of its own that makes the pass (layer_pool.h). A thread takes the layer's lock, looks again
 * whether somebody else made the layer while it waited, opens the blob, passes it on, checks the
 * digests, and renames the layer into place. A thread holds one lock at a time and never waits while
 * it holds it for another one, so any number of processes may import images that share layers; a lock
 * goes with its holder. The first failure makes a descriptor readable that ends all waits.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "stage0/image/layer.h"
#include "stage0/image/layer_pool.h"
#include "stage0/image/limits.h"
#include "stage0/image/oci_origin.h"
#include "stage0/image/store_priv.h"

struct layers {
	struct store *store;
	struct oci_origin *origin;
	const struct oci_manifest *manifest;
	const struct oci_digest *diff_id;
	struct layer_pool *pool;
	int cancel;			  /* readable once something failed */
	size_t missing[IMAGE_LAYERS_MAX]; /* numbers of layers */
	size_t nmissing;
	pthread_mutex_t lock; /* of what follows */
	size_t next;	      /* of missing */
	struct error error;   /* the first */
};

struct thread {
	struct layers *layers;
	unsigned slot; /* its worker in the pool */
	pthread_t id;
};

static void layer_key(const struct oci_digest *diff_id, char ret[IMAGE_KEY_LEN + 1])
{
	snprintf(ret, IMAGE_KEY_LEN + 1, "sha256-%.64s", diff_id->hex);
}

static bool has_layer(struct store *store, const char *key)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "layer/%s", key);
	return faccessat(store->cas, path, F_OK, 0) == 0;
}

static bool digest_is(const uint8_t *bytes, const struct oci_digest *digest)
{
	char hex[HASH_HEX_MAX];

	hash_hex(bytes, hash_size(digest->alg), hex);
	return strcmp(hex, digest->hex) == 0;
}

/* Whether what the pass saw is what the documents promise. */
static int verify(const struct layers *layers, size_t i, const struct layer_result *layer,
		  struct error *err)
{
	const struct oci_desc *desc = &layers->manifest->layer[i];

	if (layer->in_size != desc->size)
		return error_set(err, -EBADMSG, "it has %llu bytes where %llu were announced",
				 (unsigned long long)layer->in_size,
				 (unsigned long long)desc->size);
	if (!layers->origin->by_diff_id && !digest_is(layer->raw, &desc->digest))
		return error_set(err, -EBADMSG, "its digest is another");
	if (!digest_is(layer->id, &layers->diff_id[i]))
		return error_set(err, -EBADMSG, "its diff_id is another");
	return 0;
}

/* Send the blob through the pass. */
static int receive(struct layers *layers, size_t i, unsigned slot, struct store_tmp *tmp,
		   struct error *err)
{
	const struct oci_origin_ops *ops = layers->origin->ops;
	const struct oci_desc *desc = &layers->manifest->layer[i];
	struct oci_stream stream = OCI_STREAM_INIT;
	struct layer_result layer;
	struct error sender = ERROR_INIT;
	int r = ops->open_blob(layers->origin, desc, &stream, err);

	if (r < 0)
		return r;
	r = layer_pool_make(layers->pool, slot,
			    &(struct layer_job){
				    .kind = LAYER_OCI,
				    .alg = HASH_SHA256,
				    .hash_raw = !layers->origin->by_diff_id,
				    .raw_alg = desc->digest.alg,
				    .limits = {IMAGE_OUT_MAX, IMAGE_RATIO_MAX, IMAGE_RATIO_FREE},
				    .in = stream.fd,
				    .in_max = desc->size,
				    .offset = stream.offset,
				    .length = stream.length,
				    .dir = tmp->fd,
			    },
			    layers->cancel, &layer, err);
	if (ops->close_blob(layers->origin, &stream, r == 0, &sender) < 0) {
		*err = sender;
		return sender.code;
	}
	return r < 0 ? r : verify(layers, i, &layer, err);
}

static int import_locked(struct layers *layers, size_t i, unsigned slot, const char *key,
			 struct error *err)
{
	struct store_tmp tmp = STORE_TMP_INIT;
	char path[STORE_PATH_MAX];
	int r;

	if (has_layer(layers->store, key))
		return 0;
	r = store_tmp_new(layers->store, &tmp, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "layer/%s", key);
	r = receive(layers, i, slot, &tmp, err);
	if (r == 0)
		r = layer_sync(tmp.fd, err);
	if (r == 0)
		r = store_tmp_commit(layers->store, &tmp, path, err);
	store_tmp_end(layers->store, &tmp);
	return r;
}

static int import_layer(struct layers *layers, size_t i, unsigned slot, struct error *err)
{
	char key[IMAGE_KEY_LEN + 1];
	cleanup_fd int lock = -1;
	int r;

	layer_key(&layers->diff_id[i], key);
	lock = store_lock_until(layers->store, "layerlocks", key, true, layers->cancel, err);
	r = lock < 0 ? lock : import_locked(layers, i, slot, key, err);
	if (lock >= 0)
		store_lock_drop(layers->store, "layerlocks", key, &lock);
	return r < 0 ? error_wrap(err, "layer %zu", i) : 0;
}

/* One more layer to import; false: there is none, or something failed. */
static bool next(struct layers *layers, size_t *ret)
{
	bool more;

	pthread_mutex_lock(&layers->lock);
	more = layers->error.code == 0 && layers->next < layers->nmissing;
	if (more)
		*ret = layers->missing[layers->next++];
	pthread_mutex_unlock(&layers->lock);
	return more;
}

static void fail(struct layers *layers, const struct error *err)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&layers->lock);
	if (layers->error.code == 0) {
		layers->error = *err;
		/* an eventfd has room for one */
		(void)!write(layers->cancel, &one, sizeof(one));
	}
	pthread_mutex_unlock(&layers->lock);
}

static void *run(void *arg)
{
	const struct thread *thread = arg;
	size_t i;

	while (next(thread->layers, &i)) {
		struct error err = ERROR_INIT;

		if (import_layer(thread->layers, i, thread->slot, &err) < 0)
			fail(thread->layers, &err);
	}
	return NULL;
}

static int run_threads(struct layers *layers, unsigned n, struct error *err)
{
	struct thread thread[OCI_JOBS_MAX];
	unsigned started = 0;
	int r = 0;

	for (; r == 0 && started < n; started += r == 0) {
		thread[started] = (struct thread){.layers = layers, .slot = started};
		r = -pthread_create(&thread[started].id, NULL, run, &thread[started]);
	}
	/* with one thread at least it only takes longer */
	for (unsigned i = 0; i < started; i++)
		pthread_join(thread[i].id, NULL);
	if (started == 0)
		return error_set(err, r, "starting a thread: %s", strerror(-r));
	if (layers->error.code < 0)
		*err = layers->error;
	return layers->error.code;
}

/* Which layers are to be made: each once, in their order. */
static int find_missing(struct layers *layers, struct error *err)
{
	for (size_t i = 0; i < layers->manifest->nlayers; i++) {
		const struct oci_digest *diff_id = &layers->diff_id[i];
		char key[IMAGE_KEY_LEN + 1];
		bool known = false;
		int r;

		if (diff_id->alg != HASH_SHA256)
			return error_set(err, -EBADMSG, "the diff_id of layer %zu is no SHA-256",
					 i);
		layer_key(diff_id, key);
		/* before the look: what is there stays until the image is */
		r = store_hold(layers->store, key, err);
		if (r < 0)
			return r;
		for (size_t n = 0; !known && n < layers->nmissing; n++)
			known = strcmp(layers->diff_id[layers->missing[n]].hex, diff_id->hex) == 0;
		if (!known && !has_layer(layers->store, key))
			layers->missing[layers->nmissing++] = i;
	}
	return 0;
}

int store_import_layers(struct store *store, struct oci_origin *origin,
			const struct oci_manifest *manifest, const struct oci_digest *diff_id,
			unsigned jobs, struct error *err)
{
	struct layers layers = {
		.store = store,
		.origin = origin,
		.manifest = manifest,
		.diff_id = diff_id,
		.cancel = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.error = ERROR_INIT,
	};
	unsigned n;
	int r = find_missing(&layers, err);

	if (r < 0 || layers.nmissing == 0)
		return r;
	n = (unsigned)MIN(layers.nmissing, MIN(jobs ? jobs : OCI_JOBS_DEFAULT, OCI_JOBS_MAX));
	r = layer_pool_new(n, &layers.pool, err);
	if (r < 0)
		return r;
	layers.cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = layers.cancel < 0 ? error_errno(err, "eventfd") : run_threads(&layers, n, err);
	close_fd(&layers.cancel);
	layer_pool_free(layers.pool);
	pthread_mutex_destroy(&layers.lock);
	return r;
}
