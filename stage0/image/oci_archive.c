/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/image/archive_file.h"
#include "stage0/image/oci_origin.h"

/* The origin that is a tar file of an OCI image layout (spec/images.md 16.1). */

#define MEMBER_MAX (16 + HASH_HEX_MAX) /* "blobs/sha512/" and the digits */

struct archive {
	struct oci_origin origin;
	struct archive_file file;
	char *ref;
};

static void blob_member(const struct oci_desc *desc, char ret[MEMBER_MAX])
{
	snprintf(ret, MEMBER_MAX, "blobs/%s/%s",
		 desc->digest.alg == HASH_SHA256 ? "sha256" : "sha512", desc->digest.hex);
}

static int archive_document(struct oci_origin *origin, const struct oci_desc *desc, struct str *ret,
			    char ret_media_type[OCI_MEDIA_TYPE_MAX], struct error *err)
{
	struct archive *archive = container_of(origin, struct archive, origin);
	char member[MEMBER_MAX] = "index.json";
	int r;

	if (desc)
		blob_member(desc, member);
	r = archive_file_read(&archive->file, member, JSON_SIZE_MAX, ret, err);
	if (r == 0)
		ret_media_type[0] = '\0';
	return r;
}

static int archive_open_blob(struct oci_origin *origin, const struct oci_desc *desc,
			     struct oci_stream *ret, struct error *err)
{
	struct archive *archive = container_of(origin, struct archive, origin);
	struct oci_stream stream = OCI_STREAM_INIT;
	char member[MEMBER_MAX];
	int r;

	blob_member(desc, member);
	r = archive_file_stream(&archive->file, member, &stream, err);
	if (r < 0)
		return r;
	if (stream.length != desc->size) {
		close_fd(&stream.fd);
		return error_set(err, -EBADMSG, "%s is not of the size it is said to have", member);
	}
	*ret = stream;
	return 0;
}

static int archive_close_blob(struct oci_origin *origin, struct oci_stream *stream, bool complete,
			      struct error *err)
{
	(void)origin;
	(void)complete;
	(void)err;
	close_fd(&stream->fd);
	return 0;
}

static void archive_free(struct oci_origin *origin)
{
	struct archive *archive = container_of(origin, struct archive, origin);

	archive_file_close(&archive->file);
	free(archive->ref);
	free(archive);
}

static int check_version(const struct archive *archive, struct error *err)
{
	cleanup_str struct str text = STR_INIT;
	int r = archive_file_read(&archive->file, "oci-layout", JSON_SIZE_MAX, &text, err);

	return r < 0 ? r : oci_layout_check(str_get(&text), text.len, err);
}

int oci_archive_open(struct store *store, const char *path, const char *ref,
		     struct oci_origin **ret, struct error *err)
{
	static const struct oci_origin_ops ops = {
		.document = archive_document,
		.open_blob = archive_open_blob,
		.close_blob = archive_close_blob,
		.free = archive_free,
	};
	struct archive *archive = xcalloc(1, sizeof(*archive));
	int r;

	archive->file.fd = -1;
	archive->ref = ref ? xstrdup(ref) : NULL;
	archive->origin = (struct oci_origin){.ops = &ops, .ref = archive->ref};
	r = archive_file_open(store, path, &archive->file, err);
	if (r == 0) {
		r = check_version(archive, err);
		if (r < 0)
			error_wrap(err, "%s", path);
	}
	if (r < 0) {
		archive_free(&archive->origin);
		return r;
	}
	*ret = &archive->origin;
	return 0;
}
