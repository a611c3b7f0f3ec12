/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streaming decompression.
 *
 * Theory of operation: one input buffer is refilled from the descriptor; a codec turns input into
 * output, one member (gzip member, bzip2 stream, xz stream with its padding, zstd frame) at a time.
 * Between members the codec is started again when more input follows, so that concatenated members
 * read as one stream, as the command line tools do. Zeroes after the last member are padding (tape
 * blocks); anything else there is an error, because other readers of the same file might see it.
 *
 * Every codec has one function, code(), called with some input and some room for output, which
 * returns CODEC_MORE, CODEC_END at the end of a member, or a negative errno. Memory is bounded: xz
 * and zstd get explicit limits, gzip and bzip2 have fixed windows.
 */
#include "stage0/image/decompress.h"

#include <bzlib.h>
#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "common/util.h"
#include "stage0/image/limits.h"

#define INPUT_SIZE (128 * 1024) /* a read; small enough to stay in the cache */
#define SNIFF_SIZE 512		/* a tar block: the magic is at 257 */

enum codec_result {
	CODEC_MORE = 0,
	CODEC_END = 1,
};

struct codec_io {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
};

struct codec {
	const char *name;
	int (*start)(struct decomp *decomp); /* begin a member; also called between members */
	int (*code)(struct decomp *decomp, struct codec_io *io);
	void (*end)(struct decomp *decomp);
};

struct decomp {
	const struct codec *codec;
	struct decomp_limits limits;
	struct hash *raw;
	struct decomp_input input;
	bool eof;	/* no more input */
	bool in_member; /* the codec is within a member */
	bool started;	/* the codec holds memory */
	bool finished;
	uint64_t in, out;
	const uint8_t *p; /* input not yet used, in bytes[] */
	size_t left;
	union {
		z_stream z;
		bz_stream bz;
		lzma_stream xz;
		ZSTD_DStream *zstd;
	} u;
	uint8_t bytes[INPUT_SIZE];
};

static int gzip_start(struct decomp *decomp)
{
	if (decomp->started)
		return inflateReset(&decomp->u.z) == Z_OK ? 0 : -EBADMSG;
	return inflateInit2(&decomp->u.z, 15 + 16) == Z_OK ? 0 : -ENOMEM;
}

static int gzip_code(struct decomp *decomp, struct codec_io *io)
{
	z_stream *z = &decomp->u.z;
	int r;

	z->next_in = (Bytef *)io->in;
	z->avail_in = (uInt)io->in_len;
	z->next_out = io->out;
	z->avail_out = (uInt)io->out_len;
	r = inflate(z, Z_NO_FLUSH);
	io->in_len = z->avail_in;
	io->out_len = z->avail_out;
	if (r == Z_STREAM_END)
		return CODEC_END;
	return r == Z_OK || r == Z_BUF_ERROR ? CODEC_MORE : r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static void gzip_end(struct decomp *decomp)
{
	inflateEnd(&decomp->u.z);
}

static int bzip2_start(struct decomp *decomp)
{
	if (decomp->started)
		BZ2_bzDecompressEnd(&decomp->u.bz);
	memset(&decomp->u.bz, 0, sizeof(decomp->u.bz));
	return BZ2_bzDecompressInit(&decomp->u.bz, 0, 0) == BZ_OK ? 0 : -ENOMEM;
}

static int bzip2_code(struct decomp *decomp, struct codec_io *io)
{
	bz_stream *bz = &decomp->u.bz;
	int r;

	bz->next_in = (char *)io->in;
	bz->avail_in = (unsigned)io->in_len;
	bz->next_out = (char *)io->out;
	bz->avail_out = (unsigned)io->out_len;
	r = BZ2_bzDecompress(bz);
	io->in_len = bz->avail_in;
	io->out_len = bz->avail_out;
	if (r == BZ_STREAM_END)
		return CODEC_END;
	return r == BZ_OK ? CODEC_MORE : r == BZ_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static void bzip2_end(struct decomp *decomp)
{
	BZ2_bzDecompressEnd(&decomp->u.bz);
}

static int xz_start(struct decomp *decomp)
{
	if (!decomp->started)
		decomp->u.xz = (lzma_stream)LZMA_STREAM_INIT;
	return lzma_stream_decoder(&decomp->u.xz, DECOMP_XZ_MEMORY, 0) == LZMA_OK ? 0 : -ENOMEM;
}

static int xz_code(struct decomp *decomp, struct codec_io *io)
{
	lzma_stream *xz = &decomp->u.xz;
	lzma_ret r;

	xz->next_in = io->in;
	xz->avail_in = io->in_len;
	xz->next_out = io->out;
	xz->avail_out = io->out_len;
	r = lzma_code(xz, LZMA_RUN);
	io->in_len = xz->avail_in;
	io->out_len = xz->avail_out;
	if (r == LZMA_STREAM_END)
		return CODEC_END;
	if (r == LZMA_MEMLIMIT_ERROR)
		return -EFBIG;
	return r == LZMA_OK || r == LZMA_BUF_ERROR ? CODEC_MORE
	       : r == LZMA_MEM_ERROR		   ? -ENOMEM
						   : -EBADMSG;
}

static void xz_end(struct decomp *decomp)
{
	lzma_end(&decomp->u.xz);
}

static int zstd_start(struct decomp *decomp)
{
	if (!decomp->started)
		decomp->u.zstd = ZSTD_createDStream();
	if (!decomp->u.zstd)
		return -ENOMEM;
	ZSTD_DCtx_reset(decomp->u.zstd, ZSTD_reset_session_only);
	return ZSTD_isError(ZSTD_DCtx_setParameter(decomp->u.zstd, ZSTD_d_windowLogMax,
						   DECOMP_ZSTD_WINDOW_LOG))
		       ? -EINVAL
		       : 0;
}

static int zstd_code(struct decomp *decomp, struct codec_io *io)
{
	ZSTD_inBuffer in = {.src = io->in, .size = io->in_len};
	ZSTD_outBuffer out = {.dst = io->out, .size = io->out_len};
	size_t r = ZSTD_decompressStream(decomp->u.zstd, &out, &in);

	io->in_len -= in.pos;
	io->out_len -= out.pos;
	if (ZSTD_isError(r))
		return ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge ? -EFBIG
											: -EBADMSG;
	return r == 0 ? CODEC_END : CODEC_MORE;
}

static void zstd_end(struct decomp *decomp)
{
	ZSTD_freeDStream(decomp->u.zstd);
}

static int plain_start(struct decomp *decomp)
{
	(void)decomp;
	return 0;
}

static int plain_code(struct decomp *decomp, struct codec_io *io)
{
	size_t n = MIN(io->in_len, io->out_len);

	memcpy(io->out, io->in, n);
	io->in_len -= n;
	io->out_len -= n;
	return decomp->eof && io->in_len == 0 ? CODEC_END : CODEC_MORE;
}

static void plain_end(struct decomp *decomp)
{
	(void)decomp;
}

static const struct codec codec_gzip = {"gzip", gzip_start, gzip_code, gzip_end};
static const struct codec codec_bzip2 = {"bzip2", bzip2_start, bzip2_code, bzip2_end};
static const struct codec codec_xz = {"xz", xz_start, xz_code, xz_end};
static const struct codec codec_zstd = {"zstd", zstd_start, zstd_code, zstd_end};
static const struct codec codec_plain = {"tar", plain_start, plain_code, plain_end};

static ssize_t read_input(const struct decomp *decomp, void *dst, size_t len)
{
	const struct decomp_input *input = &decomp->input;

	if (input->length == 0)
		return read(input->fd, dst, len);
	len = (size_t)MIN(len, input->length - decomp->in);
	return pread(input->fd, dst, len, (off_t)(input->offset + decomp->in));
}

/* Read until at least want bytes of input are there, or the input ends. */
static int fill(struct decomp *decomp, size_t want, struct error *err)
{
	if (decomp->p != decomp->bytes) {
		memmove(decomp->bytes, decomp->p, decomp->left);
		decomp->p = decomp->bytes;
	}
	while (decomp->left < want && !decomp->eof) {
		uint8_t *dst = decomp->bytes + decomp->left;
		ssize_t n = read_input(decomp, dst, sizeof(decomp->bytes) - decomp->left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "reading the image");
		if (n == 0) {
			decomp->eof = true;
			break;
		}
		if (decomp->raw)
			hash_update(decomp->raw, dst, (size_t)n);
		decomp->left += (size_t)n;
		decomp->in += (uint64_t)n;
		if (decomp->input.max && decomp->in > decomp->input.max)
			return error_set(err, -EFBIG,
					 "the image has more than the announced %llu "
					 "bytes",
					 (unsigned long long)decomp->input.max);
	}
	return 0;
}

static bool magic(const struct decomp *decomp, const char *bytes, size_t len)
{
	return decomp->left >= len && memcmp(decomp->p, bytes, len) == 0;
}

static bool is_zstd(const struct decomp *decomp)
{
	return magic(decomp, "\x28\xb5\x2f\xfd", 4) ||
	       (decomp->left >= 4 && (decomp->p[0] & 0xf0) == 0x50 &&
		memcmp(decomp->p + 1, "\x2a\x4d\x18", 3) == 0);
}

static bool is_tar(const struct decomp *decomp)
{
	unsigned sum = 0, stored = 0;

	if (decomp->left < SNIFF_SIZE)
		return decomp->left == 0;
	if (memcmp(decomp->p + 257, "ustar", 5) == 0)
		return true;
	/* a v7 header has no magic but a checksum; an empty archive is zeroes */
	for (size_t i = 0; i < SNIFF_SIZE; i++)
		sum += i >= 148 && i < 156 ? ' ' : decomp->p[i];
	for (size_t i = 148; i < 156; i++)
		if (decomp->p[i] >= '0' && decomp->p[i] <= '7')
			stored = stored * 8 + (decomp->p[i] - '0');
	return sum == stored || sum == 8 * ' ';
}

static int sniff(struct decomp *decomp, struct error *err)
{
	int r = fill(decomp, SNIFF_SIZE, err);

	if (r < 0)
		return r;
	if (magic(decomp, "\x1f\x8b", 2))
		decomp->codec = &codec_gzip;
	else if (magic(decomp, "BZh", 3))
		decomp->codec = &codec_bzip2;
	else if (magic(decomp,
		       "\xfd"
		       "7zXZ\0",
		       6))
		decomp->codec = &codec_xz;
	else if (is_zstd(decomp))
		decomp->codec = &codec_zstd;
	else if (is_tar(decomp))
		decomp->codec = &codec_plain;
	else if (decomp->left > 0 && (decomp->p[0] & 0x80))
		return error_set(err, -EBADMSG,
				 "not an archive (if it is encrypted with OpenPGP, decrypt it "
				 "first)");
	else
		return error_set(err, -EBADMSG, "not an archive (no tar, gzip, bzip2, xz or zstd)");
	return 0;
}

int decomp_new(const struct decomp_input *in, const struct decomp_limits *limits, struct hash *raw,
	       struct decomp **ret, struct error *err)
{
	cleanup_decomp struct decomp *decomp = xcalloc(1, sizeof(*decomp));
	int r;

	decomp->input = *in;
	decomp->limits = *limits;
	decomp->raw = raw;
	decomp->p = decomp->bytes;
	r = sniff(decomp, err);
	if (r < 0)
		return r;
	*ret = take_ptr(decomp);
	return 0;
}

void decomp_free(struct decomp *decomp)
{
	if (!decomp)
		return;
	if (decomp->started)
		decomp->codec->end(decomp);
	free(decomp);
}

/* Between members: the end, padding, or one more member. */
static int next_member(struct decomp *decomp, struct error *err)
{
	int r;

	for (;;) {
		r = fill(decomp, 1, err);
		if (r < 0)
			return r;
		if (decomp->left == 0 && decomp->started) {
			decomp->finished = true;
			return 0;
		}
		if (decomp->left == 0 || decomp->p[0] != 0 || !decomp->started)
			break;
		while (decomp->left > 0 && decomp->p[0] == 0) {
			decomp->p++;
			decomp->left--;
		}
	}
	r = fill(decomp, 6, err);
	if (r < 0)
		return r;
	/* what follows must begin like a member, or it is garbage */
	if (decomp->started && !(magic(decomp, "\x1f\x8b", 2) && decomp->codec == &codec_gzip) &&
	    !(magic(decomp, "BZh", 3) && decomp->codec == &codec_bzip2) &&
	    !(decomp->left >= 6 && decomp->p[0] == 0xfd && decomp->codec == &codec_xz) &&
	    !(is_zstd(decomp) && decomp->codec == &codec_zstd))
		return error_set(err, -EBADMSG, "garbage follows the %s data", decomp->codec->name);
	r = decomp->codec->start(decomp);
	if (r < 0)
		return error_set(err, r, "%s: %s", decomp->codec->name, strerror(-r));
	decomp->started = true;
	decomp->in_member = true;
	return 0;
}

static int over_limit(const struct decomp *decomp, struct error *err)
{
	if (decomp->out > decomp->limits.out_max)
		return error_set(err, -EFBIG, "the image is larger than %llu bytes",
				 (unsigned long long)decomp->limits.out_max);
	if (decomp->out > decomp->limits.ratio_free &&
	    (decomp->out - decomp->limits.ratio_free) / decomp->limits.ratio_max > decomp->in)
		return error_set(err, -EFBIG,
				 "the image grows more than %llu times when decompressed",
				 (unsigned long long)decomp->limits.ratio_max);
	return 0;
}

int decomp_read(struct decomp *decomp, void *dst, size_t cap, size_t *ret_len, struct error *err)
{
	struct codec_io io = {.out = dst, .out_len = cap};
	int r;

	while (io.out_len > 0 && !decomp->finished) {
		size_t before = io.out_len;

		if (!decomp->in_member) {
			r = next_member(decomp, err);
			if (r < 0)
				return r;
			continue;
		}
		r = decomp->left ? 0 : fill(decomp, 1, err);
		if (r < 0)
			return r;
		io.in = decomp->p;
		io.in_len = decomp->left;
		r = decomp->codec->code(decomp, &io);
		if (r < 0)
			return error_set(err, r,
					 r == -EFBIG	? "the %s data needs too much memory"
					 : r == -ENOMEM ? "%s: out of memory"
							: "the %s data is damaged",
					 decomp->codec->name);
		if (r == CODEC_MORE && decomp->eof && io.in_len == 0 && before == io.out_len)
			return error_set(err, -EBADMSG, "the %s data is truncated",
					 decomp->codec->name);
		decomp->p += decomp->left - io.in_len;
		decomp->left = io.in_len;
		io.out += before - io.out_len;
		decomp->out += before - io.out_len;
		if (r == CODEC_END)
			decomp->in_member = false;
		r = over_limit(decomp, err);
		if (r < 0)
			return r;
	}
	*ret_len = cap - io.out_len;
	return 0;
}

const char *decomp_format(const struct decomp *decomp)
{
	return decomp->codec->name;
}

uint64_t decomp_in(const struct decomp *decomp)
{
	return decomp->in;
}
