/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An isolator's words are resolved when the manifest is read, so that a wrong one is told of; the
 * program is made when the plan is, by libseccomp, as a binary tree over the calls' numbers: the
 * guest's kernel tries it once for every call there is to find those that are always allowed.
 *
 * The default list kills, as rkt's does, which would make programs fail that try a call newer than
 * the list and fall back when it is missing. Those of that kind are answered as an older kernel
 * would.
 */
#include "vmm/seccomp.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/agent_proto.h"

#define ERRNO_MAX     133  /* the last with a name */
#define WORDS_MAX     1024 /* of one isolator: there are not half as many calls */
#define FILTER_INSN   8	   /* bytes of a struct sock_filter */
#define TREE_OPTIMIZE 2	   /* SCMP_FLTATR_CTL_OPTIMIZE: binary tree */

/* Not in the default list, and probed for. */
static const char probed[] = "io_uring_setup io_uring_enter io_uring_register";

static void cleanup_filter(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

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

/* Have the call treated so. One another architecture has is nothing here. */
static int add_call(scmp_filter_ctx ctx, uint32_t action, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name), r;

	if (nr < 0)
		return 0;
	r = seccomp_rule_add(ctx, action, nr, 0);
	return r == -EEXIST ? 0 : r;
}

static int add_set(scmp_filter_ctx ctx, uint32_t action, const char *calls)
{
	cleanup_strv struct strv words = STRV_INIT;
	int r = 0;

	strv_split(&words, calls, ' ');
	for (size_t i = 0; r == 0 && i < words.n; i++)
		r = add_call(ctx, action, words.v[i]);
	return r;
}

static int add_rules(scmp_filter_ctx ctx, const struct seccomp_spec *spec, uint32_t deny)
{
	uint32_t listed = spec->mode == SECCOMP_REMOVE ? deny : SCMP_ACT_ALLOW;
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, TREE_OPTIMIZE);

	if (r == 0 && spec->mode != SECCOMP_REMOVE)
		r = add_set(ctx, SCMP_ACT_ALLOW, seccomp_set(SECCOMP_SET_IMPLICIT));
	if (r == 0 && spec->mode == SECCOMP_DEFAULT) {
		r = add_set(ctx, SCMP_ACT_ALLOW, seccomp_set(SECCOMP_SET_DEFAULT));
		if (r == 0 && !spec->code)
			r = add_set(ctx, SCMP_ACT_ERRNO(ENOSYS), probed);
		return r;
	}
	for (size_t i = 0; r == 0 && i < spec->calls.n; i++)
		r = add_call(ctx, listed, spec->calls.v[i]);
	return r;
}

/* libseccomp writes to a descriptor only. */
static int export(scmp_filter_ctx ctx, uint8_t **ret, size_t *ret_len)
{
	cleanup_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
	uint8_t *bytes;
	off_t len;
	int r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return r;
	len = lseek(fd, 0, SEEK_CUR);
	if (len <= 0 || len % FILTER_INSN != 0 || len / FILTER_INSN > PLAN_SECCOMP_MAX)
		return -E2BIG;
	bytes = xcalloc(1, (size_t)len);
	if (pread(fd, bytes, (size_t)len, 0) != len) {
		free(bytes);
		return -EIO;
	}
	*ret = bytes;
	*ret_len = (size_t)len;
	return 0;
}

int seccomp_compile(const struct seccomp_spec *spec, uint8_t **ret, size_t *ret_len,
		    struct error *err)
{
	uint32_t deny = spec->code ? SCMP_ACT_ERRNO((uint32_t)spec->code) : SCMP_ACT_KILL_PROCESS;
	cleanup(cleanup_filter) scmp_filter_ctx ctx = NULL;
	int r;

	if (spec->mode == SECCOMP_OFF) {
		*ret = NULL;
		*ret_len = 0;
		return 0;
	}
	ctx = seccomp_init(spec->mode == SECCOMP_REMOVE ? SCMP_ACT_ALLOW : deny);
	if (!ctx)
		return error_set(err, -ENOMEM, "seccomp: out of memory");
	r = add_rules(ctx, spec, deny);
	if (r == 0)
		r = export(ctx, ret, ret_len);
	return r < 0 ? error_set(err, r, "seccomp: making the filter: %s", strerror(-r)) : 0;
}
