/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table says for each isolator appc knows how its value is checked and whether it may stand in
 * a list more than once. Capability names an image spells wrongly are a warning here, since the
 * image may never be run; stage1 refuses them.
 */
#include "stage0/isolator.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "stage0/acname.h"
#include "common/quantity.h"
#include "common/ulimit.h"

#define ISOLATORS_MAX 256 /* in one list; appc knows fifteen */

/* linux/capability.h, 6.1 */
static const char *const capabilities[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

struct check {
	const char *name;
	struct json_object *value;
	struct strv *warnings;
	struct error *err;
};

bool capability_is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (strcmp(name, capabilities[i]) == 0)
			return true;
	return false;
}

static int check_object(const struct check *c)
{
	if (!json_object_is_type(c->value, json_type_object))
		return error_set(c->err, -EINVAL, "value is not an object");
	return 0;
}

static int check_quantity(const struct check *c, const char *key, enum quantity_unit unit)
{
	struct json_object *value;
	const char *text;
	int64_t n;
	int r;

	if (!json_object_object_get_ex(c->value, key, &value) || !value)
		return 0;
	if (!json_object_is_type(value, json_type_string) &&
	    !json_object_is_type(value, json_type_int) &&
	    !json_object_is_type(value, json_type_double))
		return error_set(c->err, -EINVAL, "%s is not a quantity", key);
	text = json_object_get_string(value);
	r = quantity_parse(text, unit, &n, c->err);
	if (r < 0)
		return error_wrap(c->err, "%s", key);
	if (str_ends_with(text, "K"))
		strv_add_owned(c->warnings,
			       xasprintf("isolator %s: suffix K is read as k", c->name));
	return 0;
}

static int check_resource(const struct check *c, enum quantity_unit unit, bool dflt)
{
	struct json_object *request = NULL;
	bool is_default = false;
	int r = check_object(c);

	if (r < 0 || (r = json_get_bool(c->value, "default", &is_default, c->err)) < 0)
		return r;
	if (is_default != dflt)
		return error_set(c->err, -EINVAL, "default must be %s", dflt ? "true" : "false");
	if (dflt && json_object_object_get_ex(c->value, "request", &request) && request)
		return error_set(c->err, -EINVAL, "request must be absent");
	r = check_quantity(c, "request", unit);
	return r < 0 ? r : check_quantity(c, "limit", unit);
}

static int check_cpu(const struct check *c)
{
	return check_resource(c, QUANTITY_MILLI, false);
}

static int check_memory(const struct check *c)
{
	return check_resource(c, QUANTITY_ONE, false);
}

static int check_rate(const struct check *c)
{
	return check_resource(c, QUANTITY_ONE, true);
}

/* {set: [strings]}, at least one. */
static int check_set(const struct check *c, struct json_object **ret_set)
{
	struct json_object *set = NULL;
	int r = check_object(c);

	if (r < 0 || (r = json_get_array(c->value, "set", &set, c->err)) < 0)
		return r;
	if (!set || json_object_array_length(set) == 0)
		return error_set(c->err, -EINVAL, "set must not be empty");
	for (size_t i = 0; i < json_object_array_length(set); i++)
		if (!json_object_is_type(json_object_array_get_idx(set, i), json_type_string))
			return error_set(c->err, -EINVAL, "set holds something else than strings");
	*ret_set = set;
	return 0;
}

static int check_capabilities(const struct check *c)
{
	struct json_object *set;
	int r = check_set(c, &set);

	for (size_t i = 0; r == 0 && i < json_object_array_length(set); i++) {
		const char *cap = json_object_get_string(json_object_array_get_idx(set, i));

		if (!capability_is_known(cap))
			strv_add_owned(c->warnings, xasprintf("isolator %s: unknown capability %s",
							      c->name, cap));
	}
	return r;
}

static int check_errno(const char *name, struct error *err)
{
	if (name[0] != 'E' || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != strlen(name))
		return error_set(err, -EINVAL, "\"%s\" is not the name of an error", name);
	return 0;
}

static int check_seccomp(const struct check *c)
{
	struct json_object *set;
	const char *name = NULL;
	int r = check_set(c, &set);

	if (r < 0 || (r = json_get_string(c->value, "errno", &name, c->err)) < 0 || !name || !*name)
		return r;
	return check_errno(name, c->err);
}

static int check_bool(const struct check *c)
{
	if (!json_object_is_type(c->value, json_type_boolean))
		return error_set(c->err, -EINVAL, "value is neither true nor false");
	return 0;
}

static int check_int(const struct check *c, int64_t min, int64_t max)
{
	int64_t n;

	if (!json_object_is_type(c->value, json_type_int))
		return error_set(c->err, -EINVAL, "value is not an integer");
	n = json_object_get_int64(c->value);
	if (n < min || n > max)
		return error_set(c->err, -ERANGE, "%lld is not in %lld..%lld", (long long)n,
				 (long long)min, (long long)max);
	return 0;
}

static int check_oom(const struct check *c)
{
	return check_int(c, -1000, 1000);
}

static int check_shares(const struct check *c)
{
	return check_int(c, 2, 262144);
}

static int check_selinux(const struct check *c)
{
	static const char *const parts[] = {"user", "role", "type", "level"};
	int r = check_object(c);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++) {
		const char *text = NULL;

		r = json_get_string(c->value, parts[i], &text, c->err);
		if (r == 0 && (!text || !*text || (i < 3 && strchr(text, ':'))))
			r = error_set(c->err, -EINVAL, "%s is missing or malformed", parts[i]);
	}
	return r;
}

static int check_apparmor(const struct check *c)
{
	const char *profile = NULL;
	int r = check_object(c);

	if (r == 0)
		r = json_get_string(c->value, "profile", &profile, c->err);
	if (r == 0 && (!profile || !*profile))
		r = error_set(c->err, -EINVAL, "profile is missing");
	return r;
}

static int check_ulimit(const struct check *c)
{
	int r = check_object(c);

	if (r < 0)
		return r;
	json_object_object_foreach(c->value, key, value)
	{
		struct ulimit limit;

		if (!json_object_is_type(value, json_type_string))
			return error_set(c->err, -EINVAL, "%s is not a string", key);
		r = ulimit_parse(key, json_object_get_string(value), &limit, c->err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_sysctl(const struct check *c)
{
	int r = check_object(c);

	if (r < 0)
		return r;
	json_object_object_foreach(c->value, key, value)
	{
		if (!*key ||
		    strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_./*-") != strlen(key) ||
		    strstr(key, ".."))
			return error_set(c->err, -EINVAL, "\"%s\" is not the name of a sysctl",
					 key);
		if (!json_object_is_type(value, json_type_string))
			return error_set(c->err, -EINVAL, "%s is not a string", key);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*check)(const struct check *c);
	const char *excludes; /* may not stand beside this one (itself: only once) */
} isolators[] = {
	{"resource/cpu", check_cpu, NULL},
	{"resource/memory", check_memory, NULL},
	{"resource/block-bandwidth", check_rate, NULL},
	{"resource/block-iops", check_rate, NULL},
	{"resource/network-bandwidth", check_rate, NULL},
	{ISOLATOR_CAPS_RETAIN, check_capabilities, ISOLATOR_CAPS_REMOVE},
	{ISOLATOR_CAPS_REMOVE, check_capabilities, ISOLATOR_CAPS_RETAIN},
	{"os/linux/no-new-privileges", check_bool, NULL},
	{ISOLATOR_SECCOMP "retain-set", check_seccomp, ISOLATOR_SECCOMP},
	{ISOLATOR_SECCOMP "remove-set", check_seccomp, ISOLATOR_SECCOMP},
	{"os/linux/selinux-context", check_selinux, "os/linux/selinux-context"},
	{"os/linux/apparmor-profile", check_apparmor, "os/linux/apparmor-profile"},
	{"os/linux/oom-score-adj", check_oom, "os/linux/oom-score-adj"},
	{"os/linux/cpu-shares", check_shares, "os/linux/cpu-shares"},
	{ISOLATOR_SYSCTL, check_sysctl, ISOLATOR_SYSCTL},
	{ISOLATOR_ULIMIT, check_ulimit, NULL},
};

static int check_one(struct json_object *isolator, const struct strv *before, const char *name,
		     struct strv *warnings, struct error *err)
{
	struct check c = {.name = name, .warnings = warnings, .err = err};

	json_object_object_get_ex(isolator, "value", &c.value);
	for (size_t i = 0; i < ARRAY_SIZE(isolators); i++) {
		if (strcmp(name, isolators[i].name) != 0)
			continue;
		for (size_t k = 0; isolators[i].excludes && k < before->n; k++)
			if (str_starts_with(before->v[k], isolators[i].excludes))
				return error_set(err, -EINVAL, "conflicts with isolator %s",
						 before->v[k]);
		return isolators[i].check(&c);
	}
	strv_add_owned(warnings, xasprintf("isolator %s is not known and is ignored", name));
	return 0;
}

int isolators_check(struct json_object *list, struct strv *warnings, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;

	if (json_object_array_length(list) > ISOLATORS_MAX)
		return error_set(err, -E2BIG, "more than %d isolators", ISOLATORS_MAX);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *isolator = json_object_array_get_idx(list, i);
		const char *name = NULL;
		int r;

		if (!json_object_is_type(isolator, json_type_object))
			return error_set(err, -EINVAL, "an isolator is not an object");
		r = json_get_string(isolator, "name", &name, err);
		if (r < 0)
			return error_wrap(err, "isolator");
		if (!name || !acident_is_valid(name))
			return error_set(err, -EINVAL, "isolator: \"%s\" is not a valid name",
					 name ? name : "");
		r = check_one(isolator, &names, name, warnings, err);
		if (r < 0)
			return error_wrap(err, "isolator %s", name);
		strv_add(&names, name);
	}
	return 0;
}

static struct json_object *isolator_new(const char *name, struct json_object *value)
{
	struct json_object *isolator = json_object_new_object();

	json_add_string(isolator, "name", name);
	json_add(isolator, "value", value);
	return isolator;
}

static struct json_object *isolator_resource(const char *name, const char *text)
{
	struct json_object *value = json_object_new_object();

	json_add_string(value, "request", text);
	json_add_string(value, "limit", text);
	return isolator_new(name, value);
}

struct json_object *isolator_map(const char *name, const struct strv *pairs)
{
	struct json_object *value = json_object_new_object();

	for (size_t i = 0; i < pairs->n; i++) {
		const char *eq = strchr(pairs->v[i], '=');
		cleanup_free char *key = xstrndup(pairs->v[i], (size_t)(eq - pairs->v[i]));

		json_add_string(value, key, eq + 1);
	}
	return isolator_new(name, value);
}

int isolator_memory(const char *text, struct json_object **ret, struct error *err)
{
	int64_t bytes = 0;
	int r = quantity_parse(text, QUANTITY_ONE, &bytes, err);

	if (r < 0)
		return r;
	if (bytes < MEMORY_LIMIT_MIN)
		return error_set(err, -EINVAL, "\"%s\" is less than %d bytes", text,
				 MEMORY_LIMIT_MIN);
	*ret = isolator_resource("resource/memory", text);
	return 0;
}

int isolator_cpu(const char *text, struct json_object **ret, struct error *err)
{
	int64_t milli = 0;
	int r = quantity_parse(text, QUANTITY_MILLI, &milli, err);

	if (r < 0)
		return r;
	if (milli == 0)
		return error_set(err, -EINVAL, "\"%s\" leaves no CPU time", text);
	*ret = isolator_resource("resource/cpu", text);
	return 0;
}

int isolator_number(const char *name, const char *text, int min, int max, struct json_object **ret,
		    struct error *err)
{
	unsigned long long n = 0;
	bool negative = text[0] == '-';
	int value;

	if (!str_to_u64(text + negative, INT32_MAX, &n))
		return error_set(err, -EINVAL, "\"%s\" is not a number", text);
	value = negative ? -(int)n : (int)n;
	if (value < min || value > max)
		return error_set(err, -EINVAL, "%d is not in %d..%d", value, min, max);
	*ret = isolator_new(name, json_object_new_int(value));
	return 0;
}

int isolator_capabilities(const char *name, const char *list, struct json_object **ret,
			  struct error *err)
{
	cleanup_json struct json_object *set = json_object_new_array();
	cleanup_strv struct strv words = STRV_INIT;
	struct json_object *value;

	strv_split(&words, list, ',');
	for (size_t i = 0; i < words.n; i++) {
		cleanup_free char *cap = xasprintf(
			"%s%s", str_starts_with(words.v[i], "CAP_") ? "" : "CAP_", words.v[i]);

		if (!capability_is_known(cap))
			return error_set(err, -EINVAL, "\"%s\" is not a capability", words.v[i]);
		json_object_array_add(set, json_object_new_string(cap));
	}
	value = json_object_new_object();
	json_add(value, "set", take_ptr(set));
	*ret = isolator_new(name, value);
	return 0;
}

int isolator_seccomp(const char *text, struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *set = json_object_new_array();
	cleanup_strv struct strv words = STRV_INIT;
	const char *mode = NULL, *code = NULL;
	struct json_object *value;

	strv_split(&words, text, ',');
	for (size_t i = 0; i < words.n; i++) {
		const char *word = words.v[i];

		if (str_starts_with(word, "mode="))
			mode = word + 5;
		else if (str_starts_with(word, "errno="))
			code = word + 6;
		else if (*word)
			json_object_array_add(set, json_object_new_string(word));
	}
	if (!mode || (strcmp(mode, "retain") != 0 && strcmp(mode, "remove") != 0))
		return error_set(err, -EINVAL, "\"%s\" has neither mode=retain nor mode=remove",
				 text);
	if (json_object_array_length(set) == 0)
		return error_set(err, -EINVAL, "\"%s\" names no system calls", text);
	if (code && check_errno(code, err) < 0)
		return err->code;
	value = json_object_new_object();
	json_add(value, "set", take_ptr(set));
	if (code)
		json_add_string(value, "errno", code);
	*ret = isolator_new(strcmp(mode, "retain") == 0 ? ISOLATOR_SECCOMP "retain-set"
							: ISOLATOR_SECCOMP "remove-set",
			    value);
	return 0;
}
