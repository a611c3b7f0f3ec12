/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/isolator.h"

#include <errno.h>
#include <string.h>

#include "common/quantity.h"
#include "common/util.h"
#include "vmm/pod.h"

/* Capability names by number (linux/capability.h). */
static const char *const cap_names[] = {
	"CHOWN",
	"DAC_OVERRIDE",
	"DAC_READ_SEARCH",
	"FOWNER",
	"FSETID",
	"KILL",
	"SETGID",
	"SETUID",
	"SETPCAP",
	"LINUX_IMMUTABLE",
	"NET_BIND_SERVICE",
	"NET_BROADCAST",
	"NET_ADMIN",
	"NET_RAW",
	"IPC_LOCK",
	"IPC_OWNER",
	"SYS_MODULE",
	"SYS_RAWIO",
	"SYS_CHROOT",
	"SYS_PTRACE",
	"SYS_PACCT",
	"SYS_ADMIN",
	"SYS_BOOT",
	"SYS_NICE",
	"SYS_RESOURCE",
	"SYS_TIME",
	"SYS_TTY_CONFIG",
	"MKNOD",
	"LEASE",
	"AUDIT_WRITE",
	"AUDIT_CONTROL",
	"SETFCAP",
	"MAC_OVERRIDE",
	"MAC_ADMIN",
	"SYSLOG",
	"WAKE_ALARM",
	"BLOCK_SUSPEND",
	"AUDIT_READ",
	"PERFMON",
	"BPF",
	"CHECKPOINT_RESTORE",
};

#define CAP(n) (UINT64_C(1) << (n))
/* rkt's default bounding set (rkt-behaviour.md section 7.3), in the order above */
#define CAPS_DEFAULT                                                                               \
	(CAP(0) | CAP(1) | CAP(3) | CAP(4) | CAP(5) | CAP(6) | CAP(7) | CAP(8) | CAP(10) |         \
	 CAP(13) | CAP(18) | CAP(27) | CAP(29) | CAP(31))

/* The limit of a resource isolator's value in the unit; left alone when it sets none. */
static int get_limit(struct json_object *value, const char *what, enum quantity_unit unit,
		     uint64_t *ret, struct error *err)
{
	struct json_object *limit = NULL;
	int64_t amount;

	if (!json_object_is_type(value, json_type_object))
		return error_set(err, -EINVAL, "isolator %s: the value is not an object", what);
	if (!json_object_object_get_ex(value, "limit", &limit) || !limit)
		return 0;
	if (!json_object_is_type(limit, json_type_string) &&
	    !json_object_is_type(limit, json_type_int) &&
	    !json_object_is_type(limit, json_type_double))
		return error_set(err, -EINVAL, "isolator %s: the limit is not a quantity", what);
	if (quantity_parse(json_object_get_string(limit), unit, &amount, err) < 0)
		return error_wrap(err, "isolator %s", what);
	*ret = (uint64_t)amount;
	return 0;
}

static int get_caps(struct json_object *value, const char *what, uint64_t *ret, struct error *err)
{
	struct json_object *set = NULL;
	uint64_t caps = 0;
	int r = json_object_is_type(value, json_type_object)
			? json_get_array(value, "set", &set, err)
			: -EINVAL;

	if (r < 0 || !set || !json_object_array_length(set))
		return error_set(err, -EINVAL, "isolator %s: no set of capabilities", what);
	for (size_t i = 0; i < json_object_array_length(set); i++) {
		struct json_object *entry = json_object_array_get_idx(set, i);
		const char *name = json_object_is_type(entry, json_type_string)
					   ? json_object_get_string(entry)
					   : "";
		unsigned n = 0;

		if (str_starts_with(name, "CAP_"))
			name += 4;
		while (n < ARRAY_SIZE(cap_names) && strcmp(name, cap_names[n]))
			n++;
		if (n == ARRAY_SIZE(cap_names))
			return error_set(err, -EINVAL, "isolator %s: unknown capability \"%s\"",
					 what, name);
		caps |= CAP(n);
	}
	*ret = caps;
	return 0;
}

static int get_number(struct json_object *value, const char *what, int64_t min, int64_t max,
		      int64_t *ret, struct error *err)
{
	int64_t n =
		json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : min - 1;

	if (n < min || n > max)
		return error_set(err, -EINVAL, "isolator %s: not a number from %lld to %lld", what,
				 (long long)min, (long long)max);
	*ret = n;
	return 0;
}

static int get_oom(struct json_object *value, const char *what, struct isolators *iso,
		   struct error *err)
{
	int64_t n = 0;
	int r = get_number(value, what, -1000, 1000, &n, err);

	iso->has_oom = r == 0;
	iso->oom = (int32_t)n;
	return r;
}

static int get_shares(struct json_object *value, const char *what, struct isolators *iso,
		      struct error *err)
{
	int64_t n = 0;
	int r = get_number(value, what, 2, 262144, &n, err);

	iso->shares = (uint32_t)n;
	return r;
}

static int get_bool(struct json_object *value, const char *what, bool *ret, struct error *err)
{
	if (!json_object_is_type(value, json_type_boolean))
		return error_set(err, -EINVAL, "isolator %s: neither true nor false", what);
	*ret = json_object_get_boolean(value);
	return 0;
}

static int get_seccomp(struct json_object *value, const char *what, struct isolators *iso,
		       struct strv *notes, struct error *err)
{
	enum seccomp_mode mode =
		str_ends_with(what, "retain-set") ? SECCOMP_RETAIN : SECCOMP_REMOVE;

	if (iso->has_seccomp)
		return error_set(err, -EINVAL, "isolator %s: there may be one such only", what);
	iso->has_seccomp = true;
	if (seccomp_parse(value, mode, &iso->seccomp, notes, err) < 0)
		return error_wrap(err, "isolator %s", what);
	return 0;
}

/* {NAME: "SOFT[:HARD]"}; of two of one resource the last counts. */
static int get_ulimits(struct json_object *value, const char *what, struct isolators *iso,
		       struct error *err)
{
	if (!json_object_is_type(value, json_type_object))
		return error_set(err, -EINVAL, "isolator %s: the value is not an object", what);
	for (struct json_object_iterator it = json_object_iter_begin(value),
					 end = json_object_iter_end(value);
	     !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		struct json_object *text = json_object_iter_peek_value(&it);
		struct ulimit limit = {.resource = 0};
		unsigned i = 0;

		if (!json_object_is_type(text, json_type_string))
			return error_set(err, -EINVAL, "isolator %s: a limit is not a string",
					 what);
		if (ulimit_parse(json_object_iter_peek_name(&it), json_object_get_string(text),
				 &limit, err) < 0)
			return error_wrap(err, "isolator %s", what);
		while (i < iso->nulimits && iso->ulimits[i].resource != limit.resource)
			i++;
		if (i == ISOLATORS_ULIMITS_MAX)
			return error_set(err, -E2BIG, "isolator %s: too many", what);
		iso->ulimits[i] = limit;
		iso->nulimits = MAX(iso->nulimits, i + 1);
	}
	return 0;
}

/* One isolator; what is not enforced of it is added to notes. */
static int parse_one(const char *name, struct json_object *value, struct isolators *iso,
		     uint64_t *remove, struct strv *notes, struct error *err)
{
	if (!strcmp(name, "resource/memory"))
		return get_limit(value, name, QUANTITY_ONE, &iso->memory, err);
	if (!strcmp(name, "resource/block-bandwidth"))
		return get_limit(value, name, QUANTITY_ONE, &iso->disk_rate[0], err);
	if (!strcmp(name, "resource/block-iops"))
		return get_limit(value, name, QUANTITY_ONE, &iso->disk_rate[1], err);
	if (!strcmp(name, "resource/cpu"))
		return get_limit(value, name, QUANTITY_MILLI, &iso->cpu, err);
	if (!strcmp(name, "os/linux/capabilities-retain-set"))
		return get_caps(value, name, &iso->caps, err);
	if (!strcmp(name, "os/linux/capabilities-remove-set"))
		return get_caps(value, name, remove, err);
	if (!strcmp(name, "os/linux/no-new-privileges"))
		return get_bool(value, name, &iso->no_new_privs, err);
	if (!strcmp(name, "os/linux/oom-score-adj"))
		return get_oom(value, name, iso, err);
	if (!strcmp(name, "os/linux/cpu-shares"))
		return get_shares(value, name, iso, err);
	if (!strcmp(name, "os/linux/seccomp-retain-set") ||
	    !strcmp(name, "os/linux/seccomp-remove-set"))
		return get_seccomp(value, name, iso, notes, err);
	if (!strcmp(name, "tripod/ulimit"))
		return get_ulimits(value, name, iso, err);
	if (notes->n < ISOLATORS_NOTES_MAX)
		strv_add_owned(notes, xasprintf("isolator %s is not enforced", name));
	return 0;
}

void isolators_free(struct isolators *iso)
{
	seccomp_spec_free(&iso->seccomp);
}

int isolators_parse(struct json_object *section, struct isolators *ret, struct strv *notes,
		    struct error *err)
{
	cleanup(isolators_free) struct isolators iso = {.seccomp.calls = STRV_INIT};
	struct json_object *list = NULL;
	uint64_t remove = 0;
	int r = json_get_array(section, "isolators", &list, err);

	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i), *value = NULL;
		const char *name = NULL;

		if (!json_object_is_type(entry, json_type_object))
			return error_set(err, -EINVAL, "an isolator is not an object");
		r = json_get_string(entry, "name", &name, err);
		if (r < 0)
			break;
		if (!name)
			return error_set(err, -EINVAL, "an isolator has no name");
		json_object_object_get_ex(entry, "value", &value);
		r = parse_one(name, value, &iso, &remove, notes, err);
	}
	if (r < 0)
		return r;
	if (iso.caps && remove)
		return error_set(err, -EINVAL, "capabilities are both retained and removed");
	if (!iso.caps)
		iso.caps = CAPS_DEFAULT & ~remove;
	if (iso.memory > POD_MEMORY_MAX)
		return error_set(err, -EINVAL, "memory limit over %llu bytes",
				 (unsigned long long)POD_MEMORY_MAX);
	*ret = iso;
	iso = (struct isolators){.seccomp.calls = STRV_INIT};
	return 0;
}
