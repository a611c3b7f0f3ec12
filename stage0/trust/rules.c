/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/trust/rules.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "stage0/config_priv.h"

int rules_kind(struct json_object *doc, const char *kind, bool *ret, struct error *err)
{
	const char *is = NULL, *version = NULL;
	int r;

	if (!json_object_is_type(doc, json_type_object))
		return error_set(err, -EINVAL, "is no JSON object");
	r = json_get_string(doc, "rktKind", &is, err);
	if (r == 0)
		r = json_get_string(doc, "rktVersion", &version, err);
	if (r < 0)
		return r;
	if (!is || (strcmp(is, POLICY_KIND_IMAGE) != 0 && strcmp(is, POLICY_KIND_SIGNATURE) != 0))
		return error_set(err, -EINVAL, "rktKind is neither %s nor %s", POLICY_KIND_IMAGE,
				 POLICY_KIND_SIGNATURE);
	if (!version || strcmp(version, POLICY_VERSION) != 0)
		return error_set(err, -EINVAL, "rktVersion is not %s", POLICY_VERSION);
	*ret = strcmp(is, kind) == 0;
	return 0;
}

int rules_members(struct json_object *doc, const char *const *known, struct error *err)
{
	json_object_object_foreach(doc, key, value)
	{
		size_t k = 0;

		(void)value;
		while (known[k] && strcmp(key, known[k]) != 0)
			k++;
		if (!known[k] && strcmp(key, "rktKind") != 0 && strcmp(key, "rktVersion") != 0)
			return error_set(err, -EINVAL, "unknown member \"%s\"", key);
	}
	return 0;
}

/* What one directory says: nothing, or one thing. */
struct expired {
	bool said, reject;
};

static int read_document(void *arg, struct json_object *doc, struct error *err)
{
	static const char *const known[] = {"expiredKeys", NULL};
	struct expired *expired = arg;
	const char *word = NULL;
	bool mine;
	int r = rules_kind(doc, POLICY_KIND_SIGNATURE, &mine, err);

	if (r < 0 || !mine)
		return r;
	r = rules_members(doc, known, err);
	if (r == 0)
		r = json_get_string(doc, "expiredKeys", &word, err);
	if (r < 0)
		return r;
	if (!word || (strcmp(word, "reject") != 0 && strcmp(word, "accept") != 0))
		return error_set(err, -EINVAL, "expiredKeys is neither \"accept\" nor \"reject\"");
	if (expired->said)
		return error_set(err, -EEXIST, "expiredKeys is said twice");
	*expired = (struct expired){true, strcmp(word, "reject") == 0};
	return 0;
}

int rules_expired_keys(const struct config_dirs *dirs, bool *ret_reject, struct error *err)
{
	const char *const tops[] = {dirs->system, dirs->local, dirs->user};
	bool reject = false;

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		struct expired expired = {.said = false};
		int r;

		if (!tops[i] || !tops[i][0])
			continue;
		r = config_each_document(tops[i], POLICY_DIR, read_document, &expired, err);
		if (r < 0)
			return r;
		if (expired.said)
			reject = expired.reject;
	}
	*ret_reject = reject;
	return 0;
}
