/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/stage1.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"
#include "common/uuid.h"

#define HOSTNAME_MAX 64	 /* what the kernel takes */
#define TOKEN_MAX    128 /* characters; rkt's and ours have 32 */

/* "--name" or "--name=BOOL"; 1 when it is this flag, 0 when not, negative when malformed. */
static int flag(const char *arg, const char *name, bool *ret, struct error *err)
{
	size_t len = strlen(name);

	if (strncmp(arg, name, len) || (arg[len] && arg[len] != '='))
		return 0;
	if (!arg[len] || !strcmp(arg + len, "=true"))
		*ret = true;
	else if (!strcmp(arg + len, "=false"))
		*ret = false;
	else
		return error_set(err, -EINVAL, "%s: neither true nor false", arg);
	return 1;
}

static bool value(const char *arg, const char *name, const char **ret)
{
	size_t len = strlen(name);

	if (strncmp(arg, name, len) || arg[len] != '=')
		return false;
	*ret = arg + len + 1;
	return true;
}

static int parse_arg(const char *arg, struct stage1_args *args, struct error *err)
{
	struct {
		const char *name;
		bool *ret;
	} flags[] = {
		{"--debug", &args->debug},
		{"--interactive", &args->interactive},
		{"--mutable", &args->mutable_pod},
		{"--disable-capabilities-restriction", &args->no_caps_restriction},
		{"--disable-paths", &args->no_paths},
		{"--disable-seccomp", &args->no_seccomp},
	};
	struct {
		const char *name;
		const char **ret;
	} values[] = {
		{"--net", &args->net},
		{"--hostname", &args->hostname},
		{"--dns-conf-mode", &args->dns_conf_mode},
		{"--mds-token", &args->mds_token},
		{"--local-config", &args->local_config},
		{"--private-users", &args->private_users},
		{"--ipc", &args->ipc},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		int r = flag(arg, flags[i].name, flags[i].ret, err);

		if (r)
			return r < 0 ? r : 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
		if (value(arg, values[i].name, values[i].ret))
			return 0;
	return error_set(err, -EINVAL, "unknown argument %s", arg);
}

/* Of the unreserved characters of URLs (RFC 3986). */
static bool is_token(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= TOKEN_MAX &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") ==
		       len;
}

int stage1_parse(int argc, char *const *argv, struct stage1_args *ret, struct error *err)
{
	struct stage1_args args = {.argc = argc - 1, .argv = argv + 1};

	for (int i = 1; i < argc; i++) {
		bool last = i == argc - 1;
		int r = 0;

		if (last && argv[i][0] != '-')
			args.uuid = argv[i];
		else
			r = parse_arg(argv[i], &args, err);
		if (r < 0)
			return r;
	}
	if (!args.uuid)
		return error_set(err, -EINVAL, "usage: run [OPTION...] UUID, in a pod directory");
	if (!uuid_is_valid(args.uuid))
		return error_set(err, -EINVAL, "\"%s\" is not a pod's UUID", args.uuid);
	if (args.mds_token && !*args.mds_token)
		args.mds_token = NULL;
	if (args.mds_token && !is_token(args.mds_token))
		return error_set(err, -EINVAL, "--mds-token: not what can be part of a URL");
	if (args.hostname && strlen(args.hostname) > HOSTNAME_MAX)
		return error_set(err, -EINVAL, "hostname longer than %d bytes", HOSTNAME_MAX);
	*ret = args;
	if (!args.hostname || !*args.hostname) {
		snprintf(ret->hostname_buf, sizeof(ret->hostname_buf), "rkt-%s", args.uuid);
		ret->hostname = ret->hostname_buf;
	}
	return 0;
}

const char *stage1_local_config(const struct stage1_args *args)
{
	return args->local_config && *args->local_config ? args->local_config : "/etc/rkt";
}

/* Which networks there are is podnet.c's to find out. */
static int check_net(const char *net, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;

	strv_split(&names, net ? net : "", ',');
	if (strv_contains(&names, "host"))
		return error_set(err, -ENOTSUP,
				 "failed to setup network: a pod in a VM can not have the host's "
				 "network");
	if (names.n > 1 && (strv_contains(&names, "none") || strv_contains(&names, "user")))
		return error_set(err, -EINVAL,
				 "failed to setup network: none and user are for themselves");
	return 0;
}

int stage1_check(const struct stage1_args *args, struct error *err)
{
	if (check_net(args->net, err) < 0)
		return err->code;
	if (args->mutable_pod && args->interactive)
		return error_set(err, -EINVAL, "--interactive is for pods with a single app");
	if (args->private_users && *args->private_users)
		return error_set(err, -ENOTSUP,
				 "--private-users: a VM has its own users, none are shared with "
				 "the host");
	if (args->ipc && *args->ipc && strcmp(args->ipc, "auto") && strcmp(args->ipc, "private"))
		return error_set(err, -ENOTSUP, "--ipc=%s: a VM has an IPC namespace of its own",
				 args->ipc);
	return 0;
}

int stage1_keep_lock(struct error *err)
{
	const char *text = getenv("RKT_LOCK_FD");
	unsigned long long fd;
	int flags;

	if (!text)
		return 0;
	if (!str_to_u64(text, INT32_MAX, &fd))
		return error_set(err, -EINVAL, "RKT_LOCK_FD=%s is no descriptor", text);
	flags = fcntl((int)fd, F_GETFD);
	if (flags < 0 || fcntl((int)fd, F_SETFD, flags | FD_CLOEXEC) < 0)
		return error_errno(err, "RKT_LOCK_FD=%s", text);
	return 0;
}

/*
 * Write aside and rename, but without fsync(): a host that crashes takes the pod along, and what
 * then reads these files finds the pod exited whatever they hold. Costs microseconds, not a disk's
 * milliseconds, on the way to the first instruction.
 */
static int put_text(int dirfd, const char *path, const char *text, struct error *err)
{
	cleanup_free char *aside = xasprintf("%s.new", path);
	cleanup_fd int fd =
		openat(dirfd, aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return error_errno(err, "%s", path);
	r = write_all(fd, text, strlen(text));
	if (r == 0 && renameat(dirfd, aside, dirfd, path) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dirfd, aside, 0);
		return error_set(err, r, "%s: %s", path, strerror(-r));
	}
	return 0;
}

int stage1_write_pid(int dirfd, struct error *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	return put_text(dirfd, "pid", text, err);
}

int stage1_write_net_info(int dirfd, const char *json, struct error *err)
{
	return put_text(dirfd, "net-info.json", json, err);
}

int stage1_write_ready(int dirfd, struct error *err)
{
	if (mkdir_path(dirfd, STAGE1_STATE_DIR, 0755, err) < 0)
		return err->code;
	if (symlinkat("ready", dirfd, STAGE1_STATE_DIR "/supervisor-status") < 0 && errno != EEXIST)
		return error_errno(err, "supervisor-status");
	return 0;
}

int stage1_write_status(int dirfd, const char *app, int code, struct error *err)
{
	cleanup_free char *path = xasprintf(STAGE1_STATE_DIR "/status/%s", app);
	char text[16];

	if (mkdir_path(dirfd, STAGE1_STATE_DIR "/status", 0755, err) < 0)
		return err->code;
	snprintf(text, sizeof(text), "%d\n", code);
	return put_text(dirfd, path, text, err);
}

int stage1_exit_code(unsigned wait_status)
{
	int status = (int)(wait_status & 0xffff);

	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
