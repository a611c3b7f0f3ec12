/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An isolator's words are resolved when the manifest is read, so that a wrong one is told of; the
 * program is made when the plan is (seccomp_bpf.c). libseccomp knows the calls' numbers.
 *
 * The default list kills, as rkt's does, which would make programs fail that try a call newer than
 * the list and fall back when it is missing. Those of that kind are answered as an older kernel
 * would.
 */
#include "vmm/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>

#include "common/util.h"
#include "vmm/agent_proto.h"
#include "vmm/seccomp_bpf.h"

_Static_assert(SECCOMP_BPF_MAX <= PLAN_SECCOMP_MAX, "a filter fits into the plan");

#define ERRNO_MAX 133  /* the last with a name */
#define WORDS_MAX 1024 /* of one isolator: there are not half as many calls */

/* Not in the default list, and probed for. */
static const char probed[] = "io_uring_setup io_uring_enter io_uring_register";

/* The number of the errno called name, 0 when none is. */
static int errno_number(const char *name)
{
	static const struct {
		const char *name;
		int code;
	} aliases[] = {
		{"EWOULDBLOCK", EWOULDBLOCK}, {"EDEADLOCK", EDEADLOCK}, {"ENOTSUP", ENOTSUP}};

	for (int code = 1; code <= ERRNO_MAX; code++) {
		const char *known = strerrorname_np(code);

		if (known && !strcmp(known, name))
			return code;
	}
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (!strcmp(name, aliases[i].name))
			return aliases[i].code;
	return 0;
}

/* Add one word of the isolator's set. */
static int take_word(const char *word, struct seccomp_spec *spec, struct strv *notes,
		     struct error *err)
{
	const char *set;

	if (word[0] != '@') {
		if (seccomp_syscall_resolve_name(word) == __NR_SCMP_ERROR)
			strv_add_owned(notes,
				       xasprintf("unknown system call %s is left out", word));
		else
			strv_add(&spec->calls, word);
		return 0;
	}
	if (!strcmp(word, "@appc.io/all")) {
		if (spec->mode == SECCOMP_REMOVE)
			return error_set(err, -EINVAL, "%s leaves no system call", word);
		spec->mode = SECCOMP_OFF;
	} else if (!strcmp(word, "@appc.io/empty") && spec->mode == SECCOMP_REMOVE) {
		spec->mode = SECCOMP_DEFAULT;
	} else if ((set = seccomp_set(word))) {
		strv_split(&spec->calls, set, ' ');
	} else {
		strv_add_owned(notes,
			       xasprintf("unknown set of system calls %s is left out", word));
	}
	return 0;
}

int seccomp_parse(struct json_object *value, enum seccomp_mode mode, struct seccomp_spec *ret,
		  struct strv *notes, struct error *err)
{
	cleanup(seccomp_spec_free) struct seccomp_spec spec = {.mode = mode, .calls = STRV_INIT};
	struct json_object *set = NULL;
	const char *name = NULL;
	int r;

	if (!json_object_is_type(value, json_type_object))
		return error_set(err, -EINVAL, "the value is not an object");
	if ((r = json_get_array(value, "set", &set, err)) < 0 ||
	    (r = json_get_string(value, "errno", &name, err)) < 0)
		return r;
	if (!set || !json_object_array_length(set) || json_object_array_length(set) > WORDS_MAX)
		return error_set(err, -EINVAL, "no set of 1 to %d words", WORDS_MAX);
	if (name && *name && !(spec.code = errno_number(name)))
		return error_set(err, -EINVAL, "\"%s\" is not the name of an error", name);
	for (size_t i = 0; i < json_object_array_length(set); i++) {
		struct json_object *word = json_object_array_get_idx(set, i);

		if (!json_object_is_type(word, json_type_string) ||
		    !json_object_get_string_len(word))
			return error_set(err, -EINVAL, "set[%zu] is not a word", i);
		r = take_word(json_object_get_string(word), &spec, notes, err);
		if (r < 0)
			return r;
	}
	*ret = spec;
	spec = (struct seccomp_spec){.calls = STRV_INIT};
	return 0;
}

void seccomp_spec_free(struct seccomp_spec *spec)
{
	strv_free(&spec->calls);
}

/* Have the call treated so. One that another architecture has is nothing here. */
static void set_call(struct seccomp_actions *actions, const char *name, uint32_t action)
{
	int nr = seccomp_syscall_resolve_name(name);

	if (nr >= 0 && nr < SECCOMP_CALLS_MAX)
		actions->call[nr] = action;
}

static void set_calls(struct seccomp_actions *actions, const char *names, uint32_t action)
{
	cleanup_strv struct strv words = STRV_INIT;

	strv_split(&words, names, ' ');
	for (size_t i = 0; i < words.n; i++)
		set_call(actions, words.v[i], action);
}

void seccomp_decide(const struct seccomp_spec *spec, struct seccomp_actions *ret)
{
	uint32_t deny =
		spec->code ? SECCOMP_RET_ERRNO | (uint32_t)spec->code : SECCOMP_RET_KILL_PROCESS;
	bool remove = spec->mode == SECCOMP_REMOVE;

	ret->arch = seccomp_arch_native();
	ret->rest = remove ? SECCOMP_RET_ALLOW : deny;
	for (unsigned nr = 0; nr < SECCOMP_CALLS_MAX; nr++)
		ret->call[nr] = ret->rest;
	if (spec->mode == SECCOMP_DEFAULT) {
		if (!spec->code)
			set_calls(ret, probed, SECCOMP_RET_ERRNO | ENOSYS);
		set_calls(ret, seccomp_set(SECCOMP_SET_DEFAULT), SECCOMP_RET_ALLOW);
	} else {
		for (size_t i = 0; i < spec->calls.n; i++)
			set_call(ret, spec->calls.v[i], remove ? deny : SECCOMP_RET_ALLOW);
	}
	if (!remove)
		set_calls(ret, seccomp_set(SECCOMP_SET_IMPLICIT), SECCOMP_RET_ALLOW);
}

void seccomp_compile(const struct seccomp_spec *spec, uint8_t **ret, size_t *ret_len)
{
	struct sock_filter buf[SECCOMP_BPF_MAX];
	struct seccomp_actions actions;
	const struct sock_filter *first;
	size_t n;

	*ret = NULL;
	*ret_len = 0;
	if (spec->mode == SECCOMP_OFF)
		return;
	seccomp_decide(spec, &actions);
	n = seccomp_bpf(&actions, buf, &first);
	*ret = xcalloc(n, sizeof(*first));
	memcpy(*ret, first, n * sizeof(*first));
	*ret_len = n * sizeof(*first);
}
