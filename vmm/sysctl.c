/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel is the pod's own, so nothing of it has to be namespaced to be set. Refused is what
 * reaches beyond the apps: programs that the kernel runs by itself, with all privileges and outside
 * of every app's root (core_pattern, modprobe, poweroff_cmd, hotplug, binfmt_misc), and when it gives
 * up, which ends the pod without a word (panic...). Below kernel/ that is most of what there is, so
 * what may be set there is listed.
 */
#include "vmm/sysctl.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "vmm/agent_proto.h"

#define ISOLATOR  "os/unix/sysctl"
#define NAME_MAX_ 256  /* bytes: none is half as long */
#define VALUE_MAX 1024 /* likewise */

static bool is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (str_ends_with(*list, "/") ? str_starts_with(name, *list)
					      : strcmp(name, *list) == 0)
			return true;
	return false;
}

static bool is_allowed(const char *name)
{
	static const char *const denied[] = {"vm/panic_on_oom", "fs/binfmt_misc/", NULL};
	static const char *const allowed[] = {
		"fs/",
		"net/",
		"user/",
		"vm/",
		"kernel/dmesg_restrict",
		"kernel/domainname",
		"kernel/io_uring_disabled",
		"kernel/kptr_restrict",
		"kernel/msgmax",
		"kernel/msgmnb",
		"kernel/msgmni",
		"kernel/perf_event_paranoid",
		"kernel/pid_max",
		"kernel/randomize_va_space",
		"kernel/sched_autogroup_enabled",
		"kernel/sched_child_runs_first",
		"kernel/sched_rr_timeslice_ms",
		"kernel/sched_rt_period_us",
		"kernel/sched_rt_runtime_us",
		"kernel/sem",
		"kernel/shm_rmid_forced",
		"kernel/shmall",
		"kernel/shmmax",
		"kernel/shmmni",
		"kernel/threads-max",
		"kernel/unprivileged_bpf_disabled",
		NULL,
	};

	return is_one_of(name, allowed) && !is_one_of(name, denied);
}

/*
 * As sysctl(8) has it: parts are separated by what is the first separator, and the other one stands
 * for it inside of a part (net.ipv4.conf.eth0/1.forwarding).
 */
static bool to_path(const char *name, char *ret)
{
	size_t len = strlen(name), first = strcspn(name, "./");
	bool dots = name[first] == '.';

	if (len == 0 || len >= NAME_MAX_ || first == 0 || first == len ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-") !=
		    len)
		return false;
	for (size_t i = 0; i <= len; i++)
		ret[i] = !dots || !name[i] || !strchr("./", name[i]) ? name[i]
			 : name[i] == '.'			     ? '/'
								     : '.';
	return !strstr(ret, "..") && !strstr(ret, "//") && !strstr(ret, "./") &&
	       ret[len - 1] != '/';
}

static int add(const char *name, struct json_object *value, struct strv *ret, struct error *err)
{
	const char *text =
		json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
	char path[NAME_MAX_];

	if (!to_path(name, path))
		return error_set(err, -EINVAL, "\"%.100s\" is not the name of a parameter", name);
	if (!is_allowed(path))
		return error_set(err, -EPERM, "%s can not be set", name);
	if (!text || strlen(text) > VALUE_MAX ||
	    strlen(text) != (size_t)json_object_get_string_len(value))
		return error_set(err, -EINVAL, "%s: the value is no text of up to %d bytes", name,
				 VALUE_MAX);
	if (ret->n == PLAN_SYSCTLS_MAX)
		return error_set(err, -E2BIG, "more than %d parameters", PLAN_SYSCTLS_MAX);
	strv_add_owned(ret, xasprintf("%s=%s", path, text));
	return 0;
}

static int add_all(struct json_object *isolator, struct strv *ret, struct error *err)
{
	struct json_object *map = NULL;
	int r = json_get_object(isolator, "value", &map, err);

	if (r < 0)
		return r;
	if (!map)
		return error_set(err, -EINVAL, "no value");
	for (struct json_object_iterator it = json_object_iter_begin(map),
					 end = json_object_iter_end(map);
	     r == 0 && !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
		r = add(json_object_iter_peek_name(&it), json_object_iter_peek_value(&it), ret,
			err);
	return r;
}

int sysctl_parse(struct json_object *pod, struct strv *ret, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(pod, "isolators", &list, err);

	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		struct json_object *isolator = json_object_array_get_idx(list, i);
		const char *name = NULL;

		if (!json_object_is_type(isolator, json_type_object))
			return error_set(err, -EINVAL, "isolators[%zu]: not an object", i);
		r = json_get_string(isolator, "name", &name, err);
		if (r < 0 || !name || strcmp(name, ISOLATOR) != 0)
			continue;
		if (ret->n > 0)
			return error_set(err, -EINVAL, "isolator " ISOLATOR ": there may be one");
		r = add_all(isolator, ret, err);
		if (r < 0)
			return error_wrap(err, "isolator " ISOLATOR);
	}
	return r;
}
