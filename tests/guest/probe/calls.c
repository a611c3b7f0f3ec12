/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process may do, by trying it.
 *
 * What could end us is tried in a child: a value is an errno's name, "ok", or "killed".
 */
#include "tests/guest/probe/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE_OK 200 /* no errno */

const char *code_name(int code)
{
	static const struct {
		int code;
		const char *name;
	} names[] = {{0, "ok"},
		     {EPERM, "EPERM"},
		     {EACCES, "EACCES"},
		     {ENOSYS, "ENOSYS"},
		     {EINVAL, "EINVAL"},
		     {EROFS, "EROFS"},
		     {ENOENT, "ENOENT"},
		     {EFAULT, "EFAULT"},
		     {EBADF, "EBADF"},
		     {EXDEV, "EXDEV"},
		     {ENODEV, "ENODEV"},
		     {ENXIO, "ENXIO"},
		     {ENOTDIR, "ENOTDIR"},
		     {EISDIR, "EISDIR"},
		     {EIO, "EIO"}};
	static char number[16];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].code == code)
			return names[i].name;
	snprintf(number, sizeof(number), "%d", code);
	return number;
}

/*
 * Try something in a child and tell how it went. The child has our memory, which is cheap, unless what
 * it tries is not for such: a user namespace, and more memory than there is.
 */
static void try_in(pid_t pid, const char *name, int (*what)(void))
{
	int status;

	if (pid == 0) {
		errno = 0;
		_exit(what() < 0 ? errno : CODE_OK);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		printf("%s=no child: %s\n", name, strerror(errno));
	else if (WIFSIGNALED(status))
		printf("%s=killed\n", name);
	else
		printf("%s=%s\n", name,
		       code_name(WEXITSTATUS(status) == CODE_OK ? 0 : WEXITSTATUS(status)));
}

struct trial {
	int (*what)(void);
};

/* Runs in the child of vfork(2), on a stack of its own. */
static int run_trial(void *arg)
{
	const struct trial *trial = arg;

	errno = 0;
	_exit(trial->what() < 0 ? errno : CODE_OK);
}

static void try(const char *name, int (*what)(void))
{
	static _Alignas(16) char stack[65536];
	struct trial trial = {what};

	try_in(clone(run_trial, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &trial),
	       name, what);
}

static void try_apart(const char *name, int (*what)(void))
{
	try_in(fork(), name, what);
}

static int try_mount(void)
{
	/* what comes after it needs the one below */
	return mount("none", "/proc", "tmpfs", 0, NULL) < 0 ? -1 : umount2("/proc", MNT_DETACH);
}

static int try_remount(void)
{
	return mount(NULL, "/", NULL, MS_REMOUNT, NULL);
}

static int try_umount(void)
{
	return umount2("/sys/module", MNT_DETACH);
}

static int try_unshare(void)
{
	return unshare(CLONE_NEWNS);
}

static int try_ptrace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int try_settime(void)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return settimeofday(&now, NULL);
}

static int try_chroot(void)
{
	return chroot("/");
}

static int try_mknod(void)
{
	return mknod("/tmp/probe-node", S_IFCHR | 0600, 1 << 8 | 3);
}

static int try_setuid(void)
{
	return setuid(1234);
}

static int try_keyctl(void)
{
	return (int)syscall(SYS_keyctl, 0, -3, 0);
}

static int try_bpf(void)
{
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int try_uring(void)
{
	return (int)syscall(SYS_io_uring_setup, 1, NULL);
}

static int try_uname(void)
{
	char buf[512];

	return (int)syscall(SYS_uname, buf);
}

static int try_sethostname(void)
{
	return sethostname("probe", 5);
}

/* More of the processor than others: what a root without CAP_SYS_NICE may not take. */
static int try_nice(void)
{
	return setpriority(PRIO_PROCESS, 0, -5);
}

/* Touch more memory than some have. */
static int try_hog(void)
{
	size_t size = 5 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	memset(p, 1, size);
	return 0;
}

/* Be spared when memory runs out. */
static int try_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	return fd < 0 || write(fd, "-1000", 5) < 0 ? -1 : 0;
}

static int try_core_pattern(void)
{
	return open("/proc/sys/kernel/core_pattern", O_WRONLY);
}

static int try_panic(void)
{
	return open("/proc/sys/vm/panic_on_oom", O_WRONLY);
}

static int try_sys(void)
{
	return access("/sys/devices", W_OK);
}

static int try_hidden(void)
{
	return mkdir("/sys/module/probe", 0700);
}

static int try_cgroup(void)
{
	return access("/sys/fs/cgroup", F_OK);
}

/* Take the covers away, as root of a user namespace, where mounts can be made and undone. */
static int try_uncover(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? -1 : umount2("/sys/module", MNT_DETACH);
}

/* ... or look at another /proc, without covers. */
static int try_fresh_proc(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) < 0
		       ? -1
		       : mount("proc", "/tmp", "proc", 0, NULL);
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

/* Raise what limits our own control group, by way of a mount of ours. */
static int raise_group(int namespaces)
{
	return unshare(namespaces) < 0 || mount("cgroup2", "/tmp", "cgroup2", 0, NULL) < 0
		       ? -1
		       : write_text("/tmp/memory.max", "max");
}

static int try_raise_group(void)
{
	return raise_group(CLONE_NEWNS);
}

static int try_raise_group_as_user(void)
{
	return raise_group(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP);
}

static int try_raise_files(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max = limit.rlim_max + 1;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

static int try_init_root(void)
{
	return open("/proc/1/root", O_RDONLY | O_DIRECTORY);
}

static int try_init_ns(void)
{
	return open("/proc/1/ns/mnt", O_RDONLY);
}

static int try_root_write(void)
{
	return open("/probe-was-here", O_CREAT | O_WRONLY, 0600);
}

static int try_tty(void)
{
	return open("/dev/tty", O_RDWR);
}

static int try_sysctl(void)
{
	return write_text("/proc/sys/kernel/sysrq", "1");
}

/* A POSIX shared memory object, as shm_open(3) makes it. Other apps make theirs. */
static int try_shm(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/shm/probe-%d", (int)getpid());
	return open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
}

static int try_mqueue(void)
{
	char name[64];

	snprintf(name, sizeof(name), "probe-%d", (int)getpid());
	return (int)syscall(SYS_mq_open, name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
}

static int try_pty(void)
{
	return open("/dev/ptmx", O_RDWR | O_NOCTTY);
}

void tell_calls(void)
{
	static const struct {
		const char *name;
		int (*what)(void);
	} calls[] = {
		{"mount", try_mount},
		{"remount", try_remount},
		{"unshare", try_unshare},
		{"ptrace", try_ptrace},
		{"settime", try_settime},
		{"chroot", try_chroot},
		{"mknod", try_mknod},
		{"setuid", try_setuid},
		{"keyctl", try_keyctl},
		{"bpf", try_bpf},
		{"uring", try_uring},
		{"uname", try_uname},
		{"sethostname", try_sethostname},
		{"nice", try_nice},
		{"raise-oom", try_oom},
		{"core", try_core_pattern},
		{"panic", try_panic},
		{"sys", try_sys},
		{"hidden", try_hidden},
		{"groups", try_cgroup},
		{"raise-group", try_raise_group},
		{"raise-files", try_raise_files},
		{"init-root", try_init_root},
		{"init-ns", try_init_ns},
		{"root-write", try_root_write},
		{"tty", try_tty},
		{"sysctl", try_sysctl},
		{"shm", try_shm},
		{"mqueue", try_mqueue},
		{"pty", try_pty},
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		try(calls[i].name, calls[i].what);
	try_apart("uncover", try_uncover);
	try_apart("fresh-proc", try_fresh_proc);
	try_apart("raise-group-as-user", try_raise_group_as_user);
	try("umount", try_umount); /* last: it stays so */
}

void tell_hog(void)
{
	try_apart("hog", try_hog);
}
