/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that a disk consists of.
 *
 * A disk is an ascending list of segments, each a file from its first byte on, with zeroes between
 * them and up to the next 4 KiB boundary behind the last. So an image's metadata and its layers'
 * data files, shared by any number of images, are one read-only disk without being copied together.
 *
 * A list is checked whole before any of it is taken; whoever reads or writes has checked the range
 * against the disk's size, so that offsets need no check here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/blk_priv.h"

#define DISK_MAX (UINT64_C(1) << 50) /* bytes; keeps every sum of offsets far from wrapping */

/* Where segment ends on the disk, or an error. previous is the end of the one before. */
static int check_segment(const struct blk_params *params, size_t i, uint64_t previous,
			 uint64_t *ret_end, struct error *err)
{
	const struct blk_segment *seg = &params->segments[i];
	int flags = fcntl(seg->fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(seg->fd, &st) < 0)
		return error_errno(err, "%s: segment %zu", params->name, i);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s: segment %zu is not a file", params->name, i);
	if ((flags & O_ACCMODE) != (params->writable ? O_RDWR : O_RDONLY))
		return error_set(err, -EINVAL, "%s: segment %zu is open in the wrong mode",
				 params->name, i);
	if (!seg->length || seg->length > DISK_MAX || seg->length > (uint64_t)st.st_size)
		return error_set(err, -EINVAL, "%s: segment %zu is not as long as its file",
				 params->name, i);
	if (seg->offset % DISK_ALIGN || seg->offset < previous || seg->offset > DISK_MAX)
		return error_set(err, -EINVAL, "%s: segment %zu is out of place", params->name, i);
	*ret_end = seg->offset + seg->length;
	return 0;
}

int blk_check_segments(const struct blk_params *params, uint64_t *ret_bytes, struct error *err)
{
	uint64_t end = 0;

	if (!params->nsegments && params->slot) {
		*ret_bytes = 0;
		return 0;
	}
	if (!params->nsegments || params->nsegments > BLK_SEGMENTS_MAX)
		return error_set(err, -EINVAL, "%s: %zu segments", params->name, params->nsegments);
	for (size_t i = 0; i < params->nsegments; i++) {
		int r = check_segment(params, i, end, &end, err);

		if (r < 0)
			return r;
	}
	if (params->writable &&
	    (params->nsegments != 1 || params->segments[0].offset || end % SECTOR))
		return error_set(err, -EINVAL, "%s: a writable disk is one file of whole sectors",
				 params->name);
	*ret_bytes = params->writable ? end : ALIGN_UP(end, (uint64_t)DISK_ALIGN);
	return 0;
}

void blk_take_segments(struct blk *blk, const struct blk_segment *segments, size_t n)
{
	blk->segments = xcalloc(n ? n : 1, sizeof(segments[0]));
	if (n)
		memcpy(blk->segments, segments, n * sizeof(segments[0]));
	blk->nsegments = n;
}

void blk_drop_segments(struct blk *blk)
{
	for (size_t i = 0; i < blk->nsegments; i++)
		close(blk->segments[i].fd);
	free(blk->segments);
	blk->segments = NULL;
	blk->nsegments = 0;
}

/* Drop the first done bytes from *n iovecs at iov. */
static struct iovec *iov_advance(struct iovec *iov, int *n, size_t done)
{
	while (*n && done >= iov->iov_len) {
		done -= iov->iov_len;
		iov++;
		(*n)--;
	}
	if (*n) {
		iov->iov_base = (uint8_t *)iov->iov_base + done;
		iov->iov_len -= done;
	}
	return iov;
}

bool blk_transfer(struct blk *blk, int fd, struct iovec *iov, int n, uint64_t offset, bool write)
{
	while (n) {
		ssize_t done = write ? pwritev(fd, iov, n, (off_t)offset)
				     : preadv(fd, iov, n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			blk_note_error(blk, done < 0 ? errno : EIO);
			return false;
		}
		offset += (uint64_t)done;
		iov = iov_advance(iov, &n, (size_t)done);
	}
	return true;
}

static void iov_zero(const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++)
		memset(iov[i].iov_base, 0, iov[i].iov_len);
}

/* The last segment that begins at or before pos, or NULL. */
static const struct blk_segment *segment_at(const struct blk *blk, uint64_t pos)
{
	size_t lo = 0, hi = blk->nsegments;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (blk->segments[mid].offset <= pos)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &blk->segments[lo - 1] : NULL;
}

/* Data and gaps by turns. */
bool blk_read_segments(struct blk *blk, struct vq_chain *chain, uint64_t pos, uint64_t len)
{
	const struct blk_segment *end = blk->segments + blk->nsegments;
	const struct blk_segment *seg = segment_at(blk, pos);
	const struct blk_segment *next = seg ? seg + 1 : blk->segments;
	struct iovec iov[VQ_CHAIN_MAX];

	while (len) {
		uint64_t until = next < end ? next->offset : pos + len;
		bool data = seg && pos - seg->offset < seg->length;
		uint64_t part;
		int n;

		if (data)
			until = MIN(until, seg->offset + seg->length);
		part = MIN(len, until - pos);
		n = vq_chain_write_iov(chain, part, iov);
		if (n < 0)
			return false;
		if (!data)
			iov_zero(iov, n);
		else if (!blk_transfer(blk, seg->fd, iov, n, pos - seg->offset, false))
			return false;
		pos += part;
		len -= part;
		if (next < end && pos == next->offset)
			seg = next++;
	}
	return true;
}
