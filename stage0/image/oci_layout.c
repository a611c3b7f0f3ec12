/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/util.h"
#include "stage0/image/oci_origin.h"

/* The origin that is an OCI image layout directory (spec/images.md 16.1). */

#define BLOB_PATH_MAX (16 + HASH_HEX_MAX) /* "blobs/sha512/" and the digits */

struct layout {
	struct oci_origin origin;
	int dir;
	char *ref;
};

/* A file of the layout, which may be anybody's: no links, nothing but a regular file. */
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

static int read_document(const struct layout *layout, const char *path, struct str *ret,
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
	char path[BLOB_PATH_MAX];
	cleanup_fd int fd = -1;
	uint64_t size;

	blob_path(desc, path);
	fd = open_file(layout, path, &size, err);
	if (fd < 0)
		return fd;
	if (size != desc->size)
		return error_set(err, -EBADMSG, "%s is not of the size it is said to have", path);
	*ret = (struct oci_stream){.fd = take_fd(&fd)};
	return 0;
}

static int layout_close_blob(struct oci_origin *origin, struct oci_stream *stream, bool complete,
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
	free(layout->ref);
	free(layout);
}

static int check_version(const struct layout *layout, struct error *err)
{
	cleanup_str struct str text = STR_INIT;
	int r = read_document(layout, "oci-layout", &text, err);

	return r < 0 ? r : oci_layout_check(str_get(&text), text.len, err);
}

int oci_layout_open(const char *dir, const char *ref, struct oci_origin **ret, struct error *err)
{
	static const struct oci_origin_ops ops = {
		.document = layout_document,
		.open_blob = layout_open_blob,
		.close_blob = layout_close_blob,
		.free = layout_free,
	};
	struct layout *layout = xcalloc(1, sizeof(*layout));
	int r;

	layout->ref = ref ? xstrdup(ref) : NULL;
	layout->origin = (struct oci_origin){.ops = &ops, .ref = layout->ref};
	layout->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = layout->dir < 0 ? error_errno(err, "%s", dir) : check_version(layout, err);
	if (r < 0) {
		layout_free(&layout->origin);
		return r;
	}
	*ret = &layout->origin;
	return 0;
}
