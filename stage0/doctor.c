/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks. Each adds one finding and goes on whatever the others found, so that one run tells
 * everything. What kind of KVM this is only the VMM knows: the stage1 image's run entry point is
 * called with --probe, from a pod directory that exists for just that long.
 */
#include "stage0/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/file.h"
#include "common/spawn.h"
#include "common/util.h"
#include "stage0/image_manifest.h"
#include "stage0/imageref.h"
#include "stage0/stage1.h"

#define CHECK_DATA	 "data directory"
#define PROBE_TIMEOUT_MS 30000	     /* takes milliseconds; a host that is slower runs no pod */
#define PROBE_TEXT_MAX	 (16 * KIB)  /* within what a pipe holds without a reader */
#define GROUP_MAX	 (16 * KIB)  /* a line of /etc/group; a longer one is not shown */
#define FREE_MIN	 (512 * MIB) /* on the data directory's file system */
#define NOFILE_MIN	 256	     /* descriptors: a pod of many apps and connections */

static struct finding *add(struct diagnosis *d, const char *check, enum verdict verdict,
			   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static struct finding *add(struct diagnosis *d, const char *check, enum verdict verdict,
			   const char *fmt, ...)
{
	struct finding *finding;
	char text[ERROR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->v = xrealloc(d->v, d->n + 1, sizeof(*d->v));
	finding = &d->v[d->n++];
	*finding = (struct finding){.check = check, .verdict = verdict, .found = xstrdup(text)};
	return finding;
}

void diagnosis_free(struct diagnosis *diagnosis)
{
	for (size_t i = 0; i < diagnosis->n; i++) {
		free(diagnosis->v[i].found);
		free(diagnosis->v[i].advice);
	}
	free(diagnosis->v);
	strv_free(&diagnosis->probe);
}

bool diagnosis_is_good(const struct diagnosis *diagnosis)
{
	for (size_t i = 0; i < diagnosis->n; i++)
		if (diagnosis->v[i].verdict == VERDICT_FAIL)
			return false;
	return true;
}

/* The command that gives this user access to the device. */
static char *kvm_access_advice(const struct stat *st)
{
	struct group group, *found = NULL;
	char buf[GROUP_MAX];

	if (st->st_gid != 0 && (st->st_mode & 060) == 060 &&
	    getgrgid_r(st->st_gid, &group, buf, sizeof(buf), &found) == 0 && found)
		return xasprintf("join its group: sudo usermod -aG %s $USER, then log in again",
				 group.gr_name);
	return xstrdup(
		"the device has no group that may use it: sudo chgrp kvm /dev/kvm && "
		"sudo chmod 660 /dev/kvm, then sudo usermod -aG kvm $USER, and log in again");
}

/* Whether /dev/kvm can be used. */
static bool check_kvm(struct diagnosis *d)
{
	static const char check[] = "/dev/kvm";
	cleanup_fd int fd = open(check, O_RDWR | O_CLOEXEC);
	struct stat st;
	int version;

	if (fd < 0 && (errno == EACCES || errno == EPERM) && stat(check, &st) == 0) {
		add(d, check, VERDICT_FAIL, "no permission to use it")->advice =
			kvm_access_advice(&st);
		return false;
	}
	if (fd < 0 && errno == ENOENT) {
		add(d, check, VERDICT_FAIL, "does not exist")->advice = xstrdup(
			"load the module (sudo modprobe kvm_intel, or kvm_amd) after switching "
			"virtualisation on in the firmware; in a VM, ask its host for nested "
			"virtualisation; in a container, pass the device in");
		return false;
	}
	if (fd < 0) {
		add(d, check, VERDICT_FAIL, "%s", strerror(errno))->advice =
			xstrdup("the module may be loaded without hardware support: see dmesg");
		return false;
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		add(d, check, VERDICT_FAIL, "is not KVM, or has an API version other than %d",
		    KVM_API_VERSION);
		return false;
	}
	add(d, check, VERDICT_OK, "usable, API version %d", version);
	return true;
}

/* Call the run entry point, in the pod's stage1, with --probe. *ret is what it said. */
static int run_probe(const struct pod *pod, const char *entry, char **ret, struct error *err)
{
	char *const argv[] = {(char *)entry, "--probe", NULL};
	struct spawn_fd fds[] = {{-1, STDOUT_FILENO}, {-1, STDERR_FILENO}};
	const struct spawn_args args = {
		.path = entry, .argv = argv, .cwd = pod->fd, .fds = fds, .nfds = 2};
	cleanup_fd int rd = -1, wr = -1, pidfd = -1;
	cleanup_free char *text = xcalloc(PROBE_TEXT_MAX + 1, 1);
	int pipe_fds[2], status = 0, r;
	ssize_t len;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, "pipe");
	rd = pipe_fds[0];
	wr = pipe_fds[1];
	fds[0].parent = fds[1].parent = wr;
	r = spawn(&args, &pid, &pidfd, err);
	if (r < 0)
		return r;
	r = spawn_wait(pid, pidfd, PROBE_TIMEOUT_MS, &status, err);
	if (r < 0) {
		spawn_kill(pid, pidfd);
		return r;
	}
	fcntl(rd, F_SETFL, O_NONBLOCK);
	len = read(rd, text, PROBE_TEXT_MAX);
	if (len > 0)
		text[len] = '\0';
	if (status != 0) {
		text[strcspn(text, "\n")] = '\0';
		return error_set(err, -EIO, "%s", *text ? text : "its probe failed");
	}
	*ret = take_ptr(text);
	return 0;
}

/* Unpack stage1 into a pod that is removed at once, and probe from there. */
static int probe_from_pod(const struct pods *pods, struct store *store, const char *key,
			  const char *entry, char **ret, struct error *err)
{
	cleanup_pod struct pod pod = POD_INIT;
	struct error removing = ERROR_INIT;
	int r = pod_create(pods, &pod, err);

	if (r < 0)
		return r;
	r = mkdir_path(pod.fd, "stage1", 0750, err);
	if (r == 0)
		r = store_place_tree(store, key, pod.fd, "stage1/rootfs", STORE_LINK, NULL, err);
	if (r == 0)
		r = run_probe(&pod, entry, ret, err);
	if (pod_move(pods, &pod, POD_GARBAGE, &removing) < 0 ||
	    pod_delete(pods, &pod, &removing) < 0)
		r = r < 0 ? r : error_set(err, removing.code, "%s", removing.msg);
	return r;
}

static void check_probe(struct diagnosis *d, char *text)
{
	static const char check[] = "KVM";
	/* what the VMM can not do without; Linux 4.7 and later have all */
	static const char *const needed[] = {"split-irqchip", "irqfd", "ioeventfd", "signal-msi"};
	cleanup_str struct str missing = STR_INIT;
	const char *mode;

	strv_split(&d->probe, text, '\n');
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		const char *value = keyvals_get(&d->probe, needed[i]);

		if (!value || strcmp(value, "yes") != 0)
			str_addf(&missing, "%s%s", missing.len ? ", " : "", needed[i]);
	}
	mode = keyvals_get(&d->probe, "kernel-mode");
	if (missing.len)
		add(d, check, VERDICT_FAIL, "lacks %s", str_get(&missing))->advice =
			xstrdup("a host kernel of version 4.7 or later has what is needed");
	else if (mode && strcmp(mode, "emulated") == 0)
		add(d, check, VERDICT_WARN,
		    "the guest's kernel mode is emulated here: a pod takes seconds to start")
			->advice = xstrdup("a host (or a VM with nested virtualisation) whose CPU "
					   "shows vmx or svm starts pods far faster");
	else
		add(d, check, VERDICT_OK, "the guest's kernel mode runs on hardware");
}

static void check_stage1(struct diagnosis *d, const struct pods *pods, struct store *store,
			 const char *stage1_path, bool kvm)
{
	static const char check[] = "stage1";
	cleanup_free char *path = NULL, *entry = NULL, *text = NULL;
	cleanup_json struct json_object *manifest = NULL;
	cleanup_strv struct strv warnings = STRV_INIT;
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	if (stage1_find(stage1_path, &path, &err) < 0 ||
	    imageref_import_aci(store, path, key, &err) < 0 ||
	    store_manifest(store, key, &manifest, &err) < 0 ||
	    image_manifest_check(manifest, &warnings, &err) < 0 ||
	    stage1_entrypoint(manifest, "run", &entry, &err) < 0) {
		add(d, check, VERDICT_FAIL, "%s", err.msg);
		return;
	}
	add(d, check, VERDICT_OK, "%s", path);
	if (!kvm)
		return;
	if (probe_from_pod(pods, store, key, entry, &text, &err) < 0)
		add(d, "KVM", VERDICT_FAIL, "%s", err.msg);
	else
		check_probe(d, text);
}

static const char *fs_name(long type)
{
	static const struct {
		long type;
		const char *name;
	} names[] = {
		{EXT4_SUPER_MAGIC, "ext4"},	    {XFS_SUPER_MAGIC, "xfs"},
		{BTRFS_SUPER_MAGIC, "btrfs"},	    {TMPFS_MAGIC, "tmpfs"},
		{OVERLAYFS_SUPER_MAGIC, "overlay"}, {NFS_SUPER_MAGIC, "nfs"},
		{F2FS_SUPER_MAGIC, "f2fs"},	    {0x2fc12fc1, "zfs"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].type == type)
			return names[i].name;
	return "unknown";
}

static void check_space(struct diagnosis *d, const char *data_dir)
{
	static const char check[] = CHECK_DATA;
	struct statfs fs;
	uint64_t left;

	if (statfs(data_dir, &fs) < 0) {
		add(d, check, VERDICT_FAIL, "%s: %s", data_dir, strerror(errno));
		return;
	}
	left = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	if (fs.f_type == NFS_SUPER_MAGIC)
		add(d, check, VERDICT_WARN, "%s is on nfs, whose locks and links are slow",
		    data_dir)
			->advice = xstrdup("name one on a local file system with --dir");
	else if (left < FREE_MIN)
		add(d, check, VERDICT_WARN, "%s (%s) has only %llu MiB left", data_dir,
		    fs_name(fs.f_type), (unsigned long long)(left / MIB))
			->advice = xstrdup("make room: tripod gc --grace-period=0s");
	else
		add(d, check, VERDICT_OK, "%s (%s), %llu MiB free", data_dir, fs_name(fs.f_type),
		    (unsigned long long)(left / MIB));
}

static void check_limits(struct diagnosis *d)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		bool low = limit.rlim_cur < NOFILE_MIN;
		struct finding *f = add(d, "open files", low ? VERDICT_WARN : VERDICT_OK,
					"limit %llu", (unsigned long long)limit.rlim_cur);

		if (low)
			f->advice = xasprintf("ulimit -n %d", NOFILE_MIN);
	}
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
		if (limit.rlim_cur == RLIM_INFINITY)
			add(d, "locked memory", VERDICT_OK, "no limit");
		else
			add(d, "locked memory", VERDICT_OK, "limit %llu KiB; pods lock none",
			    (unsigned long long)(limit.rlim_cur / KIB));
	}
}

/* Programs other packages bring. */
static void check_helpers(struct diagnosis *d)
{
	static const struct {
		const char *name, *package, *without;
		const char *paths[4];
	} helpers[] = {
		{"swtpm",
		 "swtpm",
		 "pods have no TPM",
		 {"/usr/bin/swtpm", "/usr/local/bin/swtpm", NULL}},
		{"virtiofsd",
		 "qemu-system-common",
		 "pods have no directories of the host",
		 {"/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", NULL}},
		{"passt",
		 "passt",
		 "pods of users who are not root need --net=none",
		 {"/usr/bin/passt", "/usr/local/bin/passt", NULL}},
		{"CNI plugins",
		 "containernetworking-plugins",
		 "pods of root need --net=none",
		 {"/usr/lib/cni/ptp", "/opt/cni/bin/ptp", "/usr/lib/rkt/plugins/net/ptp", NULL}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(helpers); i++) {
		const char *found = NULL;

		for (const char *const *p = helpers[i].paths; *p && !found; p++)
			if (access(*p, X_OK) == 0)
				found = *p;
		if (found)
			add(d, helpers[i].name, VERDICT_OK, "%s", found);
		else
			add(d, helpers[i].name, VERDICT_INFO, "not installed: %s",
			    helpers[i].without)
				->advice = xasprintf("apt install %s", helpers[i].package);
	}
}

void diagnose(const struct globals *globals, const char *stage1_path, struct diagnosis *ret)
{
	cleanup_free char *data_dir = NULL;
	struct pods pods = {.fd = -1};
	struct store *store = NULL;
	struct error err = ERROR_INIT;
	bool kvm;

	*ret = (struct diagnosis){.v = NULL};
	kvm = check_kvm(ret);
	if (globals_data_dir(globals, &data_dir, &err) < 0 ||
	    pods_open(data_dir, &pods, &err) < 0 || store_open(data_dir, &store, &err) < 0) {
		add(ret, CHECK_DATA, VERDICT_FAIL, "%s", err.msg)->advice =
			xstrdup("name another one with --dir");
	} else {
		check_space(ret, data_dir);
		check_stage1(ret, &pods, store, stage1_path, kvm);
	}
	check_limits(ret);
	check_helpers(ret);
	store_close(store);
	pods_close(&pods);
}
