/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The skeleton of a layer.
 *
 * Theory of operation: the writer keeps a window of the stream that is not yet written. The tar
 * reader lags behind the stream by what it has buffered, then says which bytes were content; what is
 * before them goes out as a literal, they go out as a reference. When the window fills up, its oldest
 * half becomes a literal, whatever it may turn out to be later: any split into literals and
 * references is right as long as the bytes are. References that follow each other are joined.
 */
#include "stage0/image/skeleton.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/limits.h"

#define WINDOW_MAX  (4 * MIB) /* the tar reader looks 1 MiB ahead at most, for PAX headers */
#define LITERAL_MAX (1 * MIB) /* of one record */
#define CHUNK_SIZE  (128 * KIB)
#define ZSTD_LEVEL  3

struct skeleton_writer {
	int fd;
	ZSTD_CStream *zstd;
	uint64_t start;		   /* stream position of the window's first byte */
	size_t first, last;	   /* the window is window[first .. last) */
	uint64_t ref_off, ref_len; /* a reference not yet written, before the window */
	uint8_t window[WINDOW_MAX];
	uint8_t out[CHUNK_SIZE];
};

struct skeleton_writer *skeleton_writer_new(int fd)
{
	struct skeleton_writer *writer = xcalloc(1, sizeof(*writer));

	writer->fd = fd;
	writer->zstd = ZSTD_createCStream();
	if (!writer->zstd ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)))
		abort();
	return writer;
}

static int compress(struct skeleton_writer *writer, const void *bytes, size_t len,
		    ZSTD_EndDirective directive, struct error *err)
{
	ZSTD_inBuffer in = {.src = bytes, .size = len};
	size_t left;

	do {
		ZSTD_outBuffer out = {.dst = writer->out, .size = sizeof(writer->out)};
		int r;

		left = ZSTD_compressStream2(writer->zstd, &out, &in, directive);
		if (ZSTD_isError(left))
			return error_set(err, -ENOMEM, "compressing: %s", ZSTD_getErrorName(left));
		r = write_all(writer->fd, writer->out, out.pos);
		if (r < 0)
			return error_set(err, r, "writing the skeleton: %s", strerror(-r));
	} while (in.pos < in.size || (directive == ZSTD_e_end && left > 0));
	return 0;
}

static int put_record(struct skeleton_writer *writer, const uint8_t *literal, size_t len,
		      uint64_t ref_off, uint64_t ref_len, struct error *err)
{
	uint32_t literal_len = (uint32_t)len;
	uint64_t ref[2] = {ref_off, ref_len}; /* little endian, as everything here */
	int r = compress(writer, &literal_len, sizeof(literal_len), ZSTD_e_continue, err);

	if (r == 0)
		r = compress(writer, literal, len, ZSTD_e_continue, err);
	if (r == 0)
		r = compress(writer, ref, sizeof(ref), ZSTD_e_continue, err);
	return r;
}

/* Write the reference that waits, as a record without a literal. */
static int put_ref(struct skeleton_writer *writer, struct error *err)
{
	int r = 0;

	if (writer->ref_len > 0)
		r = put_record(writer, writer->window, 0, writer->ref_off, writer->ref_len, err);
	writer->ref_len = 0;
	return r;
}

/* Write the window's first len bytes as literals. */
static int put_literal(struct skeleton_writer *writer, size_t len, struct error *err)
{
	int r = len > 0 ? put_ref(writer, err) : 0;

	while (r == 0 && len > 0) {
		size_t n = MIN(len, (size_t)LITERAL_MAX);

		r = put_record(writer, writer->window + writer->first, n, 0, 0, err);
		writer->first += n;
		writer->start += n;
		len -= n;
	}
	return r;
}

int skeleton_feed(struct skeleton_writer *writer, const void *bytes, size_t len, struct error *err)
{
	const uint8_t *p = bytes;

	while (len > 0) {
		size_t used = writer->last - writer->first, n;

		if (writer->last == sizeof(writer->window)) {
			int r = used > WINDOW_MAX / 2 ? put_literal(writer, used / 2, err) : 0;

			if (r < 0)
				return r;
			used = writer->last - writer->first;
			memmove(writer->window, writer->window + writer->first, used);
			writer->first = 0;
			writer->last = used;
		}
		n = MIN(len, sizeof(writer->window) - writer->last);
		memcpy(writer->window + writer->last, p, n);
		writer->last += n;
		p += n;
		len -= n;
	}
	return 0;
}

int skeleton_refer(struct skeleton_writer *writer, uint64_t stream_pos, const void *bytes,
		   size_t len, uint64_t data_off, struct error *err)
{
	const uint8_t *p = bytes;
	uint64_t before;
	int r;

	if (stream_pos < writer->start) {
		uint64_t gone = MIN(writer->start - stream_pos, len);

		stream_pos += gone;
		data_off += gone;
		p += gone;
		len -= (size_t)gone;
	}
	before = stream_pos - writer->start;
	if (len == 0 || before > writer->last - writer->first ||
	    len > writer->last - writer->first - before ||
	    memcmp(writer->window + writer->first + before, p, len) != 0)
		return 0;
	r = put_literal(writer, (size_t)before, err);
	if (r == 0 && writer->ref_len > 0 && writer->ref_off + writer->ref_len != data_off)
		r = put_ref(writer, err);
	if (r < 0)
		return r;
	if (writer->ref_len == 0)
		writer->ref_off = data_off;
	writer->ref_len += len;
	writer->first += len;
	writer->start += len;
	return 0;
}

int skeleton_finish(struct skeleton_writer *writer, struct error *err)
{
	int r = put_literal(writer, writer->last - writer->first, err);

	if (r == 0)
		r = put_ref(writer, err);
	return r < 0 ? r : compress(writer, writer->window, 0, ZSTD_e_end, err);
}

void skeleton_writer_free(struct skeleton_writer *writer)
{
	if (!writer)
		return;
	ZSTD_freeCStream(writer->zstd);
	free(writer);
}

struct replay {
	int fd, data_fd;
	ZSTD_DStream *zstd;
	ZSTD_inBuffer in;
	bool eof;
	int (*sink)(void *ctx, const void *bytes, size_t len, struct error *err);
	void *ctx;
	uint8_t input[CHUNK_SIZE];
	uint8_t chunk[CHUNK_SIZE];
};

static int damaged(struct error *err)
{
	return error_set(err, -EBADMSG, "the store's skeleton of an image is damaged");
}

/* Exactly len decompressed bytes; fewer only at the end, *ret_len says how many. */
static int replay_read(struct replay *replay, void *dst, size_t len, size_t *ret_len,
		       struct error *err)
{
	ZSTD_outBuffer out = {.dst = dst, .size = len};

	while (out.pos < len) {
		size_t before = out.pos, r;

		if (replay->in.pos == replay->in.size && !replay->eof) {
			ssize_t n = read(replay->fd, replay->input, sizeof(replay->input));

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return error_errno(err, "reading the skeleton");
			replay->eof = n == 0;
			replay->in = (ZSTD_inBuffer){.src = replay->input, .size = (size_t)n};
		}
		r = ZSTD_decompressStream(replay->zstd, &out, &replay->in);
		if (ZSTD_isError(r))
			return damaged(err);
		if (replay->eof && out.pos == before)
			break;
	}
	*ret_len = out.pos;
	return 0;
}

static int replay_literal(struct replay *replay, uint32_t len, struct error *err)
{
	int r = 0;

	while (r == 0 && len > 0) {
		size_t want = MIN(len, sizeof(replay->chunk)), got;

		r = replay_read(replay, replay->chunk, want, &got, err);
		if (r == 0 && got != want)
			return damaged(err);
		if (r == 0)
			r = replay->sink(replay->ctx, replay->chunk, want, err);
		len -= (uint32_t)want;
	}
	return r;
}

static int replay_data(struct replay *replay, uint64_t off, uint64_t len, struct error *err)
{
	int r = 0;

	if (off > IMAGE_LOGICAL_MAX || len > IMAGE_LOGICAL_MAX)
		return damaged(err);
	while (r == 0 && len > 0) {
		size_t n = MIN(len, sizeof(replay->chunk));

		if (pread_all(replay->data_fd, replay->chunk, n, (off_t)off) < 0)
			return damaged(err);
		r = replay->sink(replay->ctx, replay->chunk, n, err);
		off += n;
		len -= n;
	}
	return r;
}

static int replay_all(struct replay *replay, struct error *err)
{
	for (;;) {
		uint32_t literal_len;
		uint64_t ref[2];
		size_t got;
		int r = replay_read(replay, &literal_len, sizeof(literal_len), &got, err);

		if (r == 0 && got == 0)
			return 0;
		if (r == 0 && (got != sizeof(literal_len) || literal_len > LITERAL_MAX))
			return damaged(err);
		if (r == 0)
			r = replay_literal(replay, literal_len, err);
		if (r == 0)
			r = replay_read(replay, ref, sizeof(ref), &got, err);
		if (r == 0 && got != sizeof(ref))
			return damaged(err);
		if (r == 0)
			r = replay_data(replay, ref[0], ref[1], err);
		if (r < 0)
			return r;
	}
}

int skeleton_replay(int skeleton_fd, int data_fd,
		    int (*sink)(void *ctx, const void *bytes, size_t len, struct error *err),
		    void *ctx, struct error *err)
{
	cleanup_free struct replay *replay = xcalloc(1, sizeof(*replay));
	int r;

	replay->fd = skeleton_fd;
	replay->data_fd = data_fd;
	replay->sink = sink;
	replay->ctx = ctx;
	replay->zstd = ZSTD_createDStream();
	if (!replay->zstd)
		return error_set(err, -ENOMEM, "out of memory");
	if (lseek(skeleton_fd, 0, SEEK_SET) < 0)
		r = error_errno(err, "reading the skeleton");
	else
		r = replay_all(replay, err);
	ZSTD_freeDStream(replay->zstd);
	return r;
}
