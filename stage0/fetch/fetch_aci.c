/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ACI, from a file or a URL, into the store.
 *
 * Theory of operation: the signature is there before the image; its issuer is looked at before
 * anything is loaded. Then every byte goes by once: to the store, which stages the image, to the
 * verifier, and, from a server that says what its bytes are of, to a file from which a download that
 * is cut short goes on the next time (unfinished.h). Only when verifier, manifest and request agree is
 * the image committed. A server that wants to give the signature after the image (202) gets its way:
 * then the bytes are kept back in that file, and go by after the signature came.
 *
 * A URL is locked while something is loaded from it, so of several processes one loads and the
 * others find what it got.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "stage0/fetch/fetch_priv.h"
#include "stage0/fetch/unfinished.h"
#include "stage0/fetch/pump.h"
#include "stage0/fetch/registry.h"
#include "stage0/fetch/web_auth.h"

#define ACI_MAX		 REGISTRY_BLOB_MAX
#define READ_CHUNK	 (64 * 1024)
#define MODIFIED_SETTLED 60 /* seconds, for clocks that differ */
#define RESTARTS_MAX	 3  /* of a whole download, where a server can not go on */
#define TRIES_MAX	 5  /* requests for one image, each of several tries of its own */

static const char *manifest_name(struct store_staged *staged)
{
	struct json_object *name = NULL;

	json_object_object_get_ex(store_staged_manifest(staged), "name", &name);
	return json_object_get_string(name); /* a checked manifest has one */
}

/* The last look at what was staged, then it is an image of the store. */
static int accept_staged(struct fetch *fetch, struct store_staged *staged, struct trial *trial,
			 const struct imageref *wanted, char ret_key[IMAGE_KEY_LEN + 1],
			 struct error *err)
{
	struct store_import_info info = {.latest = wanted && !imageref_label(wanted, "version")};
	int r = 0;

	if (trial->wanted)
		r = trial_decide(fetch, trial, manifest_name(staged), err);
	if (r == 0 && wanted)
		r = fetch_check_wanted(wanted, store_staged_manifest(staged), err);
	if (r == 0)
		r = store_staged_commit(staged, &info, err);
	if (r < 0)
		return r;
	if (!trial->wanted)
		fetch_tell_unverified(fetch);
	memcpy(ret_key, store_staged_key(staged), IMAGE_KEY_LEN + 1);
	return 0;
}

static int read_signature(const char *path, char **ret, size_t *ret_len, struct error *err)
{
	int r = file_read(AT_FDCWD, path, SIGNATURE_FILE_MAX, ret, ret_len, err);

	return r < 0 ? error_wrap(err, "error opening signature file") : 0;
}

/* X.aci.asc for X.aci. */
static char *signature_path(const char *path)
{
	return xasprintf("%s.asc", path);
}

static int pump_file(struct pump *pump, int fd, const char *path, struct error *err)
{
	cleanup_free char *chunk = xcalloc(1, READ_CHUNK);

	for (;;) {
		ssize_t n = read(fd, chunk, READ_CHUNK);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "%s", path);
		if (n == 0)
			return 0;
		r = pump_write(pump, chunk, (size_t)n, err);
		if (r < 0)
			return r;
	}
}

/*
 * The store refused the image before it had read all. If that is because the file was changed after
 * it was signed, that is what the user should hear: the verifier gets the rest of it.
 */
static void explain_refusal(struct trial *trial, int fd, const char *path, struct error *err)
{
	cleanup_free char *chunk = xcalloc(1, READ_CHUNK);
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	struct error why = ERROR_INIT;
	struct stat st;
	ssize_t n = 0;
	int r = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 0 : -EINVAL;

	while (r == 0 && (n = read(fd, chunk, READ_CHUNK)) > 0)
		r = verify_write(trial->verify, chunk, (size_t)n, &why);
	if (r == 0 && n == 0 && verify_finish(trial->verify, signers, &why) == 0 &&
	    signers_check_bytes(signers, &why) < 0)
		error_set(err, why.code, "%s: %s", path, why.msg);
}

static int fetch_signed_file(struct fetch *fetch, int fd, const char *path, const char *signature,
			     char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_free char *beside = signature ? NULL : signature_path(path), *bytes = NULL;
	cleanup_staged struct store_staged *staged = NULL;
	cleanup_trial struct trial trial = {.wanted = true};
	cleanup_pump struct pump *pump = NULL;
	size_t len;
	int r = read_signature(signature ? signature : beside, &bytes, &len, err);

	if (r == 0)
		r = trial_begin(fetch, &trial, NULL, bytes, len, err);
	if (r < 0)
		return error_wrap(err, "%s", path);
	pump = pump_new(fetch->store, path, trial.verify);
	r = pump_file(pump, fd, path, err);
	if (r == 0)
		r = pump_finish(pump, &staged, err);
	if (r < 0) {
		explain_refusal(&trial, fd, path, err);
		return err->code;
	}
	r = accept_staged(fetch, staged, &trial, NULL, ret_key, err);
	return r < 0 ? error_wrap(err, "%s", path) : 0;
}

int fetch_aci_file(struct fetch *fetch, const char *path, const char *signature,
		   char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "%s", path);
	if (S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "%s: is a directory", path);
	fetch_debug(fetch, "image: using image from file %s", path);
	if (fetch_needs_trust(fetch))
		return fetch_signed_file(fetch, fd, path, signature, ret_key, err);
	fetch_tell_unverified(fetch);
	return store_import_aci(fetch->store, fd, path, ret_key, err);
}

/* A download under way. */
struct download {
	struct fetch *fetch;
	const struct aci_source *source;
	struct pump *pump; /* NULL: the bytes are kept back */
	struct unfinished unfinished;
	bool keep;     /* they go to the partial file, too */
	bool answered; /* with an image */
	bool broken;   /* what came is no good, nobody should go on with it */
	bool again;    /* it changed: start over */
	uint64_t position, total;
};

/*
 * A date of the last change tells contents apart if nothing can have changed again within its second
 * (RFC 9110, 8.8.2.2).
 */
static bool is_settled(const char *modified, const char *date)
{
	time_t then = curl_getdate(modified, NULL), now = date ? curl_getdate(date, NULL) : -1;

	return then >= 0 && now >= 0 && now - then >= MODIFIED_SETTLED;
}

/* What says that bytes loaded later are of the same content. */
static const char *validator_of(const struct http_response *response)
{
	const char *etag = http_header(response, "etag", 0);
	const char *modified = http_header(response, "last-modified", 0);

	if (etag)
		return etag[0] == '"' ? etag : "";
	return modified && is_settled(modified, http_header(response, "date", 0)) ? modified : "";
}

static int feed_pump(void *arg, const void *bytes, size_t len, struct error *err)
{
	struct download *d = arg;
	int r = pump_write(d->pump, bytes, len, err);

	if (r < 0)
		d->broken = true;
	return r;
}

/* From the beginning: is it worth keeping? */
static int begin_whole(struct download *d, const struct http_response *response, struct error *err)
{
	const char *validator = validator_of(response);
	bool long_enough =
		response->content_length < 0 || response->content_length >= UNFINISHED_MIN;

	d->keep = !d->pump || (*validator && long_enough);
	return unfinished_begin(&d->unfinished, d->keep ? validator : "", err);
}

static int on_begin(void *arg, const struct http_response *response, uint64_t offset,
		    struct error *err)
{
	struct download *d = arg;
	int r = 0;

	d->answered = true;
	if (d->position > 0 && offset != d->position) {
		/* what went by can not be taken back */
		d->again = true;
		return error_set(err, -ESTALE, "%s: changed while it was loaded", d->source->url);
	}
	if (offset == 0) {
		r = begin_whole(d, response, err);
	} else if (d->position == 0) {
		fetch_debug(d->fetch, "image: going on with %s at byte %llu", d->source->url,
			    (unsigned long long)offset);
		d->keep = true;
		if (d->pump)
			r = unfinished_replay(&d->unfinished, feed_pump, d, err);
	}
	if (r < 0)
		return r;
	d->position = offset;
	d->total = response->content_length >= 0 ? offset + (uint64_t)response->content_length : 0;
	fetch_progress(d->fetch, d->source->url, d->position, d->total, false);
	return 0;
}

static int on_data(void *arg, const void *bytes, size_t len, struct error *err)
{
	struct download *d = arg;
	struct error why = ERROR_INIT;
	int r = d->keep ? unfinished_write(&d->unfinished, bytes, len, &why) : 0;

	if (r < 0 && !d->pump) {
		*err = why;
		return r;
	}
	if (r < 0) { /* no room: then it can not be continued, that is all */
		d->keep = false;
		unfinished_begin(&d->unfinished, "", &why);
	}
	r = d->pump ? feed_pump(d, bytes, len, err) : 0;
	if (r < 0)
		return r;
	d->position += len;
	fetch_progress(d->fetch, d->source->url, d->position, d->total, false);
	return 0;
}

/* One request for the image. Sets d->again when it is to be made once more, from the beginning. */
static int request_image(struct download *d, const char *etag, struct http_response *response,
			 struct error *err)
{
	cleanup_web_auth struct web_auth auth = WEB_AUTH_INIT;
	struct http_request request = {
		.url = d->source->url,
		.if_none_match = etag,
		.body_max = ACI_MAX,
		.offset = d->unfinished.size,
		.if_range = d->unfinished.validator,
		.sink = {on_begin, on_data, d},
	};
	struct http *http = NULL;
	int r = fetch_http(d->fetch, &http, err);

	if (r == 0)
		r = web_auth_for(d->fetch->opt.config, request.url, "GET", time(NULL), &auth, err);
	if (r < 0)
		return r;
	request.authorization = auth.authorization;
	request.headers = (const char *const *)auth.headers.v;
	r = http_perform(http, &request, response, err);
	if (d->answered)
		fetch_progress(d->fetch, request.url, d->position, d->total, true);
	d->again = d->again || r == -ESTALE;
	if (r < 0)
		return r;
	d->again = response->status == 416 && request.offset > 0;
	if (response->status == 200 || response->status == 206 ||
	    (response->status == 304 && etag)) {
		d->answered = true;
		return 0;
	}
	r = http_status_error(response, err);
	if (response->authorization_withheld)
		error_wrap(err, "no credentials are sent over plain http");
	return r;
}

/*
 * Where the server starts over although bytes went by, ask once more for what is missing; where what
 * was left of an earlier download is of no use, begin anew.
 */
static int load_image(struct download *d, const char *etag, struct http_response *response,
		      struct error *err)
{
	for (unsigned tries = 1;; tries++) {
		struct error why = ERROR_INIT;
		bool goes_on;
		int r;

		d->again = false;
		r = request_image(d, etag, response, &why);
		goes_on = d->keep && *d->unfinished.validator && d->unfinished.size == d->position;
		if (r == 0 || !d->again || tries >= TRIES_MAX || (d->position > 0 && !goes_on)) {
			if (r < 0)
				*err = why;
			return r;
		}
		http_response_free(response);
		if (d->position > 0)
			continue;
		r = unfinished_begin(&d->unfinished, "", err);
		if (r < 0)
			return r;
	}
}

/* The signature's bytes from where the source says. *ret_deferred: after the image. */
static int get_signature(struct fetch *fetch, const struct aci_source *source, struct str *ret,
			 bool *ret_deferred, struct error *err)
{
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_free char *bytes = NULL;
	size_t len;
	int r;

	*ret_deferred = false;
	if (source->signature_file) {
		r = read_signature(source->signature_file, &bytes, &len, err);
		if (r == 0)
			str_addn(ret, bytes, len);
		return r;
	}
	fetch_debug(fetch, "image: downloading signature from %s", source->signature_url);
	r = fetch_document(fetch, source->signature_url, SIGNATURE_FILE_MAX, &response, ret, err);
	if (r == 0 && response.status == 202) {
		*ret_deferred = true;
		return 0;
	}
	if (r == 0 && response.status != 200)
		r = http_status_error(&response, err);
	return r < 0 ? error_wrap(err, "error downloading the signature file") : 0;
}

static int begin_trial(struct fetch *fetch, const struct aci_source *source, struct trial *trial,
		       bool may_wait, bool *ret_deferred, struct error *err)
{
	cleanup_str struct str signature = STR_INIT;
	int r = get_signature(fetch, source, &signature, ret_deferred, err);

	if (r < 0)
		return r;
	if (*ret_deferred && may_wait)
		return 0;
	if (*ret_deferred)
		return error_set(err, -EPROTO,
				 "error downloading the signature file: %s: the server defers it "
				 "(202) although the image was loaded",
				 source->signature_url);
	return trial_begin(fetch, trial, source->wanted ? source->wanted->path : NULL,
			   str_get(&signature), signature.len, err);
}

/* The image was kept back; now that there is a signature its bytes go by. */
static int release_image(struct download *d, struct trial *trial, struct error *err)
{
	bool deferred;
	int r = begin_trial(d->fetch, d->source, trial, false, &deferred, err);

	if (r < 0)
		return r;
	d->pump = pump_new(d->fetch->store, d->source->url, trial->verify);
	return unfinished_replay(&d->unfinished, feed_pump, d, err);
}

static int remember(struct fetch *fetch, const struct aci_source *source,
		    const struct http_response *response, const struct store_remote *old,
		    const char *key, struct error *err)
{
	const char *etag = http_header(response, "etag", 0);
	struct store_remote remote = {
		.signature_url = (char *)source->signature_url,
		.etag = (char *)etag,
		.max_age = MAX(response->max_age, 0),
		.time = time(NULL),
	};

	if (response->status == 304 && !etag)
		remote.etag = old->etag;
	memcpy(remote.key, key, sizeof(remote.key));
	return store_remote_put(fetch->store, source->url, &remote, err);
}

/* The image the store has of the URL: is it the one that is wanted? */
static int use_stored(struct fetch *fetch, const struct aci_source *source,
		      const struct store_remote *remote, char ret_key[IMAGE_KEY_LEN + 1],
		      struct error *err)
{
	cleanup_json struct json_object *manifest = NULL;
	int r = store_manifest(fetch->store, remote->key, &manifest, err);

	if (r == 0 && source->wanted)
		r = fetch_check_wanted(source->wanted, manifest, err);
	if (r < 0)
		return r;
	store_image_used(fetch->store, remote->key);
	memcpy(ret_key, remote->key, IMAGE_KEY_LEN + 1);
	return 0;
}

static int download(struct download *d, const struct store_remote *remote, struct trial *trial,
		    char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_staged struct store_staged *staged = NULL;
	struct fetch *fetch = d->fetch;
	bool deferred = false;
	int r = 0;

	trial->wanted = fetch_needs_trust(fetch);
	if (trial->wanted)
		r = begin_trial(fetch, d->source, trial, true, &deferred, err);
	if (r < 0)
		return r;
	if (deferred)
		fetch_info(fetch, "image: server requested deferring the signature download");
	else
		d->pump = pump_new(fetch->store, d->source->url, trial->verify);
	r = load_image(d, remote->etag, &response, err);
	if (r < 0)
		return r;
	if (response.status == 304) {
		fetch_debug(fetch, "image: %s has not changed, using image from local store",
			    d->source->url);
		r = use_stored(fetch, d->source, remote, ret_key, err);
		return r < 0 ? r : remember(fetch, d->source, &response, remote, ret_key, err);
	}
	d->broken = true; /* until it turns out to be good */
	if (deferred)
		r = release_image(d, trial, err);
	if (r == 0)
		r = pump_finish(d->pump, &staged, err);
	if (r == 0)
		r = accept_staged(fetch, staged, trial, d->source->wanted, ret_key, err);
	return r < 0 ? r : remember(fetch, d->source, &response, remote, ret_key, err);
}

/* As if nothing had come yet: what went by is another content, or can not be gone on with. */
static int start_over(struct download *d, struct trial *trial, struct error *err)
{
	pump_free(take_ptr(d->pump));
	trial_end(trial);
	d->again = d->keep = false;
	d->position = d->total = 0;
	return unfinished_begin(&d->unfinished, "", err);
}

static int download_locked(struct fetch *fetch, const struct aci_source *source,
			   const struct store_remote *remote, bool *ret_answered,
			   char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	struct download d = {.fetch = fetch, .source = source, .unfinished = UNFINISHED_INIT};
	cleanup_fd int dir = store_open_partial(fetch->store, err);
	cleanup_trial struct trial trial = TRIAL_INIT;
	int r;

	if (dir < 0)
		return dir;
	r = unfinished_open(dir, source->url, &d.unfinished, err);
	if (r < 0)
		return r;
	fetch_debug(fetch, "image: remote fetching from URL \"%s\"", source->url);
	fetch_info(fetch, "image: fetching image from %s", source->url);
	for (unsigned tries = 1;; tries++) {
		struct error why = ERROR_INIT;

		r = download(&d, remote, &trial, ret_key, &why);
		if (r == 0 || !d.again || d.broken || tries >= RESTARTS_MAX) {
			if (r < 0)
				*err = why;
			break;
		}
		fetch_debug(fetch, "image: %s; starting over", why.msg);
		r = start_over(&d, &trial, err);
		if (r < 0)
			break;
	}
	*ret_answered = d.answered;
	pump_free(d.pump);
	if (r == 0 || d.broken)
		unfinished_drop(&d.unfinished);
	unfinished_close(&d.unfinished);
	return r;
}

static bool is_fresh(const struct store_remote *remote)
{
	int64_t age = time(NULL) - remote->time;

	return age >= 0 && age < remote->max_age;
}

static int fetch_locked(struct fetch *fetch, const struct aci_source *source, bool waited,
			int64_t asked, bool *ret_answered, char ret_key[IMAGE_KEY_LEN + 1],
			struct error *err)
{
	cleanup(store_remote_free) struct store_remote remote = {.max_age = 0};
	struct error ignored = ERROR_INIT;
	bool known = store_remote_get(fetch->store, source->url, &remote, &ignored) == 0;

	if (known && is_fresh(&remote))
		fetch_debug(fetch, "image: image for %s isn't expired, not fetching.", source->url);
	else if (known && (source->any || (waited && remote.time >= asked)))
		fetch_debug(fetch, "image: using image from local store for url %s", source->url);
	else
		return download_locked(fetch, source, &remote, ret_answered, ret_key, err);
	*ret_answered = true;
	return use_stored(fetch, source, &remote, ret_key, err);
}

int fetch_aci_url(struct fetch *fetch, const struct aci_source *source, bool *ret_answered,
		  char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	int64_t asked = time(NULL);
	bool waited = false;
	int lock, r;

	*ret_answered = false;
	lock = store_lock_url(fetch->store, source->url, &waited, err);
	if (lock < 0)
		return lock;
	r = fetch_locked(fetch, source, waited, asked, ret_answered, ret_key, err);
	store_unlock_url(fetch->store, source->url, &lock);
	return r;
}
