/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over an archive.
 *
 * Theory of operation: the tar reader pulls. Each pull decompresses a block, hands it to the hashing
 * thread and to the skeleton, and to the reader. Each entry the reader returns is checked (for an
 * ACI, by its rules), given a place in the data file, and goes to the index; its content is appended
 * to the data file as it comes. After the archive's end mark the rest of the stream is drained: it
 * belongs to the identity and to the skeleton.
 *
 * A file's place begins at a block and takes its logical size, so a sparse file's holes are holes
 * of the data file, and any range of blocks is a plain extent for the disk.
 */
#include "stage0/image/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/util.h"
#include "stage0/image/aci.h"
#include "stage0/image/confine.h"
#include "stage0/image/hasher.h"
#include "stage0/image/index.h"
#include "stage0/image/limits.h"
#include "stage0/image/skeleton.h"
#include "stage0/image/tarwalk.h"

#define WRITE_SIZE (512 * KIB) /* of the data file at a time */
#define FLUSH_SIZE (8 * MIB)   /* started towards the disk at a time, so the last fsync is short */

struct pass {
	const struct layer_job *job;
	int data, index_fd, skeleton_fd;
	struct layer_result result;
	struct decomp *decomp;
	struct hasher *hasher;
	struct hash *raw;
	struct skeleton_writer *skeleton;
	struct index_writer *index;
	struct aci *aci;
	struct entry entry; /* the one whose content comes now */
	uint64_t end;	    /* of the places given in the data file */
	uint64_t pos;	    /* of buffer's first byte in the data file */
	uint64_t flushed;   /* started towards the disk */
	size_t used;
	uint8_t buffer[WRITE_SIZE];
};

static int write_out(struct pass *pass, struct error *err)
{
	int r = write_all(pass->data, pass->buffer, pass->used);

	if (r < 0)
		return error_set(err, r, "writing the image's data: %s", strerror(-r));
	pass->pos += pass->used;
	pass->used = 0;
	if (pass->pos - pass->flushed >= FLUSH_SIZE) {
		/* a hint: whether it works shows at the fsync */
		sync_file_range(pass->data, (off_t)pass->flushed,
				(off_t)(pass->pos - pass->flushed), SYNC_FILE_RANGE_WRITE);
		pass->flushed = pass->pos;
	}
	return 0;
}

/* Go forward to an offset of the data file: by zeroes, or by a hole when it is far. */
static int data_seek(struct pass *pass, uint64_t offset, struct error *err)
{
	while (pass->pos + pass->used < offset) {
		uint64_t gap = offset - pass->pos - pass->used;
		size_t n = (size_t)MIN(gap, sizeof(pass->buffer) - pass->used);
		int r;

		if (gap >= IMAGE_HOLE_MIN || n == 0) {
			r = write_out(pass, err);
			if (r < 0)
				return r;
			if (gap < IMAGE_HOLE_MIN)
				continue;
			if (lseek(pass->data, (off_t)offset, SEEK_SET) < 0)
				return error_errno(err, "writing the image's data");
			pass->pos = offset;
			return 0;
		}
		memset(pass->buffer + pass->used, 0, n);
		pass->used += n;
	}
	return 0;
}

static int data_write(struct pass *pass, const void *bytes, size_t len, struct error *err)
{
	const uint8_t *p = bytes;

	while (len > 0) {
		size_t n = MIN(len, sizeof(pass->buffer) - pass->used);
		int r;

		memcpy(pass->buffer + pass->used, p, n);
		pass->used += n;
		p += n;
		len -= n;
		if (pass->used == sizeof(pass->buffer)) {
			r = write_out(pass, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int on_read(void *ctx, const void **ret, size_t *ret_len, struct error *err)
{
	struct pass *pass = ctx;
	void *block = hasher_block(pass->hasher);
	size_t len;
	int r = decomp_read(pass->decomp, block, HASHER_BLOCK, &len, err);

	if (r == 0)
		r = skeleton_feed(pass->skeleton, block, len, err);
	if (r < 0)
		return r;
	if (len > 0)
		hasher_push(pass->hasher, len);
	pass->result.stream_size += len;
	if (pass->job->total &&
	    atomic_fetch_add(pass->job->total, len) + len > pass->job->limits.out_max)
		return error_set(err, -EFBIG, "the image's layers are larger than %llu bytes",
				 (unsigned long long)pass->job->limits.out_max);
	*ret = block;
	*ret_len = len;
	return 0;
}

static int on_entry(void *ctx, const struct entry *entry, struct error *err)
{
	struct pass *pass = ctx;
	enum aci_part part = ACI_ROOTFS;
	int r = 0;

	pass->entry = *entry;
	if (entry->type == ENTRY_REG) {
		pass->entry.data = entry->size ? pass->end : 0;
		pass->end += ALIGN_UP(entry->size, IMAGE_BLOCK);
		if (pass->end > IMAGE_LOGICAL_MAX)
			return error_set(err, -EFBIG, "the image's files are too large");
	}
	if (pass->aci)
		r = aci_entry(pass->aci, &pass->entry, &part, err);
	if (r < 0)
		return r;
	if (part == ACI_MANIFEST) {
		pass->result.manifest = pass->entry.data;
		pass->result.manifest_size = pass->entry.size;
	}
	if (part != ACI_ROOTFS)
		return 0;
	pass->result.entries++;
	return index_writer_add(pass->index, &pass->entry, err);
}

static int on_data(void *ctx, uint64_t offset, const void *bytes, size_t len, uint64_t stream_pos,
		   struct error *err)
{
	struct pass *pass = ctx;
	uint64_t place = pass->entry.data + offset;
	int r = data_seek(pass, place, err);

	if (r == 0)
		r = skeleton_refer(pass->skeleton, stream_pos, bytes, len, place, err);
	if (r == 0)
		r = data_write(pass, bytes, len, err);
	return r;
}

static int drain(struct pass *pass, struct error *err)
{
	const void *block;
	size_t len;
	int r;

	do
		r = on_read(pass, &block, &len, err);
	while (r == 0 && len > 0);
	return r;
}

static int finish_files(struct pass *pass, struct error *err)
{
	int r = write_out(pass, err);

	if (r < 0)
		return r;
	if (ftruncate(pass->data, (off_t)pass->end) < 0)
		return error_errno(err, "writing the image's data");
	r = index_writer_finish(pass->index, pass->end, err);
	if (r == 0)
		r = skeleton_finish(pass->skeleton, err);
	return r;
}

static int run_pass(struct pass *pass, struct error *err)
{
	static const struct tarwalk_ops ops = {on_read, on_entry, on_data};
	const struct layer_job *job = pass->job;
	const struct decomp_input in = {job->in, job->offset, job->length, job->in_max};
	int r = decomp_new(&in, &job->limits, pass->raw, &pass->decomp, err);

	if (r == 0)
		r = tarwalk(&ops, pass, err);
	if (r == 0)
		r = drain(pass, err);
	if (r == 0 && pass->aci)
		r = aci_end(pass->aci, err);
	if (r == 0)
		r = finish_files(pass, err);
	if (r < 0)
		return r;
	hasher_final(pass->hasher, pass->result.id);
	if (pass->raw)
		hash_final(pass->raw, pass->result.raw);
	pass->result.in_size = decomp_in(pass->decomp);
	pass->result.data_size = pass->end;
	return 0;
}

struct files {
	const struct layer_job *job;
	int data, index, skeleton;
	bool threaded; /* there is a second core to hash on */
};

/* In the confined child. */
static int pass_main(void *arg, void *ret, struct error *err)
{
	const struct files *files = arg;
	const struct layer_job *job = files->job;
	cleanup_free struct pass *pass = xcalloc(1, sizeof(*pass));
	int r;

	pass->job = job;
	pass->data = files->data;
	pass->hasher = hasher_new(job->alg, files->threaded);
	pass->raw = job->hash_raw ? hash_new(job->raw_alg) : NULL;
	pass->skeleton = skeleton_writer_new(files->skeleton);
	pass->index = index_writer_new(files->index);
	pass->aci = job->kind == LAYER_ACI ? aci_new() : NULL;
	r = run_pass(pass, err);
	if (r == 0)
		*(struct layer_result *)ret = pass->result;
	aci_free(pass->aci);
	index_writer_free(pass->index);
	skeleton_writer_free(pass->skeleton);
	hash_free(pass->raw);
	hasher_free(pass->hasher);
	decomp_free(pass->decomp);
	return r;
}

static int create(int dir, const char *name, struct error *err)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);

	return fd < 0 ? error_errno(err, "creating the image's %s", name) : fd;
}

int layer_index_digest(int dir, char ret[HASH_HEX_MAX], struct error *err)
{
	cleanup_fd int fd = openat(dir, LAYER_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_hash struct hash *hash = hash_new(HASH_SHA512);
	cleanup_free uint8_t *buffer = xcalloc(1, HASHER_BLOCK);
	uint8_t digest[HASH_MAX_SIZE];
	ssize_t n;

	if (fd < 0)
		return error_errno(err, "opening the image's index");
	while ((n = read(fd, buffer, HASHER_BLOCK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "reading the image's index");
		hash_update(hash, buffer, (size_t)n);
	}
	hash_final(hash, digest);
	hash_hex(digest, hash_size(HASH_SHA512), ret);
	return 0;
}

static int write_info(const struct layer_job *job, const struct layer_result *result,
		      struct error *err)
{
	cleanup_json struct json_object *info = json_object_new_object();
	char hex[HASH_HEX_MAX], id[HASH_HEX_MAX + 8], index[HASH_HEX_MAX];
	const char *text;
	int r = layer_index_digest(job->dir, index, err);

	if (r < 0)
		return r;
	hash_hex(result->id, hash_size(job->alg), hex);
	snprintf(id, sizeof(id), "%s-%s", job->alg == HASH_SHA512 ? "sha512" : "sha256", hex);
	json_add_string(info, "id", id);
	json_add_string(info, "index", index);
	json_add_int(info, "size", (int64_t)result->stream_size);
	json_add_int(info, "dataSize", (int64_t)result->data_size);
	json_add_int(info, "entries", (int64_t)result->entries);
	text = json_text(info);
	return file_write(job->dir, LAYER_INFO, text, strlen(text), 0444, err);
}

int layer_make(const struct layer_job *job, struct layer_result *ret, struct error *err)
{
	cleanup_fd int data = create(job->dir, LAYER_DATA, err);
	cleanup_fd int index = data < 0 ? -1 : create(job->dir, LAYER_INDEX, err);
	cleanup_fd int skeleton = index < 0 ? -1 : create(job->dir, LAYER_SKELETON, err);
	struct files files = {job, data, index, skeleton, sysconf(_SC_NPROCESSORS_ONLN) > 1};
	const int fds[] = {job->in, data, index, skeleton};
	struct layer_result result;
	int r;

	if (skeleton < 0)
		return err->code;
	r = confined_call(pass_main, &files, &result, sizeof(result), fds, ARRAY_SIZE(fds), err);
	if (r < 0)
		return r;
	if (result.data_size > IMAGE_LOGICAL_MAX || result.manifest_size > IMAGE_MANIFEST_MAX ||
	    result.entries > IMAGE_ENTRIES_MAX)
		return error_set(err, -EBADMSG, "the image reader gave a false account");
	r = write_info(job, &result, err);
	if (r == 0)
		*ret = result;
	return r;
}

int layer_sync(int dir, struct error *err)
{
	static const char *const names[] = {LAYER_DATA, LAYER_INDEX, LAYER_SKELETON};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_fd int fd = openat(dir, names[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0 || fdatasync(fd) < 0)
			return error_errno(err, "writing the image's %s", names[i]);
	}
	return fsync(dir) < 0 ? error_errno(err, "writing the image") : 0;
}

struct export
{
	int fd;
	struct hash *hash;
};

static int export_bytes(void *ctx, const void *bytes, size_t len, struct error *err)
{
	struct export *export = ctx;
	int r = write_all(export->fd, bytes, len);

	hash_update(export->hash, bytes, len);
	return r < 0 ? error_set(err, r, "writing the archive: %s", strerror(-r)) : 0;
}

int layer_export(int dir, enum hash_alg alg, int fd, uint8_t ret_id[HASH_MAX_SIZE],
		 struct error *err)
{
	cleanup_fd int data = openat(dir, LAYER_DATA, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_fd int skeleton = openat(dir, LAYER_SKELETON, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_hash struct hash *hash = hash_new(alg);
	struct export export = {.fd = fd, .hash = hash};
	int r;

	if (data < 0 || skeleton < 0)
		return error_errno(err, "opening the image's files");
	r = skeleton_replay(skeleton, data, export_bytes, &export, err);
	if (r == 0)
		hash_final(hash, ret_id);
	return r;
}
