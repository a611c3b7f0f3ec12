/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image policy (docs/trust.md): rules for beginnings of names, of which the longest decides.
 *
 * A rule lists ways in which somebody vouches for an image. Each way is tried on each document from
 * what the reference named down to the manifest: since an index names its manifests by digest, a
 * word about the index is a word about them.
 *
 * What a rule says is read strictly: an unknown member is an error, because a rule that is not
 * understood might accept more than was meant.
 */
#include "stage0/trust/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "common/util.h"
#include "stage0/config_priv.h"
#include "stage0/image/oci_doc.h"
#include "stage0/trust/rules.h"
#include "stage0/trust/verify.h"

#define POLICY_RULES_MAX 4096
#define POLICY_WAYS_MAX	 16 /* signature templates of a rule: each is a file or a request */
#define TEMPLATE_MAX	 4096
#define EVERYTHING	 "*"

struct rule {
	char *prefix; /* "*": every name */
	struct strv digests;
	struct strv signatures; /* templates */
};

struct policy {
	struct rule *rule;
	size_t n;
};

static void rule_free(struct rule *rule)
{
	free(rule->prefix);
	strv_free(&rule->digests);
	strv_free(&rule->signatures);
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->n; i++)
		rule_free(&policy->rule[i]);
	free(policy->rule);
	free(policy);
}

static void strv_copy(struct strv *dst, const struct strv *src)
{
	for (size_t i = 0; i < src->n; i++)
		strv_add(dst, src->v[i]);
}

static struct rule *find_exactly(const struct policy *policy, const char *prefix)
{
	for (size_t i = 0; i < policy->n; i++)
		if (strcmp(policy->rule[i].prefix, prefix) == 0)
			return &policy->rule[i];
	return NULL;
}

/* "oci:" and an absolute path in the form it has when nothing is odd about it. */
static bool is_local(const char *prefix)
{
	static const char *const kinds[] = {"oci:", "oci-archive:", "docker-archive:"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *path = prefix + strlen(kinds[i]);

		if (!str_starts_with(prefix, kinds[i]))
			continue;
		return path[0] == '/' && !strstr(path, "//") && !strstr(path, "/../") &&
		       !strstr(path, "/./") && !str_ends_with(path, "/..") &&
		       !str_ends_with(path, "/.") && !(path[1] && str_ends_with(path, "/"));
	}
	return false;
}

/* The strings of obj[key]: at least min, each of which check likes. */
static int read_strings(struct json_object *obj, const char *key, size_t min,
			int (*check)(const char *text, struct error *err), struct strv *ret,
			struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(obj, key, &list, err);
	size_t n;

	if (r < 0)
		return r;
	n = list ? json_object_array_length(list) : 0;
	if (n < min || n > POLICY_RULES_MAX)
		return error_set(err, -EINVAL, "%s: has %zu entries", key, n);
	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);

		if (!json_object_is_type(item, json_type_string))
			return error_set(err, -EINVAL, "%s: entry %zu is no string", key, i + 1);
		r = check(json_object_get_string(item), err);
		if (r < 0)
			return error_wrap(err, "%s", key);
		strv_add(ret, json_object_get_string(item));
	}
	return 0;
}

static int check_prefix(const char *text, struct error *err)
{
	if (strcmp(text, EVERYTHING) == 0 || is_local(text) || keystore_name_is_valid(text))
		return 0;
	return error_set(err, -EINVAL, "\"%s\" is no beginning of image names", text);
}

static int check_digest(const char *text, struct error *err)
{
	struct oci_digest digest;

	return oci_digest_parse(text, &digest, err);
}

/* A way is an object with one member. */
static int read_way(struct json_object *way, struct rule *rule, struct error *err)
{
	const char *template = NULL;
	int r;

	if (!json_object_is_type(way, json_type_object) || json_object_object_length(way) != 1)
		return error_set(err, -EINVAL, "is no object with one member");
	if (json_object_object_get_ex(way, "digests", NULL))
		return read_strings(way, "digests", 1, check_digest, &rule->digests, err);
	r = json_get_string(way, "signature", &template, err);
	if (r < 0)
		return r;
	if (!template)
		return error_set(err, -EINVAL, "is neither \"digests\" nor \"signature\"");
	if (strlen(template) > TEMPLATE_MAX ||
	    (template[0] != '/' && !str_starts_with(template, "https://")))
		return error_set(err, -EINVAL,
				 "signature: \"%s\" is neither an absolute path nor "
				 "an https URL",
				 template);
	if (!strstr(template, "{digest}") && !strstr(template, "{hex}"))
		return error_set(err, -EINVAL,
				 "signature: \"%s\" is the same for every image: {digest} or {hex} "
				 "is missing",
				 template);
	if (rule->signatures.n == POLICY_WAYS_MAX)
		return error_set(err, -E2BIG, "more than %d signatures", POLICY_WAYS_MAX);
	strv_add(&rule->signatures, template);
	return 0;
}

static int read_rule(struct json_object *doc, struct strv *prefixes, struct rule *rule,
		     struct error *err)
{
	static const char *const known[] = {"images", "accept", NULL};
	struct json_object *accept = NULL;
	int r = rules_members(doc, known, err);

	if (r == 0)
		r = read_strings(doc, "images", 1, check_prefix, prefixes, err);
	if (r == 0)
		r = json_get_array(doc, "accept", &accept, err);
	if (r == 0 && !accept)
		r = error_set(err, -EINVAL, "accept is missing; an empty list rejects");
	for (size_t i = 0; r == 0 && i < json_object_array_length(accept); i++) {
		r = read_way(json_object_array_get_idx(accept, i), rule, err);
		if (r < 0)
			return error_wrap(err, "accept: entry %zu", i + 1);
	}
	return r;
}

/* What one directory says; the same beginning twice is an error. */
static int read_document(void *arg, struct json_object *doc, struct error *err)
{
	struct policy *policy = arg;
	cleanup_strv struct strv prefixes = STRV_INIT;
	struct rule rule = {.prefix = NULL};
	bool mine;
	int r = rules_kind(doc, POLICY_KIND_IMAGE, &mine, err);

	if (r < 0 || !mine)
		return r;
	r = read_rule(doc, &prefixes, &rule, err);

	for (size_t i = 0; r == 0 && i < prefixes.n; i++) {
		struct rule *new;

		if (find_exactly(policy, prefixes.v[i])) {
			r = error_set(err, -EEXIST, "there is a rule for \"%s\" already",
				      prefixes.v[i]);
		} else if (policy->n == POLICY_RULES_MAX) {
			r = error_set(err, -E2BIG, "more than %d rules", POLICY_RULES_MAX);
		} else {
			new = list_grow(policy->rule, policy->n);
			new->prefix = xstrdup(prefixes.v[i]);
			strv_copy(&new->digests, &rule.digests);
			strv_copy(&new->signatures, &rule.signatures);
		}
	}
	rule_free(&rule);
	return r;
}

/* Lay the rules of a later directory over policy. */
static void merge(struct policy *policy, struct policy *with)
{
	for (size_t i = 0; i < with->n; i++) {
		struct rule *slot = find_exactly(policy, with->rule[i].prefix);

		if (slot)
			rule_free(slot);
		else
			slot = list_grow(policy->rule, policy->n);
		*slot = with->rule[i];
	}
	with->n = 0;
}

int policy_load(const struct config_dirs *dirs, struct policy **ret, struct error *err)
{
	const char *const tops[] = {dirs->system, dirs->local, dirs->user};
	cleanup_policy struct policy *policy = xcalloc(1, sizeof(*policy));

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		cleanup_policy struct policy *one = xcalloc(1, sizeof(*one));
		int r;

		if (!tops[i] || !tops[i][0])
			continue;
		r = config_each_document(tops[i], POLICY_DIR, read_document, one, err);
		if (r < 0)
			return r;
		merge(policy, one);
	}
	*ret = take_ptr(policy);
	return 0;
}

/* How much of name the prefix is: 0 for nothing, more is better. */
static size_t covered(const char *prefix, const char *name)
{
	size_t len = strlen(prefix);

	if (strcmp(prefix, EVERYTHING) == 0)
		return 1;
	if (strncmp(prefix, name, len) != 0)
		return 0;
	/* the one prefix that ends in a slash is the root directory, of local images */
	return name[len] == '\0' || name[len] == '/' || prefix[len - 1] == '/' ? len + 1 : 0;
}

static const struct rule *find_rule(const struct policy *policy, const char *name)
{
	const struct rule *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < policy->n; i++) {
		size_t n = covered(policy->rule[i].prefix, name);

		if (n > most) {
			most = n;
			best = &policy->rule[i];
		}
	}
	return best;
}

bool policy_covers(const struct policy *policy, const char *name)
{
	return find_rule(policy, name) != NULL;
}

/* A template with its variables put in. NULL: {name} where there is none. */
static char *fill(const char *template, const char *name, const char *digest)
{
	const char *hex = strchr(digest, ':') + 1;
	cleanup_free char *algorithm = xstrndup(digest, (size_t)(hex - 1 - digest));
	const struct {
		const char *variable, *value;
	} variables[] = {
		{"{name}", name}, {"{digest}", digest}, {"{hex}", hex}, {"{algorithm}", algorithm}};
	cleanup_str struct str text = STR_INIT;

	while (*template) {
		size_t k = 0;

		while (k < ARRAY_SIZE(variables) &&
		       !str_starts_with(template, variables[k].variable))
			k++;
		if (k == ARRAY_SIZE(variables)) {
			str_addn(&text, template ++, 1);
			continue;
		}
		if (!variables[k].value)
			return NULL;
		str_add(&text, variables[k].value);
		template += strlen(variables[k].variable);
	}
	return str_take(&text);
}

static int load_signature(const struct policy_context *context, const char *location, char **ret,
			  size_t *ret_len, struct error *err)
{
	if (location[0] == '/')
		return file_read(AT_FDCWD, location, SIGNATURE_FILE_MAX, ret, ret_len, err);
	if (!context->download)
		return error_set(err, -ENOENT, "%s: not downloaded", location);
	return context->download(context->download_ctx, location, SIGNATURE_FILE_MAX, ret, ret_len,
				 err);
}

/* Does a signature at location vouch for the document? */
static int check_signature(const struct policy_context *context, const char *name,
			   const char *location, const struct policy_document *document,
			   struct strv *ret_lines, struct error *err)
{
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	cleanup_keyring struct keyring *keys = NULL;
	cleanup_free char *bytes = NULL, *warning = NULL;
	const struct signer *signer;
	size_t len;
	int r = load_signature(context, location, &bytes, &len, err);

	if (r == 0)
		r = keyring_load(context->dirs, name, &keys, err);
	if (r == 0)
		r = verify_bytes(keys, bytes, len, document->bytes, document->len, signers, err);
	if (r == 0)
		r = signers_decide(signers, keys, name, &signer, &warning, err);
	if (r < 0)
		return r;
	if (warning)
		strv_add(ret_lines, warning);
	signer_describe(signer, ret_lines);
	return 0;
}

/* Keep the reasons of what was tried in one line. */
static void add_reason(struct str *reasons, const char *reason)
{
	str_addf(reasons, "%s%s", reasons->len ? "; " : "", reason);
}

static bool accept_document(const struct rule *rule, const struct policy_context *context,
			    const char *name, const struct policy_document *document,
			    struct strv *ret_lines, struct str *reasons)
{
	bool local = is_local(name);

	if (strv_contains(&rule->digests, document->digest)) {
		strv_add_owned(ret_lines, xasprintf("%s is accepted by the image policy for \"%s\"",
						    document->digest, rule->prefix));
		return true;
	}
	if (rule->digests.n > 0) {
		cleanup_free char *reason = xasprintf("%s is not listed", document->digest);

		add_reason(reasons, reason);
	}
	for (size_t i = 0; i < rule->signatures.n; i++) {
		cleanup_free char *location =
			fill(rule->signatures.v[i], local ? NULL : name, document->digest);
		struct error why = ERROR_INIT;

		if (!location)
			error_set(&why, -EINVAL, "%s: a local image has no {name}",
				  rule->signatures.v[i]);
		else if (check_signature(context, local ? "" : name, location, document, ret_lines,
					 &why) == 0)
			return true;
		add_reason(reasons, why.msg);
	}
	return false;
}

/* The bytes are what their digest says, whoever looked at them before. */
static int check_documents(const struct policy_image *image, struct error *err)
{
	for (size_t i = 0; i < image->ndocuments; i++) {
		const struct policy_document *document = &image->documents[i];
		struct oci_digest digest;
		int r = oci_digest_parse(document->digest, &digest, err);

		if (r < 0)
			return r;
		if (!oci_digest_matches(&digest, document->bytes, document->len))
			return error_set(err, -EBADMSG, "%s: the document is not %s", image->name,
					 document->digest);
	}
	return 0;
}

int policy_check(const struct policy *policy, const struct policy_context *context,
		 const struct policy_image *image, struct strv *ret_lines, struct error *err)
{
	const struct rule *rule = find_rule(policy, image->name);
	cleanup_str struct str reasons = STR_INIT;
	int r = check_documents(image, err);

	if (r < 0)
		return r;
	if (!rule)
		return error_set(err, -EACCES,
				 "%s: images of registries and layouts carry no signature, and no "
				 "image policy covers this one (--insecure-options=image takes it "
				 "all the same)",
				 image->name);
	for (size_t i = 0; i < image->ndocuments; i++)
		if (accept_document(rule, context, image->name, &image->documents[i], ret_lines,
				    &reasons))
			return 0;
	return error_set(err, -EACCES, "%s: the image policy for \"%s\" rejects it%s%s",
			 image->name, rule->prefix, reasons.len ? ": " : "", str_get(&reasons));
}
