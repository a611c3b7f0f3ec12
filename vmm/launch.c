/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"
#include "firmware/fdt.h"

#define CACHE_ENV     "TRIPOD_DIGESTS"
#define NO_UUID	      "UUID"
#define HOSTNAME_FLAG "--hostname="
#define TOKEN_FLAG    "--mds-token="

void launch_begin(struct launch_parts *parts)
{
	const char *path = getenv(CACHE_ENV);
	struct error ignored = ERROR_INIT;

	*parts = (struct launch_parts){.cache = DIGESTCACHE_NONE};
	if (path && *path)
		(void)digestcache_open(AT_FDCWD, path, false, &parts->cache, &ignored);
}

void launch_end(struct launch_parts *parts)
{
	digestcache_close(&parts->cache);
}

/* An image's manifest is small; a stage0 without appsinfo measures as an empty one. */
static int measure_file(const struct launch_parts *parts, int dirfd, const char *path,
			struct digests *ret, struct error *err)
{
	cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT) {
		digests_of("", 0, ret);
		return 0;
	}
	if (fd < 0)
		return error_errno(err, "%s", path);
	r = digestcache_file(&parts->cache, fd, ret, err);
	return r < 0 ? error_wrap(err, "%s", path) : 0;
}

int launch_add_app(struct launch_parts *parts, int pod_dir, const struct pod_app *app,
		   const int *disk, unsigned ndisk, struct error *err)
{
	struct measure_app *ret = &parts->apps[parts->napps];
	cleanup_free struct digests *files = xcalloc(ndisk, sizeof(*files));
	cleanup_free char *manifest = xasprintf("appsinfo/%s/manifest", app->name);
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ndisk; i++)
		r = digestcache_file(&parts->cache, disk[i], &files[i], err);
	if (r == 0) {
		measure_disk(files, ndisk, &ret->rootfs);
		r = measure_file(parts, pod_dir, manifest, &ret->manifest, err);
	}
	if (r < 0)
		return error_wrap(err, "app %s", app->name);
	ret->name = app->name;
	parts->napps++;
	return 0;
}

int launch_add_files(struct launch_parts *parts, int pod_dir, int kernel, int initrd,
		     struct error *err)
{
	int r = measure_file(parts, AT_FDCWD, "/proc/self/exe", &parts->vmm, err);
	struct stat st;

	if (r == 0 && stat("/proc/self/exe", &st) < 0)
		r = error_errno(err, "/proc/self/exe");
	if (r < 0)
		return r;
	parts->vmm_size = (uint64_t)st.st_size;
	r = measure_file(parts, pod_dir, "pod", &parts->manifest, err);
	if (r < 0)
		return r;
	if (digestcache_file(&parts->cache, kernel, &parts->kernel, err) < 0)
		return error_wrap(err, "vmlinux");
	if (digestcache_file(&parts->cache, initrd, &parts->initrd, err) < 0)
		return error_wrap(err, "initrd");
	return 0;
}

/* Whether the host name is the one a pod has when nobody chose one. */
static bool is_default_hostname(const struct stage1_args *args, const char *name)
{
	return str_starts_with(name, "rkt-") && strcmp(name + 4, args->uuid) == 0;
}

static void normal_args(const struct stage1_args *args, struct strv *ret)
{
	for (int i = 0; i < args->argc; i++) {
		const char *arg = args->argv[i];

		if (i == args->argc - 1)
			arg = NO_UUID;
		else if (str_starts_with(arg, TOKEN_FLAG))
			arg = TOKEN_FLAG;
		else if (str_starts_with(arg, HOSTNAME_FLAG) &&
			 is_default_hostname(args, arg + strlen(HOSTNAME_FLAG)))
			arg = HOSTNAME_FLAG "rkt-" NO_UUID;
		strv_add(ret, arg);
	}
}

static int normal_plan(const struct launch *launch, uint8_t **ret, size_t *ret_len,
		       struct error *err)
{
	struct plan_args args = *launch->plan;
	const struct podnet net = podnet_unleased(args.net);
	struct pod_spec pod = *launch->pod;
	cleanup_free struct pod_volume *volumes = xcalloc(MAX(pod.nvolumes, 1U), sizeof(*volumes));

	args.net = &net;
	if (is_default_hostname(launch->args, args.hostname))
		args.hostname = "rkt-" NO_UUID;
	if (args.uuid)
		args.uuid = NO_UUID; /* the machine id is made of it */
	if (args.mds_token)
		args.mds_token = LAUNCH_TOKEN;
	args.tty = false;
	args.rows = args.columns = 0;
	for (unsigned i = 0; i < pod.nvolumes; i++) {
		volumes[i] = pod.volumes[i];
		volumes[i].is_file = false;
	}
	pod.volumes = volumes;
	return plan_build(&pod, &args, ret, ret_len, err);
}

int launch_log(const struct launch *launch, struct eventlog *ret, struct error *err)
{
	struct firmware_params machine = *launch->machine;
	cleanup_free uint8_t *tree = xcalloc(1, FDT_SIZE_MAX), *plan = NULL;
	cleanup_strv struct strv args = STRV_INIT;
	struct measure_launch measured = {
		.version = "tripod-vmm " TRIPOD_VERSION,
		.vmm = launch->parts->vmm,
		.vmm_size = launch->parts->vmm_size,
		.tree = tree,
		.ncpus = machine.ncpus,
		.memory = launch->memory,
		.hotplug = launch->hotplug,
		.kernel = launch->parts->kernel,
		.initrd = launch->parts->initrd,
		.cmdline = machine.cmdline,
		.apps = launch->parts->apps,
		.napps = launch->parts->napps,
		.manifest = launch->parts->manifest,
	};
	int r;

	machine.log_gpa = 0;
	machine.log_len = 0;
	r = fdt_build(&machine, tree, &measured.tree_len, err);
	if (r == 0)
		r = normal_plan(launch, &plan, &measured.plan_len, err);
	if (r < 0)
		return r;
	normal_args(launch->args, &args);
	measured.args = (const char *const *)args.v;
	measured.nargs = (unsigned)args.n;
	measured.plan = plan;
	return measure_launch(&measured, ret, err);
}

/* A pod's directory is thrown away when the host crashes: no fsync, but written aside. */
static int write_log(int pod_dir, const struct eventlog *log, struct error *err)
{
	static const char aside[] = LAUNCH_LOG_FILE ".new";
	cleanup_fd int fd =
		openat(pod_dir, aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return error_errno(err, LAUNCH_LOG_FILE);
	r = write_all(fd, log->data, log->len);
	if (r == 0 && renameat(pod_dir, aside, pod_dir, LAUNCH_LOG_FILE) < 0)
		r = -errno;
	return r < 0 ? error_set(err, r, LAUNCH_LOG_FILE ": %s", strerror(-r)) : 0;
}

int launch_record(int pod_dir, const struct eventlog *log, struct error *err)
{
	cleanup_free char *required = NULL;
	size_t len;
	int r = write_log(pod_dir, log, err);

	if (r < 0)
		return r;
	if (faccessat(pod_dir, LAUNCH_REQUIRED_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_errno(err, LAUNCH_REQUIRED_FILE);
	r = file_read(pod_dir, LAUNCH_REQUIRED_FILE, EVENTLOG_MAX, &required, &len, err);
	if (r == 0)
		r = measure_compare(log->data, log->len, required, len, err);
	return r < 0 ? error_wrap(err, "required measurements") : 0;
}
