/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/image/archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/confine.h"
#include "stage0/image/decompress.h"
#include "stage0/image/limits.h"
#include "stage0/image/store_priv.h"

#define COPY_SIZE (256 * KIB) /* unpacked at a time */

struct unpack {
	int in, out; /* out: -1 while only the format is asked for */
};

struct unpacked {
	bool plain; /* it was no compressed archive in the first place */
};

/* In the confined child. */
static int unpack_main(void *arg, void *ret, struct error *err)
{
	static const struct decomp_limits limits = {IMAGE_OUT_MAX, IMAGE_RATIO_MAX,
						    IMAGE_RATIO_FREE};
	const struct unpack *unpack = arg;
	const struct decomp_input in = {.fd = unpack->in};
	cleanup_free uint8_t *block = xcalloc(1, COPY_SIZE);
	cleanup_decomp struct decomp *decomp = NULL;
	struct unpacked *unpacked = ret;
	size_t len = 1;
	int r = decomp_new(&in, &limits, NULL, &decomp, err);

	if (r < 0)
		return r;
	unpacked->plain = strcmp(decomp_format(decomp), "tar") == 0;
	while (!unpacked->plain && len > 0) {
		r = decomp_read(decomp, block, COPY_SIZE, &len, err);
		if (r < 0)
			return r;
		r = write_all(unpack->out, block, len);
		if (r < 0)
			return error_set(err, r, "unpacking the archive: %s", strerror(-r));
	}
	return 0;
}

/* A file of the store's file system that goes with its descriptor. */
static int nameless_file(struct store *store, struct error *err)
{
	struct store_tmp tmp = STORE_TMP_INIT;
	int fd, r = store_tmp_new(store, &tmp, err);

	if (r < 0)
		return r;
	fd = openat(tmp.fd, "archive", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		r = error_errno(err, "creating a file in the store");
	store_tmp_end(store, &tmp);
	return fd < 0 ? r : fd;
}

/* Have *fd be an uncompressed archive. */
static int make_plain(struct store *store, int *fd, struct error *err)
{
	cleanup_fd int out = nameless_file(store, err);
	struct unpack unpack = {*fd, out};
	const int fds[] = {*fd, out};
	struct unpacked unpacked = {false};
	int r;

	if (out < 0)
		return out;
	r = confined_call(unpack_main, &unpack, &unpacked, sizeof(unpacked), fds, ARRAY_SIZE(fds),
			  err);
	if (r == 0 && !unpacked.plain) {
		close_fd(fd);
		*fd = take_fd(&out);
	}
	return r;
}

int archive_file_open(struct store *store, const char *path, struct archive_file *ret,
		      struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL, "%s is no file",
				 path);
	r = make_plain(store, &fd, err);
	if (r == 0)
		r = tarindex_read(fd, &ret->index, err);
	if (r < 0)
		return error_wrap(err, "%s", path);
	ret->fd = take_fd(&fd);
	return 0;
}

void archive_file_close(struct archive_file *archive)
{
	close_fd(&archive->fd);
	tarindex_free(archive->index);
	archive->index = NULL;
}

int archive_file_read(const struct archive_file *archive, const char *name, size_t max,
		      struct str *ret, struct error *err)
{
	const struct tarindex_member *member;
	cleanup_free char *text = NULL;
	int r = tarindex_find(archive->index, name, &member, err);

	if (r < 0)
		return r;
	if (member->size > max)
		return error_set(err, -EFBIG, "%.200s is too large for a document", name);
	text = xcalloc(member->size + 1, 1);
	r = pread_all(archive->fd, text, member->size, (off_t)member->offset);
	if (r < 0)
		return error_set(err, r, "reading the archive: %s", strerror(-r));
	str_addn(ret, text, member->size);
	return 0;
}

int archive_file_stream(const struct archive_file *archive, const char *name,
			struct oci_stream *ret, struct error *err)
{
	const struct tarindex_member *member;
	int fd, r = tarindex_find(archive->index, name, &member, err);

	if (r < 0)
		return r;
	/* length 0 would be all of the file */
	fd = member->size ? fcntl(archive->fd, F_DUPFD_CLOEXEC, 0)
			  : memfd_create("empty", MFD_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "opening the archive");
	*ret = (struct oci_stream){.fd = fd, .offset = member->offset, .length = member->size};
	if (member->size == 0)
		ret->offset = 0;
	return 0;
}
