/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs of a registry as streams.
 *
 * Theory of operation: each blob has a thread that writes it into a pipe: first what an earlier
 * process left of it, then what the registry sends from there on. What the registry sends is also
 * appended to the partial file, before it goes to the pipe, so that the file is never behind. A
 * connection that is lost is taken up again by the HTTP client, at the byte where it broke off; the
 * reader of the pipe sees none of it. Nothing is verified here but the size: the reader has the
 * digest. When the reader closes its end early, soon after what came from a file, that may have been
 * wrong, and does not stay; when the network failed, or another layer, all of it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/util.h"
#include "stage0/fetch/registry_priv.h"

#define PIPE_SIZE     (1 << 20) /* what an unprivileged user may have */
#define PROGRESS_NS   (100 * UINT64_C(1000000))
#define SUSPECT_BYTES (16 * MIB) /* more than a reader that found a fault has taken after it */
#define SPLICE_CHUNK  (1 << 20)

struct blob {
	struct registry *registry;
	struct oci_desc desc;
	char digest[OCI_DIGEST_MAX];
	pthread_t thread;
	int out;    /* the thread's end of the pipe */
	int cancel; /* an eventfd */
	struct partial partial;
	uint64_t position;    /* bytes in the pipe so far */
	uint64_t progress_at; /* clock_now_ns(): tell again */
	bool reader_gone;
	int result;
	struct error err; /* of result */
};

static void tell(struct blob *blob, bool done)
{
	const struct registry_options *options = &blob->registry->options;
	uint64_t now = clock_now_ns();

	if (!options->progress || (!done && now < blob->progress_at))
		return;
	blob->progress_at = now + PROGRESS_NS;
	options->progress(options->priv, blob->digest, blob->position, blob->desc.size, done);
}

static int reader_error(struct blob *blob, int code, struct error *err)
{
	blob->reader_gone = code == -EPIPE;
	return error_set(err, code, "%s: %s", blob->digest, strerror(-code));
}

static int on_data(void *arg, const void *bytes, size_t len, struct error *err)
{
	struct blob *blob = arg;
	int r;

	/* a full disk is the reader's to complain about, when it matters to it */
	if (blob->partial.fd >= 0 && write_all(blob->partial.fd, bytes, len) < 0)
		partial_close(&blob->partial, true);
	r = write_all(blob->out, bytes, len);
	if (r < 0)
		return reader_error(blob, r, err);
	blob->position += len;
	tell(blob, false);
	return 0;
}

/* Into the pipe with what is there already. */
static int feed_partial(struct blob *blob, struct error *err)
{
	off_t offset = 0;

	while ((uint64_t)offset < blob->partial.have) {
		ssize_t n = splice(blob->partial.fd, &offset, blob->out, NULL,
				   MIN(blob->partial.have - (uint64_t)offset, SPLICE_CHUNK), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return reader_error(blob, n < 0 ? -errno : -EIO, err);
		blob->position += (uint64_t)n;
		tell(blob, false);
	}
	if (lseek(blob->partial.fd, (off_t)blob->partial.have, SEEK_SET) < 0)
		return error_errno(err, "%s", blob->partial.name);
	return 0;
}

static int load_from(struct blob *blob, struct endpoint *ep, struct error *err)
{
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_free char *path = xasprintf("blobs/%s", blob->digest);
	struct http_request request = {
		.body_max = blob->desc.size,
		.size = blob->desc.size,
		.offset = blob->position,
		.immutable = true,
		.cancel_fd = blob->cancel,
		.sink = {NULL, on_data, blob},
	};

	return endpoint_perform(ep, path, &request, &response, err);
}

static int load(struct blob *blob, struct error *err)
{
	struct registry *registry = blob->registry;
	int r = blob->partial.fd >= 0 ? feed_partial(blob, err) : 0;

	if (r < 0 || blob->position == blob->desc.size)
		return r;
	for (size_t i = registry_chosen(registry);; i++) {
		struct error why = ERROR_INIT;

		r = load_from(blob, &registry->endpoint[i], &why);
		if (r == 0)
			return 0;
		if (r == -ECANCELED || blob->reader_gone || i + 1 == registry->nendpoints) {
			*err = why;
			return r;
		}
		if (registry->options.warn)
			registry->options.warn(registry->options.priv, why.msg);
	}
}

static void *blob_thread(void *arg)
{
	struct blob *blob = arg;

	blob->result = load(blob, &blob->err);
	tell(blob, true);
	close_fd(&blob->out);
	return NULL;
}

static void blob_free(struct blob *blob, bool drop_partial)
{
	partial_close(&blob->partial, drop_partial);
	close_fd(&blob->out);
	close_fd(&blob->cancel);
	free(blob);
}

/* Signals are for the program's own threads; a closed pipe is an error like others. */
static int start_thread(struct blob *blob)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&blob->thread, NULL, blob_thread, blob);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

static int check_size(const struct oci_desc *desc, const char *digest, struct error *err)
{
	if (desc->size <= REGISTRY_BLOB_MAX)
		return 0;
	return error_set(err, -EFBIG, "%s: a blob of %llu bytes is too large", digest,
			 (unsigned long long)desc->size);
}

int registry_open_blob(struct oci_origin *origin, const struct oci_desc *desc,
		       struct oci_stream *ret, struct error *err)
{
	struct registry *registry = container_of(origin, struct registry, origin);
	const struct registry_options *options = &registry->options;
	uint64_t min = options->partial_min ? options->partial_min : REGISTRY_PARTIAL_MIN;
	cleanup_fd int in = -1;
	struct blob *blob;
	int ends[2], r;

	blob = xcalloc(1, sizeof(*blob));
	*blob = (struct blob){.registry = registry, .desc = *desc, .out = -1, .cancel = -1};
	blob->partial = (struct partial)PARTIAL_INIT;
	oci_digest_text(&desc->digest, blob->digest);
	r = check_size(desc, blob->digest, err);
	if (r < 0)
		goto fail;
	blob->cancel = eventfd(0, EFD_CLOEXEC);
	if (blob->cancel < 0 || pipe2(ends, O_CLOEXEC) < 0) {
		r = error_errno(err, "%s", blob->digest);
		goto fail;
	}
	in = ends[0];
	blob->out = ends[1];
	(void)fcntl(blob->out, F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one is only slower */
	if (options->partial >= 0 && desc->size >= min)
		partial_open(options->partial, desc, &blob->partial);
	r = start_thread(blob);
	if (r < 0) {
		error_set(err, r, "%s: starting a thread: %s", blob->digest, strerror(-r));
		goto fail;
	}
	*ret = (struct oci_stream){.fd = take_fd(&in), .priv = blob};
	return 0;
fail:
	blob_free(blob, false);
	return r;
}

/* Whether the next try is better off without what is in the partial file. */
static bool is_useless(const struct blob *blob, bool complete)
{
	if (blob->result < 0 && !blob->reader_gone && blob->result != -ECANCELED)
		return blob->position == 0; /* the network ended it */
	if (complete || blob->position >= blob->desc.size)
		return true;
	return blob->partial.have > 0 && blob->position < blob->partial.have + SUSPECT_BYTES;
}

int registry_close_blob(struct oci_origin *origin, struct oci_stream *stream, bool complete,
			struct error *err)
{
	struct blob *blob = stream->priv;
	int r;

	(void)origin;
	close_fd(&stream->fd);
	if (!complete)
		eventfd_write(blob->cancel, 1);
	pthread_join(blob->thread, NULL);
	r = blob->result;
	/* that the reader went away is no news to it */
	if (r < 0 && (blob->reader_gone || r == -ECANCELED))
		r = 0;
	if (r < 0)
		*err = blob->err;
	blob_free(blob, is_useless(blob, complete));
	stream->priv = NULL;
	return r;
}
