/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/oci_origin.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tarmake.h"

/* Images in tar files: of OCI layouts, and of docker save in all its forms. */

#ifdef __aarch64__
#define ARCH "arm64"
#else
#define ARCH "amd64"
#endif
#define LAYOUT_FILE "{\"imageLayoutVersion\":\"1.0.0\"}"

static const struct oci_source source = {.name = "example.com/archive"};

struct blob {
	struct tarmake bytes;
	struct oci_digest digest;
};

static void file(struct tarmake *tar, const char *name, const void *bytes, size_t len)
{
	tar_add(tar, &(struct tarent){.name = name, .data = bytes, .size = len});
}

static void text_file(struct tarmake *tar, const char *name, const char *text)
{
	file(tar, name, text, strlen(text));
}

/* A layer with one file, which holds its own name. */
static struct blob make_layer(const char *name)
{
	struct blob layer = {.bytes = {.p = NULL}};

	tar_add_file(&layer.bytes, name, name);
	tar_end(&layer.bytes);
	oci_digest_of(layer.bytes.p, layer.bytes.len, &layer.digest);
	return layer;
}

static void gzip(struct tarmake *tar)
{
	z_stream z = {.next_in = tar->p, .avail_in = (uInt)tar->len};
	uint8_t *packed = xcalloc(1, tar->len + 100);

	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = packed;
	z.avail_out = (uInt)tar->len + 100;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	free(tar->p);
	tar->p = packed;
	tar->len = z.total_out;
	deflateEnd(&z);
}

static char *make_config(const struct blob *one, const struct blob *two, const char *cmd)
{
	return xasprintf("{\"os\":\"linux\",\"architecture\":\"" ARCH "\",\"config\":{\"Cmd\":"
			 "[\"%s\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\","
			 "\"sha256:%s\"]}}",
			 cmd, one->digest.hex, two->digest.hex);
}

static void put_tar(const struct scratch *scratch, struct tarmake *tar)
{
	struct error err = ERROR_INIT;

	if (file_write(scratch->fd, "archive", tar->p, tar->len, 0644, &err) < 0)
		fail_msg("%s", err.msg);
	tar_free(tar);
	*tar = (struct tarmake){.p = NULL};
}

typedef int (*open_fn)(struct store *store, const char *path, const char *ref,
		       struct oci_origin **ret, struct error *err);

/* Import the scratch directory's "archive" into a store beside it, and unpack the image. */
static int import(const struct scratch *scratch, open_fn open_archive, const char *ref,
		  struct error *err)
{
	cleanup_free char *data = xasprintf("%s/data", scratch->path);
	cleanup_free char *path = xasprintf("%s/archive", scratch->path);
	cleanup_strv struct strv warnings = STRV_INIT;
	cleanup_origin struct oci_origin *origin = NULL;
	char key[IMAGE_KEY_LEN + 1];
	struct error ignored = ERROR_INIT;
	struct store *store;
	int r;

	remove_tree(scratch->fd, "tree", &ignored);
	if (store_open(data, &store, err) < 0)
		fail_msg("%s", err->msg);
	r = open_archive(store, path, ref, &origin, err);
	if (r == 0)
		r = store_import_origin(store, origin, &source, NULL, key, &warnings, err);
	if (r == 0 && store_place_tree(store, key, scratch->fd, "tree", STORE_COPY, NULL, err) < 0)
		fail_msg("%s", err->msg);
	store_close(store);
	return r;
}

static bool is_there(const struct scratch *scratch, const char *path)
{
	return faccessat(scratch->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void forget(const struct scratch *scratch)
{
	struct error err = ERROR_INIT;

	assert_int_equal(remove_tree(scratch->fd, "data", &err), 0);
}

static void blob_file(struct tarmake *tar, const void *bytes, size_t len, struct oci_digest *ret)
{
	char name[128];

	oci_digest_of(bytes, len, ret);
	snprintf(name, sizeof(name), "blobs/sha256/%.64s", ret->hex);
	file(tar, name, bytes, len);
}

/* A layout of two layers, the index at the end, as skopeo writes it. */
static struct tarmake make_oci(void)
{
	struct blob one = make_layer("one"), two = make_layer("two");
	cleanup_free char *config = make_config(&one, &two, "run");
	cleanup_free char *manifest = NULL, *index = NULL;
	struct oci_digest config_digest, digest;
	struct tarmake tar = {.p = NULL};
	struct oci_digest blob_digest;
	size_t one_len = one.bytes.len;

	blob_file(&tar, one.bytes.p, one.bytes.len, &blob_digest);
	gzip(&two.bytes);
	blob_file(&tar, two.bytes.p, two.bytes.len, &blob_digest);
	blob_file(&tar, config, strlen(config), &config_digest);
	manifest = xasprintf(
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config."
		"v1+json\",\"digest\":\"sha256:%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
		"\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:%s\",\"size\":%zu},"
		"{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":"
		"\"sha256:%s\",\"size\":%zu}]}",
		config_digest.hex, strlen(config), one.digest.hex, one_len, blob_digest.hex,
		two.bytes.len);
	blob_file(&tar, manifest, strlen(manifest), &digest);
	index = xasprintf("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"
			  "vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%s\",\"size\":%zu,"
			  "\"annotations\":{\"org.opencontainers.image.ref.name\":\"v1\"}}]}",
			  digest.hex, strlen(manifest));
	text_file(&tar, "./oci-layout", LAYOUT_FILE);
	text_file(&tar, "./index.json", index);
	tar_free(&one.bytes);
	tar_free(&two.bytes);
	return tar;
}

static void an_oci_archive_is_read_whatever_its_order_and_packing(void **state)
{
	const struct scratch *scratch = *state;

	for (unsigned packed = 0; packed < 2; packed++) {
		struct tarmake tar = make_oci();
		struct error err = ERROR_INIT;

		tar_end(&tar);
		if (packed)
			gzip(&tar);
		put_tar(scratch, &tar);
		if (import(scratch, oci_archive_open, packed ? "v1" : NULL, &err) < 0)
			fail_msg("%s", err.msg);
		assert_true(is_there(scratch, "tree/one"));
		assert_true(is_there(scratch, "tree/two"));
		/* what it was unpacked to is gone */
		assert_int_equal(unlinkat(scratch->fd, "data/cas/tmp", AT_REMOVEDIR), 0);
		forget(scratch);
		assert_int_equal(import(scratch, oci_archive_open, "v2", &err), -ENOENT);
		assert_non_null(strstr(err.msg, "v1"));
		forget(scratch);
	}
}

static void a_name_that_an_archive_has_twice_is_refused(void **state)
{
	const struct scratch *scratch = *state;
	struct tarmake tar = make_oci();
	struct error err = ERROR_INIT;

	text_file(&tar, "index.json", "{}");
	tar_end(&tar);
	put_tar(scratch, &tar);
	assert_int_equal(import(scratch, oci_archive_open, NULL, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "twice"));
}

static void an_archive_cut_anywhere_is_refused(void **state)
{
	const struct scratch *scratch = *state;
	struct tarmake tar = make_oci();

	tar_end(&tar);
	/* without its end mark and the last member's padding it is whole */
	for (size_t cut = 0; cut < tar.len - 1024 - 512; cut += 256) {
		struct tarmake part = {.p = NULL};
		struct error err = ERROR_INIT;

		tar_raw(&part, tar.p, cut);
		put_tar(scratch, &part);
		if (import(scratch, oci_archive_open, NULL, &err) == 0)
			fail_msg("taken although cut at %zu", cut);
	}
	tar_free(&tar);
}

/* How docker save lays its archives out. */
enum form {
	LEGACY, /* directories with layer.tar, a link where a layer repeats */
	BLOBS,	/* members named by digest */
	FORMS,
};

static const char *add_docker_layers(struct tarmake *tar, enum form form, struct blob *one,
				     struct blob *two, char *buf, size_t size)
{
	char name[2][128];

	if (form == LEGACY) {
		file(tar, "aaa/layer.tar", one->bytes.p, one->bytes.len);
		gzip(&two->bytes);
		file(tar, "bbb/layer.tar", two->bytes.p, two->bytes.len);
		tar_add(tar, &(struct tarent){.name = "ccc/layer.tar",
					      .type = '2',
					      .link = "../bbb/layer.tar"});
		snprintf(buf, size, "[\"aaa/layer.tar\",\"ccc/layer.tar\"]");
		return buf;
	}
	snprintf(name[0], sizeof(name[0]), "blobs/sha256/%.64s", one->digest.hex);
	snprintf(name[1], sizeof(name[1]), "blobs/sha256/%.64s", two->digest.hex);
	file(tar, name[0], one->bytes.p, one->bytes.len);
	file(tar, name[1], two->bytes.p, two->bytes.len);
	snprintf(buf, size, "[\"%s\",\"%s\"]", name[0], name[1]);
	return buf;
}

/* extra: further images of manifest.json, with a comma before them. */
static struct tarmake make_docker(enum form form, const char *config_name, const char *extra)
{
	struct blob one = make_layer("one"), two = make_layer("two");
	cleanup_free char *config = make_config(&one, &two, "run"), *list = NULL, *name = NULL;
	struct tarmake tar = {.p = NULL};
	struct oci_digest digest;
	char layers[512];

	add_docker_layers(&tar, form, &one, &two, layers, sizeof(layers));
	oci_digest_of(config, strlen(config), &digest);
	name = config_name ? xstrdup(config_name)
			   : xasprintf(form == LEGACY ? "%s.json" : "blobs/sha256/%s", digest.hex);
	text_file(&tar, name, config);
	list = xasprintf("[{\"Config\":\"%s\",\"RepoTags\":[\"docker.io/library/app:1\"],"
			 "\"Layers\":%s}%s]",
			 name, layers, extra);
	text_file(&tar, "manifest.json", list);
	tar_end(&tar);
	tar_free(&one.bytes);
	tar_free(&two.bytes);
	return tar;
}

static void a_docker_archive_of_every_form_is_read(void **state)
{
	static const char *const names[] = {NULL, "app:1", "library/app:1", "@0"};
	const struct scratch *scratch = *state;

	for (unsigned form = 0; form < FORMS; form++) {
		struct tarmake tar = make_docker(form, NULL, "");

		if (form == BLOBS)
			gzip(&tar);
		put_tar(scratch, &tar);
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			struct error err = ERROR_INIT;

			if (import(scratch, docker_archive_open, names[i], &err) < 0)
				fail_msg("%s", err.msg);
			assert_true(is_there(scratch, "tree/one"));
			assert_true(is_there(scratch, "tree/two"));
			forget(scratch);
		}
	}
}

static void of_several_images_one_must_be_named(void **state)
{
	static const char extra[] = ",{\"Config\":\"x.json\",\"RepoTags\":[\"other:2\"],"
				    "\"Layers\":[]}";
	const struct scratch *scratch = *state;
	struct tarmake tar = make_docker(LEGACY, NULL, extra);
	struct error err = ERROR_INIT;

	put_tar(scratch, &tar);
	assert_int_equal(import(scratch, docker_archive_open, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "other:2"));
	err = (struct error)ERROR_INIT;
	assert_int_equal(import(scratch, docker_archive_open, "app", &err), -ENOENT);
	err = (struct error)ERROR_INIT;
	assert_int_equal(import(scratch, docker_archive_open, "app:1", &err), 0);
	assert_int_equal(import(scratch, docker_archive_open, "@2", &err), -ENOENT);
}

static void a_docker_archive_that_lies_is_refused(void **state)
{
	static const char zeroes[] =
		"0000000000000000000000000000000000000000000000000000000000000000";
	static const char *const manifests[] = {
		"[]",
		"{}",
		"[{\"Config\":\"../../../etc/passwd\",\"Layers\":[]}]",
		"[{\"Config\":\"/etc/passwd\",\"Layers\":[]}]",
		"[{\"Layers\":[]}]",
		"[null]",
		"[{\"Config\":\"link\",\"Layers\":[]}]",
		"[{\"Config\":\"loop\",\"Layers\":[]}]",
		"[{\"Config\":\"dir\",\"Layers\":[]}]",
		"[{\"Config\":\"config\",\"Layers\":[3]}]",
		"[{\"Config\":\"config\",\"Layers\":[\"manifest.json\"]}]",
	};
	const struct scratch *scratch = *state;
	cleanup_free char *wrong = xasprintf("%s.json", zeroes);
	struct tarmake tar = make_docker(LEGACY, wrong, "");
	struct error err = ERROR_INIT;

	put_tar(scratch, &tar);
	assert_int_equal(import(scratch, docker_archive_open, NULL, &err), -EBADMSG);
	for (size_t i = 0; i < ARRAY_SIZE(manifests); i++) {
		tar_add(&tar, &(struct tarent){.name = "link", .type = '2', .link = "../../x"});
		tar_add(&tar, &(struct tarent){.name = "loop", .type = '2', .link = "loop"});
		tar_add_dir(&tar, "dir");
		text_file(&tar, "config", "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[3]}}");
		text_file(&tar, "manifest.json", manifests[i]);
		tar_end(&tar);
		put_tar(scratch, &tar);
		if (import(scratch, docker_archive_open, NULL, &err) == 0)
			fail_msg("taken: %s", manifests[i]);
	}
}

static void an_archive_without_a_manifest_is_told_from_others(void **state)
{
	const struct scratch *scratch = *state;
	struct tarmake tar = {.p = NULL};
	struct error err = ERROR_INIT;

	text_file(&tar, "repositories", "{}");
	tar_end(&tar);
	put_tar(scratch, &tar);
	assert_int_equal(import(scratch, docker_archive_open, NULL, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "manifest.json"));
	assert_int_equal(import(scratch, oci_archive_open, NULL, &err), -ENOENT);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(an_oci_archive_is_read_whatever_its_order_and_packing),
		WITH_SCRATCH(a_name_that_an_archive_has_twice_is_refused),
		WITH_SCRATCH(an_archive_cut_anywhere_is_refused),
		WITH_SCRATCH(a_docker_archive_of_every_form_is_read),
		WITH_SCRATCH(of_several_images_one_must_be_named),
		WITH_SCRATCH(a_docker_archive_that_lies_is_refused),
		WITH_SCRATCH(an_archive_without_a_manifest_is_told_from_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
