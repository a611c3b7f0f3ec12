/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The origin that is an OCI image layout (spec/images.md 16.1): a directory, or a tar file of one,
 * whose members have the names the directory's files have.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/util.h"
#include "stage0/image/archive_file.h"
#include "stage0/image/oci_origin.h"

#define BLOB_PATH_MAX (16 + HASH_HEX_MAX) /* "blobs/sha512/" and the digits */

struct layout {
	struct oci_origin origin;
	int dir;		  /* -1: it is an archive */
	struct archive_file file; /* ... this one */
	char *ref;
};

/* A file of the directory, which may be anybody's: no links, nothing but a regular file. */
static int open_file(const struct layout *layout, const char *path, uint64_t *ret_size,
		     struct error *err)
{
	cleanup_fd int fd = open_beneath(layout->dir, path, O_RDONLY | O_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return error_set(err, fd, "%s: %s", path, strerror(-fd));
	if (fstat(fd, &st) < 0)
		return error_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EBADMSG, "%s is no file", path);
	*ret_size = (uint64_t)st.st_size;
	return take_fd(&fd);
}

static int read_file(const struct layout *layout, const char *path, struct str *ret,
		     struct error *err)
{
	uint64_t size;
	cleanup_fd int fd = open_file(layout, path, &size, err);
	cleanup_free char *text = NULL;
	int r;

	if (fd < 0)
		return fd;
	if (size > JSON_SIZE_MAX)
		return error_set(err, -EFBIG, "%s is too large for a document", path);
	text = xcalloc(size + 1, 1);
	r = pread_all(fd, text, size, 0);
	if (r < 0)
		return error_set(err, r, "reading %s: %s", path, strerror(-r));
	str_addn(ret, text, size);
	return 0;
}

static int read_document(const struct layout *layout, const char *path, struct str *ret,
			 struct error *err)
{
	if (layout->dir < 0)
		return archive_file_read(&layout->file, path, JSON_SIZE_MAX, ret, err);
	return read_file(layout, path, ret, err);
}

static int open_stream(const struct layout *layout, const char *path, struct oci_stream *ret,
		       struct error *err)
{
	if (layout->dir < 0)
		return archive_file_stream(&layout->file, path, ret, err);
	ret->fd = open_file(layout, path, &ret->length, err);
	return ret->fd < 0 ? ret->fd : 0;
}

static void blob_path(const struct oci_desc *desc, char ret[BLOB_PATH_MAX])
{
	snprintf(ret, BLOB_PATH_MAX, "blobs/%s/%s",
		 desc->digest.alg == HASH_SHA256 ? "sha256" : "sha512", desc->digest.hex);
}

static int layout_document(struct oci_origin *origin, const struct oci_desc *desc, struct str *ret,
			   char ret_media_type[OCI_MEDIA_TYPE_MAX], struct error *err)
{
	struct layout *layout = container_of(origin, struct layout, origin);
	char path[BLOB_PATH_MAX] = "index.json";
	int r;

	if (desc)
		blob_path(desc, path);
	r = read_document(layout, path, ret, err);
	if (r == 0)
		ret_media_type[0] = '\0';
	return r;
}

static int layout_open_blob(struct oci_origin *origin, const struct oci_desc *desc,
			    struct oci_stream *ret, struct error *err)
{
	struct layout *layout = container_of(origin, struct layout, origin);
	struct oci_stream stream = OCI_STREAM_INIT;
	char path[BLOB_PATH_MAX];
	int r;

	blob_path(desc, path);
	r = open_stream(layout, path, &stream, err);
	if (r < 0)
		return r;
	if (stream.length != desc->size) {
		close_fd(&stream.fd);
		return error_set(err, -EBADMSG, "%s is not of the size it is said to have", path);
	}
	*ret = stream;
	return 0;
}

int oci_file_close_blob(struct oci_origin *origin, struct oci_stream *stream, bool complete,
			struct error *err)
{
	(void)origin;
	(void)complete;
	(void)err;
	close_fd(&stream->fd);
	return 0;
}

static void layout_free(struct oci_origin *origin)
{
	struct layout *layout = container_of(origin, struct layout, origin);

	close_fd(&layout->dir);
	archive_file_close(&layout->file);
	free(layout->ref);
	free(layout);
}

static int check_version(const struct layout *layout, struct error *err)
{
	cleanup_str struct str text = STR_INIT;
	int r = read_document(layout, "oci-layout", &text, err);

	return r < 0 ? r : oci_layout_check(str_get(&text), text.len, err);
}

static struct layout *layout_new(const char *ref)
{
	static const struct oci_origin_ops ops = {
		.document = layout_document,
		.open_blob = layout_open_blob,
		.close_blob = oci_file_close_blob,
		.free = layout_free,
	};
	struct layout *layout = xcalloc(1, sizeof(*layout));

	layout->dir = -1;
	layout->file = (struct archive_file)ARCHIVE_FILE_INIT;
	layout->ref = ref ? xstrdup(ref) : NULL;
	layout->origin = (struct oci_origin){.ops = &ops, .ref = layout->ref};
	return layout;
}

/* Give it to the caller if all went well so far. */
static int finish(struct layout *layout, int r, struct oci_origin **ret)
{
	if (r < 0)
		layout_free(&layout->origin);
	else
		*ret = &layout->origin;
	return r;
}

int oci_layout_open(const char *dir, const char *ref, struct oci_origin **ret, struct error *err)
{
	struct layout *layout = layout_new(ref);
	int r;

	layout->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = layout->dir < 0 ? error_errno(err, "%s", dir) : check_version(layout, err);
	return finish(layout, r, ret);
}

int oci_archive_open(struct store *store, const char *path, const char *ref,
		     struct oci_origin **ret, struct error *err)
{
	struct layout *layout = layout_new(ref);
	int r = archive_file_open(store, path, &layout->file, err);

	if (r == 0) {
		r = check_version(layout, err);
		if (r < 0)
			error_wrap(err, "%s", path);
	}
	return finish(layout, r, ret);
}
