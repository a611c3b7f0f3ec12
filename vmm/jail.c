/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order within a jail matters: Landlock and seccomp want no_new_privs (or a capability that is
 * about to go), and seccomp comes last because it forbids the other steps.
 *
 * The filters are classic BPF, made of two tables: calls allowed whatever their arguments, and
 * ioctl() requests. A few calls are allowed with one argument looked at. All else traps: SIGSYS says
 * which call it was and ends the process, so that a missing table entry is found by its name.
 */
#include "vmm/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/util.h"

#define EXIT_JAILED 254
#define NOBODY	    65534

static const int process_calls[] = {
	/* the loop, eventfds, streams, the control socket */
	SYS_epoll_wait,
	SYS_epoll_pwait,
	SYS_epoll_ctl,
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_accept4,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_sendto,
	SYS_sendmsg,
	SYS_shutdown,
	SYS_poll,
	SYS_ppoll,
	/* disks, kernel log of a dead guest */
	SYS_preadv,
	SYS_pwritev,
	SYS_pread64,
	SYS_pwrite64,
	SYS_fdatasync,
	SYS_fallocate,
	/* files of the pod directory */
	SYS_openat,
	SYS_close,
	SYS_fstat,
	SYS_newfstatat,
	SYS_mkdir,
	SYS_mkdirat,
	SYS_symlinkat,
	SYS_rename,
	SYS_renameat,
	SYS_renameat2,
	SYS_unlink,
	SYS_unlinkat,
	SYS_umask,
	SYS_fcntl,
	SYS_fsync,
	SYS_lseek,
	SYS_getcwd,
	SYS_timerfd_settime,
	/* memory and threads of our own; PROT_EXEC is looked at below */
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_sched_yield,
	/* time, entropy, signals, the end */
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_gettimeofday,
	SYS_getrandom,
	SYS_rt_sigreturn,
	SYS_rt_sigprocmask,
	SYS_rt_sigaction,
	SYS_restart_syscall,
	SYS_wait4, /* the terminal's guard */
	SYS_getpid,
	SYS_gettid,
	SYS_exit,
	SYS_exit_group,
};

static const unsigned process_ioctls[] = {
	KVM_SET_USER_MEMORY_REGION, /* virtio-mem */
	KVM_SIGNAL_MSI,		    /* the serial port */
	KVM_SET_GSI_ROUTING,
	TUNSETOFFLOAD,
	TIOCGWINSZ,
	TCGETS,
	TCSETS,
	TCSETSW,
	TCSETSF,
};

static const int vcpu_calls[] = {
	SYS_futex,
	SYS_write,
	SYS_read,
	/* the TPM, which answers within the guest's access */
	SYS_sendto,
	SYS_recvfrom,
	SYS_poll,
	SYS_close,
	SYS_madvise,
	SYS_rt_sigreturn,
	SYS_rt_sigprocmask,
	SYS_restart_syscall,
	SYS_clock_gettime,
	SYS_sched_yield,
	SYS_getpid,
	SYS_gettid,
	SYS_munmap,
	SYS_exit,
	SYS_exit_group,
};

static const int helper_calls[] = {
	SYS_read,    SYS_write, /* what is wrong, to stderr */
	SYS_pread64, SYS_recvfrom,	SYS_recvmsg,   SYS_sendto,	 SYS_poll,
	SYS_close,   SYS_munmap,	SYS_mremap,    SYS_madvise,	 SYS_brk,
	SYS_futex,   SYS_clock_gettime, SYS_getrandom, SYS_rt_sigreturn, SYS_restart_syscall,
	SYS_exit,    SYS_exit_group,
};

static const unsigned vcpu_ioctls[] = {
	KVM_RUN,
	KVM_GET_REGS,
	KVM_SET_GSI_ROUTING,
	KVM_SIGNAL_MSI,
};

/* A filter being built: two instructions a table entry, and some. */
struct program {
	struct sock_filter insn[256];
	unsigned n;
};

#define DATA(field) ((uint32_t)offsetof(struct seccomp_data, field))

static void emit(struct program *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	p->insn[p->n++] = (struct sock_filter){code, jt, jf, k};
}

static void load(struct program *p, uint32_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
}

static void give(struct program *p, uint32_t verdict)
{
	emit(p, BPF_RET | BPF_K, 0, 0, verdict);
}

static void allow_if_equal(struct program *p, uint32_t value)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
	give(p, SECCOMP_RET_ALLOW);
}

/* If this is call nr, the rest up to end_call() decides; the number is loaded again after it. */
static unsigned begin_call(struct program *p, int nr)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint32_t)nr);
	return p->n - 1;
}

static void end_call(struct program *p, unsigned begin)
{
	give(p, SECCOMP_RET_TRAP);
	p->insn[begin].jf = (uint8_t)(p->n - begin - 1);
}

static void allow_ioctls(struct program *p, const unsigned *requests, size_t n)
{
	unsigned begin = begin_call(p, SYS_ioctl);

	load(p, DATA(args[1]));
	for (size_t i = 0; i < n; i++)
		allow_if_equal(p, requests[i]);
	end_call(p, begin);
}

static void allow_unless_executable(struct program *p, int nr)
{
	unsigned begin = begin_call(p, nr);

	load(p, DATA(args[2]));
	emit(p, BPF_JMP | BPF_JSET | BPF_K, 1, 0, PROT_EXEC);
	give(p, SECCOMP_RET_ALLOW);
	end_call(p, begin);
}

static void allow_with(struct program *p, int nr, uint32_t first_arg)
{
	unsigned begin = begin_call(p, nr);

	load(p, DATA(args[0]));
	allow_if_equal(p, first_arg);
	end_call(p, begin);
}

static void begin_filter(struct program *p)
{
	p->n = 0;
	load(p, DATA(arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
	give(p, SECCOMP_RET_TRAP);
	load(p, DATA(nr));
}

static int end_filter(struct program *p, const int *calls, size_t n, struct error *err)
{
	struct sock_fprog fprog;

	for (size_t i = 0; i < n; i++)
		allow_if_equal(p, (uint32_t)calls[i]);
	give(p, SECCOMP_RET_TRAP);
	fprog = (struct sock_fprog){.len = (unsigned short)p->n, .filter = p->insn};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog) < 0)
		return error_errno(err, "seccomp");
	return 0;
}

_Static_assert(2 * (ARRAY_SIZE(process_calls) + ARRAY_SIZE(process_ioctls)) + 40 <
		       ARRAY_SIZE(((struct program *)NULL)->insn),
	       "the process's filter fits");

static int filter_process(struct error *err)
{
	struct program p;

	begin_filter(&p);
	allow_ioctls(&p, process_ioctls, ARRAY_SIZE(process_ioctls));
	allow_unless_executable(&p, SYS_mmap);
	allow_unless_executable(&p, SYS_mprotect);
	allow_with(&p, SYS_tgkill, (uint32_t)getpid());
	return end_filter(&p, process_calls, ARRAY_SIZE(process_calls), err);
}

static int filter_vcpu(struct error *err)
{
	struct program p;

	begin_filter(&p);
	allow_ioctls(&p, vcpu_ioctls, ARRAY_SIZE(vcpu_ioctls));
	allow_with(&p, SYS_tgkill, (uint32_t)getpid());
	return end_filter(&p, vcpu_calls, ARRAY_SIZE(vcpu_calls), err);
}

static int filter_helper(struct error *err)
{
	struct program p;

	begin_filter(&p);
	allow_unless_executable(&p, SYS_mmap);
	allow_unless_executable(&p, SYS_mprotect);
	return end_filter(&p, helper_calls, ARRAY_SIZE(helper_calls), err);
}

static void on_forbidden(int signal, siginfo_t *info, void *context)
{
	char line[80];
	int len = snprintf(line, sizeof(line),
			   "tripod-vmm: system call %d is not allowed; the pod ends\n",
			   info->si_syscall);

	(void)signal;
	(void)context;
	(void)!write(STDERR_FILENO, line, (size_t)len);
	_exit(EXIT_JAILED);
}

#define REMOVE LANDLOCK_ACCESS_FS_REMOVE_FILE
#define WRITE                                                                                      \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
	 LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	 LANDLOCK_ACCESS_FS_MAKE_SYM)

static int allow_below(int ruleset, const char *path, uint64_t access, struct error *err)
{
	cleanup_fd int dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = dir};

	if (dir < 0 ||
	    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return error_errno(err, "Landlock: %s", path);
	return 0;
}

/* Not there before Linux 5.13, or when switched off. */
static int confine_files(const char *writable, struct error *err)
{
	struct landlock_ruleset_attr all = {
		/* the first version's */
		.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	};
	cleanup_fd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	int r;

	if (ruleset < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 0;
	if (ruleset < 0)
		return error_errno(err, "Landlock");
	r = allow_below(ruleset, ".", REMOVE, err);
	if (r == 0 && writable)
		r = allow_below(ruleset, writable, WRITE, err);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = error_errno(err, "Landlock");
	return r;
}

/* Of the calling thread. */
static int drop_privileges(struct error *err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{.effective = 0}};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "PR_SET_NO_NEW_PRIVS");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_errno(err, "PR_CAP_AMBIENT");
	if (syscall(SYS_capset, &head, none) < 0)
		return error_errno(err, "capset");
	return 0;
}

/* A dump would show the guest's secrets, and who may trace us could undo everything. */
static int forbid_tracing(struct error *err)
{
	struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return error_errno(err, "RLIMIT_CORE");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_errno(err, "PR_SET_DUMPABLE");
	return 0;
}

#ifdef __SANITIZE_ADDRESS__
#define FILTERS 0
#else
#define FILTERS 1
#endif

int jail_process(const char *writable, struct error *err)
{
	struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};
	int r;

	if (!FILTERS)
		return drop_privileges(err);
	sigaction(SIGSYS, &action, NULL);
	r = forbid_tracing(err);
	if (r == 0)
		r = drop_privileges(err);
	if (r == 0)
		r = confine_files(writable, err);
	return r < 0 ? r : filter_process(err);
}

int jail_vcpu(struct error *err)
{
	int r = drop_privileges(err);

	return r < 0 || !FILTERS ? r : filter_vcpu(err);
}

/* Whom to be when one need not be root. In a user namespace without such an id nothing changes. */
static void become_nobody(void)
{
	if (geteuid() == 0 && setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0)
		(void)!setresuid(NOBODY, NOBODY, NOBODY);
}

int jail_helper(struct error *err)
{
	int r;

	become_nobody();
	/* which makes the kernel forget what spawn() has asked for */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_errno(err, "PR_SET_PDEATHSIG");
	r = FILTERS ? forbid_tracing(err) : 0;
	if (r == 0)
		r = drop_privileges(err);
	return r < 0 || !FILTERS ? r : filter_helper(err);
}
