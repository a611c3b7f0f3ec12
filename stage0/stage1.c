/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/stage1.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/eventlog.h"
#include "common/file.h"
#include "common/log.h"
#include "common/spawn.h"
#include "common/util.h"
#include "stage0/digests.h"
#include "stage0/image_manifest.h"

#define ANNOTATION	     "coreos.com/rkt/stage1/"
#define ANNOTATION_APP_DISKS "tripod/stage1/app-disks"

/* Interface versions that brought an argument (rkt-behaviour 6.2). */
#define VERSION_HOSTNAME 2
#define VERSION_INSECURE 3
#define VERSION_DNS	 4
#define VERSION_MUTABLE	 5

int stage1_find(const char *path, char **ret, struct error *err)
{
	static const char *const places[] = {"stage1-kvm.aci", "../lib/tripod/stage1-kvm.aci"};
	char exe[PATH_MAX];
	ssize_t len;

	if (path) {
		*ret = xstrdup(path);
		return 0;
	}
	len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (len < 0)
		return error_errno(err, "/proc/self/exe");
	exe[len] = '\0';
	*strrchr(exe, '/') = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		cleanup_free char *candidate = xasprintf("%s/%s", exe, places[i]);

		if (access(candidate, F_OK) == 0) {
			*ret = take_ptr(candidate);
			return 0;
		}
	}
	return error_set(err, -ENOENT,
			 "no stage1 image: neither %s/%s nor %s/%s exists; name one with "
			 "--stage1-path",
			 exe, places[0], exe, places[1]);
}

bool stage1_takes_disks(struct json_object *manifest)
{
	const char *how = image_manifest_annotation(manifest, ANNOTATION_APP_DISKS);

	return how && strcmp(how, "erofs") == 0;
}

int stage1_entrypoint(struct json_object *manifest, const char *name, char **ret, struct error *err)
{
	cleanup_free char *annotation = xasprintf(ANNOTATION "%s", name);
	const char *path = image_manifest_annotation(manifest, annotation);
	cleanup_strv struct strv parts = STRV_INIT;

	if (!path)
		return error_set(err, -ENOENT, "the stage1 image has no annotation %s", annotation);
	strv_split(&parts, path, '/');
	if (path[0] != '/' || strv_contains(&parts, ".."))
		return error_set(err, -EINVAL, "stage1 annotation %s: bad path \"%s\"", annotation,
				 path);
	*ret = xasprintf("stage1/rootfs%s", path);
	return 0;
}

static int interface_version(struct json_object *manifest, unsigned long long *ret,
			     struct error *err)
{
	const char *text = image_manifest_annotation(manifest, ANNOTATION "interface-version");

	*ret = 1;
	if (text && !str_to_u64(text, INT_MAX, ret))
		return error_set(err, -EINVAL, "stage1: interface-version \"%s\" is not a number",
				 text);
	return 0;
}

/* The arguments of run, in the contract's order. */
static void run_arguments(struct strv *argv, unsigned long long version, const char *uuid,
			  const struct globals *globals, const struct stage1_run *run)
{
	static const struct {
		unsigned bit;
		const char *argument;
	} insecure[] = {
		{INSECURE_CAPABILITIES, "--disable-capabilities-restriction"},
		{INSECURE_PATHS, "--disable-paths"},
		{INSECURE_SECCOMP, "--disable-seccomp"},
	};

	if (globals->debug)
		strv_add(argv, "--debug");
	if (run->local_config)
		strv_add_owned(argv, xasprintf("--local-config=%s", run->local_config));
	if (run->net)
		strv_add_owned(argv, xasprintf("--net=%s", run->net));
	if (run->interactive)
		strv_add(argv, "--interactive");
	if (run->mds_token)
		strv_add_owned(argv, xasprintf("--mds-token=%s", run->mds_token));
	if (version >= VERSION_HOSTNAME)
		strv_add_owned(argv, xasprintf("--hostname=%s", run->hostname));
	else if (run->hostname_given)
		log_warn("this stage1 does not know --hostname; it is ignored");
	if (run->dns_mode && version >= VERSION_DNS)
		strv_add_owned(argv, xasprintf("--dns-conf-mode=%s", run->dns_mode));
	else if (run->dns_mode)
		log_warn("this stage1 does not know --dns-conf-mode; it is ignored");
	for (size_t i = 0; i < ARRAY_SIZE(insecure); i++) {
		if (!(globals->insecure & insecure[i].bit))
			continue;
		if (version >= VERSION_INSECURE)
			strv_add(argv, insecure[i].argument);
		else
			log_warn("this stage1 does not know %s; it is ignored",
				 insecure[i].argument);
	}
	if (run->mutable_pod)
		strv_add(argv, "--mutable");
	strv_add(argv, uuid);
}

int stage1_arguments(const struct pods *pods, const struct pod *pod, struct json_object *manifest,
		     const struct globals *globals, const struct stage1_run *run, struct strv *ret,
		     struct error *err)
{
	cleanup_free char *entry = NULL, *dir = pod_path(pods, pod);
	unsigned long long version;
	int r = stage1_entrypoint(manifest, "run", &entry, err);

	if (r == 0)
		r = interface_version(manifest, &version, err);
	if (r < 0)
		return r;
	if (run->mutable_pod && version < VERSION_MUTABLE)
		return error_set(err, -ENOTSUP, "stage1 does not support mutable pods");
	strv_add_owned(ret, xasprintf("%s/%s", dir, entry));
	run_arguments(ret, version, pod->uuid, globals, run);
	return 0;
}

/* Where stage1 finds and leaves digests of files that have not changed. */
static int name_digests(const struct pods *pods, struct error *err)
{
	cleanup_free char *digests = xasprintf("%s/" DIGESTS_FILE, pods->data_dir);

	return setenv(DIGESTS_ENV, digests, 1) < 0 ? error_errno(err, DIGESTS_ENV) : 0;
}

int stage1_exec(const struct pods *pods, const struct pod *pod, const struct strv *argv,
		struct error *err)
{
	cleanup_free char *fd_text = NULL;
	int lock_fd, r = name_digests(pods, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < argv->n; i++)
		log_debug("stage1 argument %zu: %s", i, argv->v[i]);

	/* a descriptor that stays open over exec and, being a duplicate, carries the same lock */
	lock_fd = fcntl(pod->fd, F_DUPFD, 3);
	if (lock_fd < 0)
		return error_errno(err, "the pod's lock");
	fd_text = xasprintf("%d", lock_fd);
	if (setenv("RKT_LOCK_FD", fd_text, 1) < 0 || fchdir(pod->fd) < 0)
		r = error_errno(err, "pod %s", pod->uuid);
	else {
		execv(argv->v[0], argv->v);
		r = error_errno(err, "starting stage1: %s", argv->v[0]);
	}
	close(lock_fd);
	return r;
}

/* The whole content of a file that a child has written, of at most max bytes. */
static int read_output(int fd, size_t max, char **ret, size_t *ret_len, struct error *err)
{
	cleanup_free char *text = NULL;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "stage1's measurement");
	if ((uint64_t)st.st_size > max)
		return error_set(err, -EFBIG, "stage1's measurement: more than %zu bytes", max);
	text = xcalloc(1, (size_t)st.st_size + 1);
	r = pread_all(fd, text, (size_t)st.st_size, 0);
	if (r < 0)
		return error_set(err, r, "stage1's measurement: %s", strerror(-r));
	*ret = take_ptr(text);
	*ret_len = (size_t)st.st_size;
	return 0;
}

int stage1_measure(const struct pods *pods, const struct pod *pod, struct json_object *manifest,
		   const struct globals *globals, const struct stage1_run *run,
		   const struct stage1_host *host, char **ret, size_t *ret_len, struct error *err)
{
	cleanup_fd int out = memfd_create("measurement", MFD_CLOEXEC), pidfd = -1;
	cleanup_strv struct strv words = STRV_INIT, argv = STRV_INIT;
	const struct spawn_fd fds[] = {{out, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
	struct spawn_args args = {.cwd = pod->fd, .fds = fds, .nfds = ARRAY_SIZE(fds)};
	int status = 0, r;
	pid_t pid;

	if (out < 0)
		return error_errno(err, "memfd_create");
	if (!stage1_takes_disks(manifest))
		return error_set(err, -ENOTSUP, "this stage1 measures no launches");
	r = stage1_arguments(pods, pod, manifest, globals, run, &words, err);
	if (r == 0)
		r = name_digests(pods, err);
	if (r < 0)
		return r;
	strv_add(&argv, words.v[0]);
	strv_add(&argv, "--measure");
	if (host->kind)
		strv_add_owned(&argv, xasprintf("--host=%s", host->kind));
	if (host->cpus)
		strv_add_owned(&argv, xasprintf("--host-cpus=%s", host->cpus));
	for (size_t i = 1; i < words.n; i++)
		strv_add(&argv, words.v[i]);
	args.path = argv.v[0];
	args.argv = argv.v;
	r = spawn(&args, &pid, &pidfd, err);
	if (r < 0)
		return r;
	r = spawn_wait(pid, pidfd, STAGE1_MEASURE_TIMEOUT_MS, &status, err);
	if (r < 0) {
		spawn_kill(pid, pidfd);
		return error_wrap(err, "stage1's measurement");
	}
	if (status != 0)
		return error_set(err, -EIO, "stage1's measurement ended with status %d", status);
	return read_output(out, EVENTLOG_MAX, ret, ret_len, err);
}

int stage1_manifest(const struct pod *pod, struct json_object **ret, struct error *err)
{
	cleanup_strv struct strv warnings = STRV_INIT;
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(pod->fd, "stage1/manifest", JSON_SIZE_MAX, &text, &len, err);

	if (r == 0)
		r = image_manifest_parse(text, len, ret, &warnings, err);
	return r < 0 ? error_wrap(err, "pod %s: stage1's manifest", pod->uuid) : 0;
}

/* The entry point of the pod's own stage1, which is there as a file. -ENOENT: it is not. */
static int find_entry(const struct pod *pod, const char *name, char **ret, struct error *err)
{
	cleanup_json struct json_object *manifest = NULL;
	cleanup_free char *entry = NULL;
	int r = stage1_manifest(pod, &manifest, err);

	if (r == 0)
		r = stage1_entrypoint(manifest, name, &entry, err);
	if (r == 0 && faccessat(pod->fd, entry, F_OK, 0) < 0)
		r = error_errno(err, "stage1's %s entry point", name);
	if (r == 0)
		*ret = take_ptr(entry);
	return r;
}

/* Start an entry point in the pod's directory with our stdout and stderr. */
static int start_entry(const struct pod *pod, const struct strv *argv, pid_t *ret_pid,
		       int *ret_pidfd, struct error *err)
{
	const struct spawn_fd fds[] = {{STDOUT_FILENO, STDOUT_FILENO},
				       {STDERR_FILENO, STDERR_FILENO}};
	const struct spawn_args args = {
		.path = argv->v[0],
		.argv = argv->v,
		.cwd = pod->fd,
		.fds = fds,
		.nfds = ARRAY_SIZE(fds),
	};

	return spawn(&args, ret_pid, ret_pidfd, err);
}

int stage1_stop(const struct pod *pod, bool force, pid_t *ret_pid, int *ret_pidfd,
		struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_free char *entry = NULL;
	int r = find_entry(pod, "stop", &entry, err);

	if (r < 0)
		return r;
	strv_add(&argv, entry);
	if (force)
		strv_add(&argv, "--force");
	strv_add(&argv, pod->uuid);
	return start_entry(pod, &argv, ret_pid, ret_pidfd, err);
}

int stage1_enter(const struct pod *pod, int pid, const char *app, char *const *command,
		 struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_free char *entry = NULL;
	int r = find_entry(pod, "enter", &entry, err);

	if (r < 0)
		return r;
	strv_add(&argv, entry);
	strv_add_owned(&argv, xasprintf("--pid=%d", pid));
	strv_add_owned(&argv, xasprintf("--appname=%s", app));
	strv_add(&argv, "--");
	for (; *command; command++)
		strv_add(&argv, *command);
	if (fchdir(pod->fd) < 0)
		return error_errno(err, "pod %s", pod->uuid);
	execv(entry, argv.v);
	return error_errno(err, "starting stage1's enter entry point");
}

int stage1_attach(const struct pod *pod, const char *app, const char *action, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_free char *entry = NULL;
	int r = find_entry(pod, "attach", &entry, err);

	if (r < 0)
		return r;
	strv_add(&argv, entry);
	strv_add_owned(&argv, xasprintf("--action=%s", action));
	strv_add_owned(&argv, xasprintf("--app=%s", app));
	if (fchdir(pod->fd) < 0)
		return error_errno(err, "pod %s", pod->uuid);
	execv(entry, argv.v);
	return error_errno(err, "starting stage1's attach entry point");
}

int stage1_gc(const struct pod *pod, bool debug, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_free char *entry = NULL;
	cleanup_fd int pidfd = -1;
	int status = 0, r;
	pid_t pid;

	r = find_entry(pod, "gc", &entry, err);
	if (r < 0) { /* also what a preparation that was cut short, or a deletion, leaves */
		err->code = -ENOENT;
		return -ENOENT;
	}
	strv_add(&argv, entry);
	if (debug)
		strv_add(&argv, "--debug");
	strv_add(&argv, pod->uuid);
	r = start_entry(pod, &argv, &pid, &pidfd, err);
	if (r < 0)
		return r;
	r = spawn_wait(pid, pidfd, STAGE1_GC_TIMEOUT_MS, &status, err);
	if (r < 0) {
		spawn_kill(pid, pidfd);
		return error_wrap(err, "stage1's gc entry point");
	}
	if (status != 0)
		return error_set(err, -EIO, "stage1's gc entry point ended with status %d", status);
	return 0;
}

bool stage1_is_mutable(struct json_object *manifest)
{
	static const char *const names[] = {"app/add", "app/rm", "app/start", "app/stop"};
	struct error ignored = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *path = NULL;

		if (stage1_entrypoint(manifest, names[i], &path, &ignored) < 0)
			return false;
	}
	return true;
}

/* How an entry point crosses into the pod, by those that do that through enter. */
static int name_crossing(const struct pod *pod, int pid, const char *app, struct error *err)
{
	cleanup_free char *enter = NULL, *number = xasprintf("%d", pid);
	struct error ignored = ERROR_INIT;

	if (find_entry(pod, "enter", &enter, &ignored) == 0 &&
	    setenv("RKT_STAGE1_ENTERCMD", enter, 1) < 0)
		return error_errno(err, "setenv");
	if (setenv("RKT_STAGE1_ENTERPID", number, 1) < 0 ||
	    setenv("RKT_STAGE1_ENTERAPP", app, 1) < 0)
		return error_errno(err, "setenv");
	return 0;
}

int stage1_app(const struct pod *pod, int pid, const char *name, const char *app, bool debug,
	       struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_free char *entry = NULL;
	cleanup_fd int pidfd = -1;
	int status = 0, r;
	pid_t child;

	r = find_entry(pod, name, &entry, err);
	if (r == 0)
		r = name_crossing(pod, pid, app, err);
	if (r < 0)
		return r;
	strv_add(&argv, entry);
	if (debug)
		strv_add(&argv, "--debug");
	strv_add_owned(&argv, xasprintf("--app=%s", app));
	r = start_entry(pod, &argv, &child, &pidfd, err);
	if (r == 0)
		r = spawn_wait(child, pidfd, -1, &status, err);
	if (r < 0)
		return error_wrap(err, "stage1's %s entry point", name);
	if (status != 0)
		return error_set(err, -EIO, "stage1's %s entry point ended with status %d", name,
				 status);
	return 0;
}
