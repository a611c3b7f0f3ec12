/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/util.h"
#include "stage0/fetch/registry.h"
#include "tests/unit/httpd.h"
#include "tests/unit/scratch.h"

/* An image of the test server: its repository says what is wrong with it. */
struct image {
	struct oci_origin *origin;
	struct registry_options options;
	struct oci_desc config, layer;
	struct str text;
	char media_type[OCI_MEDIA_TYPE_MAX];
	struct error err;
	atomic_uint calls, warnings, dones;
	uint64_t last;
};

static void on_progress(void *priv, const char *digest, uint64_t now, uint64_t total, bool done)
{
	struct image *image = priv;

	assert_true(str_starts_with(digest, "sha256:"));
	assert_true(now <= total);
	image->calls++;
	image->dones += done;
	image->last = now;
}

static void on_warning(void *priv, const char *line)
{
	struct image *image = priv;

	assert_true(line[0] != '\0');
	image->warnings++;
}

static void open_image(struct httpd *httpd, const char *host, const char *name, struct image *image)
{
	cleanup_free char *text = xasprintf("%s/%s", host, name);
	struct dockerref ref;

	image->options.http = httpd->client;
	image->options.priv = image;
	image->options.progress = on_progress;
	image->options.warn = on_warning;
	if (!image->options.partial)
		image->options.partial = -1;
	assert_int_equal(dockerref_parse(text, &ref, &image->err), 0);
	if (registry_open(&image->options, &ref, &image->origin, &image->err) < 0)
		fail_msg("%s", image->err.msg);
}

static void close_image(struct image *image)
{
	oci_origin_free(image->origin);
	str_free(&image->text);
}
#define cleanup_image cleanup(close_image) struct image

/* Its manifest, and the descriptors in it. */
static int read_manifest(struct image *image)
{
	cleanup_json struct json_object *doc = NULL;
	struct oci_manifest *manifest;
	int r = image->origin->ops->document(image->origin, NULL, &image->text, image->media_type,
					     &image->err);

	if (r < 0)
		return r;
	manifest = xcalloc(1, sizeof(*manifest));
	assert_int_equal(
		json_parse(str_get(&image->text), image->text.len, "manifest", &doc, &image->err),
		0);
	assert_int_equal(oci_manifest_parse(doc, manifest, &image->err), 0);
	image->config = manifest->config;
	image->layer = manifest->layer[0];
	free(manifest);
	return 0;
}

/* The layer as it comes: whether it is the right one, and what closing says. */
static int read_layer(struct image *image, bool *ret_right)
{
	struct oci_stream stream = OCI_STREAM_INIT;
	cleanup_hash struct hash *hash = hash_new(HASH_SHA256);
	uint8_t digest[HASH_MAX_SIZE];
	char hex[HASH_HEX_MAX];
	static char piece[1 << 16];
	ssize_t n;

	if (image->origin->ops->open_blob(image->origin, &image->layer, &stream, &image->err) < 0)
		fail_msg("%s", image->err.msg);
	while ((n = read(stream.fd, piece, sizeof(piece))) > 0)
		hash_update(hash, piece, (size_t)n);
	hash_final(hash, digest);
	hash_hex(digest, hash_size(HASH_SHA256), hex);
	*ret_right = strcmp(hex, image->layer.digest.hex) == 0;
	return image->origin->ops->close_blob(image->origin, &stream, true, &image->err);
}

static void an_image_is_read_without_being_asked_who_we_are(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.origin = NULL};
	cleanup_str struct str config = STR_INIT;
	char type[OCI_MEDIA_TYPE_MAX], resolved[OCI_DIGEST_MAX];
	struct oci_digest digest;
	bool right;

	open_image(httpd, httpd->tls_host, "plain/img:1", &image);
	assert_int_equal(read_manifest(&image), 0);
	assert_string_equal(image.media_type, "application/vnd.oci.image.manifest.v1+json");
	assert_int_equal(
		image.origin->ops->document(image.origin, &image.config, &config, type, &image.err),
		0);
	assert_true(oci_digest_matches(&image.config.digest, str_get(&config), config.len));
	assert_int_equal(read_layer(&image, &right), 0);
	assert_true(right);
	assert_int_equal(image.dones, 1);
	assert_int_equal(image.last, image.layer.size);
	assert_int_equal(registry_resolve(image.origin, resolved, &image.err), 0);
	assert_int_equal(oci_digest_parse(resolved, &digest, &image.err), 0);
	assert_true(oci_digest_matches(&digest, str_get(&image.text), image.text.len));
	assert_int_equal(image.warnings, 0);
}

static void loopback_may_do_without_tls_and_says_so(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.origin = NULL};
	bool right;

	open_image(httpd, httpd->host, "plain/img:1", &image);
	assert_int_equal(read_manifest(&image), 0);
	assert_int_equal(read_layer(&image, &right), 0);
	assert_true(right);
	assert_int_equal(image.warnings, 1);
}

static void a_bad_certificate_is_no_reason_for_plain_http(void **state)
{
	struct httpd *httpd = *state;
	struct http_settings settings = httpd->settings;
	cleanup_image image = {.origin = NULL}, insecure = {.options.insecure_tls = true};
	struct http *http, *trusting = httpd->client;

	settings.ca_file = NULL;
	assert_int_equal(http_new(&settings, &http, &image.err), 0);
	httpd->client = http;
	open_image(httpd, httpd->tls_host, "plain/img:1", &image);
	assert_int_equal(read_manifest(&image), -EKEYREJECTED);
	open_image(httpd, httpd->tls_host, "plain/img:1", &insecure);
	assert_int_equal(read_manifest(&insecure), 0);
	httpd->client = trusting;
	oci_origin_free(image.origin);
	oci_origin_free(insecure.origin);
	image.origin = insecure.origin = NULL;
	http_free(http);
}

static void what_is_asked_for_by_digest_has_it(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.origin = NULL}, pinned = {.origin = NULL}, wrong = {.origin = NULL};
	char resolved[OCI_DIGEST_MAX];
	cleanup_free char *good = NULL, *bad = NULL;

	open_image(httpd, httpd->tls_host, "plain/img", &image);
	assert_int_equal(registry_resolve(image.origin, resolved, &image.err), 0);
	good = xasprintf("plain/img:x@%s", resolved);
	bad = xasprintf("othermanifest/img@%s", resolved);
	open_image(httpd, httpd->tls_host, good, &pinned);
	assert_int_equal(read_manifest(&pinned), 0);
	open_image(httpd, httpd->tls_host, bad, &wrong);
	assert_int_equal(read_manifest(&wrong), -EBADMSG);
}

static void documents_that_lie_are_refused(void **state)
{
	static const struct {
		const char *name;
		int code;
	} rows[] = {{"wrongdigest/img", -EBADMSG},
		    {"big/img", -EFBIG},
		    {"absent/img", -ENOENT},
		    {"plain/img:absent", -ENOENT}};
	struct httpd *httpd = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_image image = {.origin = NULL};

		open_image(httpd, httpd->tls_host, rows[i].name, &image);
		if (read_manifest(&image) != rows[i].code)
			fail_msg("%s: %s", rows[i].name, image.err.msg);
	}
}

static void a_digest_nobody_tells_is_computed(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.origin = NULL}, told = {.origin = NULL};
	char computed[OCI_DIGEST_MAX], resolved[OCI_DIGEST_MAX];

	open_image(httpd, httpd->tls_host, "nodigest/img", &image);
	open_image(httpd, httpd->tls_host, "plain/img", &told);
	assert_int_equal(registry_resolve(image.origin, computed, &image.err), 0);
	assert_int_equal(registry_resolve(told.origin, resolved, &told.err), 0);
	assert_string_equal(computed, resolved);
}

static void a_registry_that_wants_time_gets_it(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.origin = NULL};

	open_image(httpd, httpd->tls_host, "limited/img", &image);
	assert_int_equal(read_manifest(&image), 0);
}

static void blobs_that_break_off_go_on(void **state)
{
	static const struct {
		const char *name;
		bool right;
		int code;
	} rows[] = {{"cutblob/img", true, 0},
		    {"cutnorange/img", true, 0},
		    {"elsewhere/img", true, 0},
		    {"changedblob/img", false, 0},
		    {"longblob/img", false, -EBADMSG},
		    {"noblob/img", false, -ENOENT},
		    {"deadblob/img", false, -ECONNRESET}};
	struct httpd *httpd = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_image image = {.origin = NULL};
		bool right;
		int r;

		/* plain http, as one of them is redirected to it */
		open_image(httpd, httpd->host, rows[i].name, &image);
		assert_int_equal(read_manifest(&image), 0);
		r = read_layer(&image, &right);
		if (r != rows[i].code || right != rows[i].right)
			fail_msg("%s: %d: %s", rows[i].name, r, image.err.msg);
	}
	assert_int_equal(httpd_logged(httpd, "/v2/cutblob/img/blobs/"), 2);
	/* of the last one with every try */
	assert_int_equal(httpd_logged(httpd, "bytes=1572864-"), 2 + 4);
}

static void a_reader_may_leave_early(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.origin = NULL};
	struct oci_stream stream = OCI_STREAM_INIT;
	char piece[100];

	open_image(httpd, httpd->tls_host, "plain/img", &image);
	assert_int_equal(read_manifest(&image), 0);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(image.origin->ops->open_blob(image.origin, &image.layer, &stream,
							      &image.err),
				 0);
		if (i % 2)
			assert_true(read(stream.fd, piece, sizeof(piece)) > 0);
		assert_int_equal(
			image.origin->ops->close_blob(image.origin, &stream, false, &image.err), 0);
	}
}

/* --- who we are --- */

static struct credentials *credentials_of(struct httpd *httpd, const char *host, const char *entry)
{
	cleanup_free char *text = xasprintf("{\"auths\":{\"%s\":%s}}", host, entry),
			  *path = xasprintf("%s/auth.json", httpd->dir);
	struct credential_files files = {.authfile = path};
	cleanup_strv struct strv warnings = STRV_INIT;
	struct credentials *credentials;
	struct error err = ERROR_INIT;

	assert_int_equal(file_write(AT_FDCWD, path, text, strlen(text), 0600, &err), 0);
	if (credentials_load(&files, &credentials, &warnings, &err) < 0)
		fail_msg("%s", err.msg);
	return credentials;
}

#define GOOD "{\"auth\":\"dXNlcjpwYXNzOndvcmQ=\"}" /* user:pass:word */
#define BAD  "{\"auth\":\"dXNlcjp3cm9uZw==\"}"	   /* user:wrong */

static void registries_let_in_who_has_the_word(void **state)
{
	static const struct {
		const char *name, *entry;
		int code;
	} rows[] = {{"basic/img", GOOD, 0},
		    {"basic/img", BAD, -EACCES},
		    {"basic/img", "{}", -EACCES},
		    {"token/img", "{}", 0},
		    {"token/img", GOOD, 0},
		    {"token/img", BAD, -EACCES},
		    {"oldtoken/img", "{\"identitytoken\":\"refresh\"}", 0},
		    {"token/img", "{\"identitytoken\":\"refresh\"}", 0},
		    {"token/img", "{\"registrytoken\":\"nonsense\"}", -EACCES},
		    {"badtoken/img", GOOD, -EPROTO},
		    {"cleartoken/img", GOOD, -EPERM}};
	struct httpd *httpd = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct credentials *credentials =
			credentials_of(httpd, httpd->tls_host, rows[i].entry);
		struct image image = {.options.credentials = credentials};
		bool right;
		int r;

		open_image(httpd, httpd->tls_host, rows[i].name, &image);
		r = read_manifest(&image);
		if (r != rows[i].code)
			fail_msg("%s %s: %d: %s", rows[i].name, rows[i].entry, r, image.err.msg);
		if (r == -EACCES)
			assert_non_null(strstr(image.err.msg, "bad HTTP status code: 401"));
		if (r == 0)
			assert_int_equal(read_layer(&image, &right), 0);
		close_image(&image);
		credentials_free(credentials);
	}
	assert_true(httpd_logged(httpd, "scope=repository%3Atoken%2Fimg%3Apull") > 0);
	assert_true(httpd_logged(httpd, "service=the%2C%20service") > 0);
	assert_true(httpd_logged(httpd, "grant_type=refresh_token&refresh_token=refresh") > 0);
}

static void one_token_is_enough_for_an_image(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.origin = NULL};
	unsigned before = httpd_logged(httpd, "GET /token");
	bool right;

	open_image(httpd, httpd->tls_host, "token/img", &image);
	assert_int_equal(read_manifest(&image), 0);
	assert_int_equal(read_layer(&image, &right), 0);
	assert_int_equal(read_layer(&image, &right), 0);
	assert_int_equal(httpd_logged(httpd, "GET /token") - before, 1);
}

static void a_token_that_is_used_up_is_renewed_in_the_middle(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.origin = NULL};
	bool right;

	/* good for two requests: the manifest and the first half of the blob */
	open_image(httpd, httpd->tls_host, "expiring/img", &image);
	assert_int_equal(read_manifest(&image), 0);
	assert_int_equal(read_layer(&image, &right), 0);
	assert_true(right);
}

static void nothing_secret_goes_over_plain_http(void **state)
{
	struct httpd *httpd = *state;
	struct credentials *credentials = credentials_of(httpd, httpd->host, GOOD);
	cleanup_image basic = {.options.credentials = credentials},
		      token = {.options.credentials = credentials};
	const char *seen = "dXNlcjpwYXNzOndvcmQ=";
	unsigned before = httpd_logged(httpd, seen);

	open_image(httpd, httpd->host, "basic/img", &basic);
	assert_int_equal(read_manifest(&basic), -EACCES);
	assert_non_null(strstr(basic.err.msg, "not sent over plain http"));
	/* a token for everybody is no secret */
	open_image(httpd, httpd->host, "token/img", &token);
	assert_int_equal(read_manifest(&token), 0);
	assert_int_equal(httpd_logged(httpd, seen), before);
	credentials_free(credentials);
}

static void where_a_redirect_leads_gets_nothing(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.origin = NULL};
	unsigned tokens = httpd_logged(httpd, "/token");
	bool right;

	open_image(httpd, httpd->host, "elsewhere401/img", &image);
	assert_int_equal(read_manifest(&image), 0);
	assert_int_equal(read_layer(&image, &right), -EACCES);
	assert_false(right);
	assert_null(strstr(image.err.msg, "secret=")); /* of the URL's query */
	assert_int_equal(httpd_logged(httpd, "/token"), tokens);
}

/* --- what is left of a download --- */

static char *partial_name(const struct image *image)
{
	return xasprintf("blob-sha256-%s.part", image->layer.digest.hex);
}

static void put_partial(struct image *image, struct scratch *scratch, bool right, size_t len)
{
	cleanup_free char *name = partial_name(image), *text = xcalloc(len + 1, 1);
	struct error err = ERROR_INIT;

	for (size_t i = 0; right && i < len; i++)
		text[i] = (char)(i % 65536 * 7 + i % 65536 / 251 + 1);
	assert_int_equal(file_write(scratch->fd, name, text, len, 0600, &err), 0);
}

static bool has_partial(struct image *image, struct scratch *scratch, uint64_t *ret_size)
{
	cleanup_free char *name = partial_name(image);
	struct stat st;

	*ret_size = 0;
	if (fstatat(scratch->fd, name, &st, 0) < 0)
		return false;
	*ret_size = (uint64_t)st.st_size;
	return true;
}

static void a_download_that_was_killed_goes_on(void **state)
{
	static const struct {
		size_t len;
		const char *range; /* asked for, or NULL: nothing is */
		bool right;
	} rows[] = {{1000000, "bytes=1000000-", true},
		    {0, " - -", true},
		    {3 << 20, NULL, true},
		    {(3 << 20) + 1, " - -", true},
		    {700000, "bytes=700000-", false}};
	void *temp;
	struct httpd *httpd = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct image image = {.options.partial_min = 1};
		struct scratch *scratch;
		unsigned before;
		uint64_t size;
		bool right;

		assert_int_equal(scratch_setup(&temp), 0);
		scratch = temp;
		image.options.partial = scratch->fd;
		open_image(httpd, httpd->tls_host, "plain/img", &image);
		assert_int_equal(read_manifest(&image), 0);
		put_partial(&image, scratch, rows[i].right, rows[i].len);
		before = httpd_logged(httpd, "/v2/plain/img/blobs/");
		assert_int_equal(read_layer(&image, &right), 0);
		assert_int_equal(right, rows[i].right);
		assert_int_equal(httpd_logged(httpd, "/v2/plain/img/blobs/") - before,
				 rows[i].range != NULL);
		if (rows[i].range && rows[i].len)
			assert_true(httpd_logged(httpd, rows[i].range) > 0);
		/* good or bad, it is of no use any more */
		assert_false(has_partial(&image, scratch, &size));
		close_image(&image);
		assert_int_equal(scratch_teardown(&temp), 0);
	}
}

static void what_a_reader_may_have_refused_does_not_stay(void **state)
{
	static const size_t had[] = {0, 500000};
	struct httpd *httpd = *state;

	for (size_t i = 0; i < ARRAY_SIZE(had); i++) {
		cleanup_image image = {.options.partial_min = 1};
		struct oci_stream stream = OCI_STREAM_INIT;
		struct scratch *scratch;
		char piece[100];
		uint64_t size;
		void *temp;

		assert_int_equal(scratch_setup(&temp), 0);
		scratch = temp;
		image.options.partial = scratch->fd;
		open_image(httpd, httpd->tls_host, "plain/img", &image);
		assert_int_equal(read_manifest(&image), 0);
		if (had[i])
			put_partial(&image, scratch, true, had[i]);
		assert_int_equal(image.origin->ops->open_blob(image.origin, &image.layer, &stream,
							      &image.err),
				 0);
		assert_true(read(stream.fd, piece, sizeof(piece)) > 0);
		assert_int_equal(
			image.origin->ops->close_blob(image.origin, &stream, false, &image.err), 0);
		/* what came from the registry may go on; what came from a file may be bad */
		assert_int_equal(has_partial(&image, scratch, &size), had[i] == 0);
		assert_true(size < image.layer.size);
		assert_int_equal(scratch_teardown(&temp), 0);
	}
}

static void what_the_network_broke_is_kept(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.options.partial_min = 1};
	struct scratch *scratch;
	uint64_t size;
	void *temp;
	bool right;

	assert_int_equal(scratch_setup(&temp), 0);
	scratch = temp;
	image.options.partial = scratch->fd;
	open_image(httpd, httpd->tls_host, "deadblob/img", &image);
	assert_int_equal(read_manifest(&image), 0);
	assert_true(read_layer(&image, &right) < 0);
	assert_true(has_partial(&image, scratch, &size));
	assert_int_equal(size, image.layer.size / 2);
	assert_int_equal(scratch_teardown(&temp), 0);
}

static void a_partial_file_has_one_user(void **state)
{
	struct httpd *httpd = *state;
	cleanup_image image = {.options.partial_min = 1};
	cleanup_free char *name = NULL;
	cleanup_fd int fd = -1;
	struct scratch *scratch;
	uint64_t size;
	void *temp;
	bool right;

	assert_int_equal(scratch_setup(&temp), 0);
	scratch = temp;
	image.options.partial = scratch->fd;
	open_image(httpd, httpd->tls_host, "plain/img", &image);
	assert_int_equal(read_manifest(&image), 0);
	put_partial(&image, scratch, false, 5);
	name = partial_name(&image);
	fd = openat(scratch->fd, name, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(read_layer(&image, &right), 0);
	assert_true(right);
	assert_true(has_partial(&image, scratch, &size));
	assert_int_equal(size, 5);
	assert_int_equal(scratch_teardown(&temp), 0);
}

/* --- mirrors --- */

static void mirrors_are_asked_first_and_may_fail(void **state)
{
	static const char *const kinds[] = {"absent", "plain", "token", "noblob"};
	struct httpd *httpd = *state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct config_registry entry = {.prefix = (char *)httpd->tls_host};
		struct config config = {.registries = &entry, .nregistries = 1};
		struct image image = {.options.config = &config};
		cleanup_free char *mirror = xasprintf("%s/%s/mirror", httpd->tls_host, kinds[i]),
				  *path = xasprintf("/v2/%s/mirror/plain/img/manifests/latest",
						    kinds[i]);
		bool right;

		strv_add(&entry.endpoints, mirror);
		open_image(httpd, httpd->tls_host, "plain/img", &image);
		assert_int_equal(read_manifest(&image), 0);
		assert_true(httpd_logged(httpd, path) > 0);
		assert_int_equal(read_layer(&image, &right), 0);
		assert_true(right);
		assert_int_equal(image.warnings, i == 0 || i == 3);
		close_image(&image);
		strv_free(&entry.endpoints);
	}
}

static void mirrors_have_credentials_of_their_own(void **state)
{
	struct httpd *httpd = *state;
	struct credentials *credentials = credentials_of(httpd, "registry.test", GOOD);
	struct config_registry entry = {.prefix = (char *)"registry.test"};
	struct config config = {.registries = &entry, .nregistries = 1};
	struct image image = {.options = {.config = &config, .credentials = credentials}};
	cleanup_free char *mirror = xasprintf("%s/basic/own", httpd->tls_host);

	strv_add(&entry.endpoints, mirror);
	open_image(httpd, "registry.test", "img", &image);
	/* the mirror refuses us, and the registry itself does not exist */
	assert_int_equal(read_manifest(&image), -ENOENT);
	assert_int_equal(image.warnings, 1);
	assert_int_equal(httpd_logged(httpd, "/v2/basic/own/img/manifests/latest - -"), 1);
	assert_int_equal(httpd_logged(httpd, "/v2/basic/own/img/"), 1);
	close_image(&image);
	strv_free(&entry.endpoints);
	credentials_free(credentials);
}

static void a_blocked_registry_is_not_asked(void **state)
{
	struct httpd *httpd = *state;
	struct config_registry entry = {.prefix = (char *)httpd->tls_host, .blocked = true};
	struct config config = {.registries = &entry, .nregistries = 1};
	struct registry_options options = {.http = httpd->client, .config = &config, .partial = -1};
	cleanup_free char *text = xasprintf("%s/blocked/img", httpd->tls_host);
	struct error err = ERROR_INIT;
	struct oci_origin *origin;
	struct dockerref ref;

	assert_int_equal(dockerref_parse(text, &ref, &err), 0);
	assert_int_equal(registry_open(&options, &ref, &origin, &err), -EPERM);
	assert_int_equal(httpd_logged(httpd, "blocked/img"), 0);
}

/* Nothing leaves this machine: a proxy that refuses is asked for the place. */
static void names_without_a_host_are_the_hubs(void **state)
{
	struct httpd *httpd = *state;
	struct http_settings settings = httpd->settings;
	struct http *proxied, *direct = httpd->client;
	cleanup_image image = {.origin = NULL};

	settings.https_proxy = httpd->other;
	settings.tries = 1;
	assert_int_equal(http_new(&settings, &proxied, &image.err), 0);
	httpd->client = proxied;
	open_image(httpd, DOCKER_HUB, "redis", &image);
	assert_true(read_manifest(&image) < 0);
	httpd->client = direct;
	assert_int_equal(httpd_logged(httpd, "CONNECT " DOCKER_HUB_ENDPOINT ":443 - -"), 1);
	assert_non_null(strstr(image.err.msg, "https://" DOCKER_HUB_ENDPOINT
					      "/v2/library/redis/manifests/latest"));
	oci_origin_free(image.origin);
	image.origin = NULL;
	http_free(proxied);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_is_read_without_being_asked_who_we_are),
		cmocka_unit_test(loopback_may_do_without_tls_and_says_so),
		cmocka_unit_test(a_bad_certificate_is_no_reason_for_plain_http),
		cmocka_unit_test(what_is_asked_for_by_digest_has_it),
		cmocka_unit_test(documents_that_lie_are_refused),
		cmocka_unit_test(a_digest_nobody_tells_is_computed),
		cmocka_unit_test(a_registry_that_wants_time_gets_it),
		cmocka_unit_test(blobs_that_break_off_go_on),
		cmocka_unit_test(a_reader_may_leave_early),
		cmocka_unit_test(registries_let_in_who_has_the_word),
		cmocka_unit_test(one_token_is_enough_for_an_image),
		cmocka_unit_test(a_token_that_is_used_up_is_renewed_in_the_middle),
		cmocka_unit_test(nothing_secret_goes_over_plain_http),
		cmocka_unit_test(where_a_redirect_leads_gets_nothing),
		cmocka_unit_test(a_download_that_was_killed_goes_on),
		cmocka_unit_test(what_a_reader_may_have_refused_does_not_stay),
		cmocka_unit_test(what_the_network_broke_is_kept),
		cmocka_unit_test(a_partial_file_has_one_user),
		cmocka_unit_test(mirrors_are_asked_first_and_may_fail),
		cmocka_unit_test(mirrors_have_credentials_of_their_own),
		cmocka_unit_test(a_blocked_registry_is_not_asked),
		cmocka_unit_test(names_without_a_host_are_the_hubs),
	};

	return cmocka_run_group_tests(tests, httpd_setup, httpd_teardown);
}
