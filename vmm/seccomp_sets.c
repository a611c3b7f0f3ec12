/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sets of system calls that can be named in a filter (rkt-behaviour.md section 7.3), each
 * sorted. Names another architecture has are kept: a set is what its name says everywhere.
 */
#include "vmm/seccomp.h"

#include <string.h>

#include "common/util.h"

/* Docker's of 2016, and what modern C libraries and runtimes call. */
static const char default_whitelist[] =
	"_llseek _newselect accept accept4 access alarm arch_prctl bind brk cachestat "
	"capget capset chdir chmod chown chown32 chroot clock_getres clock_gettime "
	"clock_nanosleep clone clone3 close close_range connect copy_file_range creat dup "
	"dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait "
	"epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit "
	"exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark "
	"fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 "
	"fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 "
	"fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue "
	"futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area "
	"getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid "
	"getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid "
	"getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 "
	"getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid "
	"getuid32 getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch "
	"io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl "
	"ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset "
	"landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listxattr "
	"llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack "
	"membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock "
	"mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open "
	"mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd "
	"msync munlock munlockall munmap nanosleep newfstatat open openat openat2 pause "
	"personality pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc "
	"pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64 "
	"process_mrelease pselect6 pwrite64 pwritev pwritev2 read readahead readlink "
	"readlinkat readv recv recvfrom recvmmsg recvmsg remap_file_pages removexattr "
	"rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending "
	"rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
	"rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min "
	"sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
	"sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam "
	"sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop "
	"send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area "
	"set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 "
	"setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 "
	"setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid "
	"setsockopt setuid setuid32 setxattr shmat shmctl shmdt shmget shutdown "
	"sigaltstack signalfd signalfd4 sigreturn socket socketcall socketpair splice "
	"stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs "
	"sysinfo syslog tee tgkill time timer_create timer_delete timer_getoverrun "
	"timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times "
	"tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat utime utimensat "
	"utimes vfork vmsplice wait4 waitid waitpid write writev";

static const char default_blacklist[] =
	"_sysctl acct add_key adjtimex bpf clock_adjtime clock_settime create_module "
	"delete_module finit_module get_kernel_syms get_mempolicy init_module ioperm iopl "
	"kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind mount move_pages "
	"name_to_handle_at nfsservctl open_by_handle_at perf_event_open pivot_root "
	"process_vm_readv process_vm_writev ptrace query_module quotactl reboot "
	"request_key set_mempolicy setns settimeofday stime swapoff swapon sysfs umount "
	"umount2 unshare uselib userfaultfd ustat vm86 vm86old";

static const char systemd_clock[] = "adjtimex clock_adjtime clock_settime settimeofday stime";

static const char systemd_default_whitelist[] =
	"clock_getres clock_gettime clock_nanosleep execve exit exit_group getrlimit "
	"gettimeofday nanosleep pause restart_syscall rt_sigreturn sigreturn time";

static const char systemd_mount[] = "chroot mount pivot_root umount umount2";

static const char systemd_network_io[] =
	"accept accept4 bind connect getpeername getsockname getsockopt listen recv "
	"recvfrom recvmmsg recvmsg send sendmmsg sendmsg sendto setsockopt shutdown "
	"socket socketcall socketpair";

static const char systemd_obsolete[] =
	"_sysctl afs_syscall break create_module ftime get_kernel_syms getpmsg gtty lock "
	"mpx prof profil putpmsg query_module security sgetmask ssetmask stty sysfs "
	"tuxcall ulimit uselib ustat vserver";

static const char systemd_privileged[] =
	"_sysctl acct adjtimex bdflush bpf capset chown chown32 chroot clock_adjtime "
	"clock_settime delete_module fchown fchown32 fchownat finit_module init_module "
	"ioperm iopl kexec_file_load kexec_load lchown lchown32 nfsservctl pivot_root "
	"quotactl reboot setdomainname setfsuid setfsuid32 setgroups setgroups32 "
	"sethostname setresuid setresuid32 setreuid setreuid32 settimeofday setuid "
	"setuid32 stime swapoff swapon vhangup";

static const char systemd_process[] =
	"arch_prctl clone clone3 execve execveat fork kill prctl setns tgkill tkill "
	"unshare vfork";

static const char systemd_raw_io[] = "ioperm iopl pciconfig_iobase pciconfig_read pciconfig_write";

static const struct {
	const char *name, *calls;
} sets[] = {
	{"@rkt/default-whitelist", default_whitelist},
	{"@rkt/default-blacklist", default_blacklist},
	{"@docker/default-whitelist", default_whitelist},
	{"@docker/default-blacklist", default_blacklist},
	{"@systemd/clock", systemd_clock},
	{"@systemd/default-whitelist", systemd_default_whitelist},
	{"@systemd/mount", systemd_mount},
	{"@systemd/network-io", systemd_network_io},
	{"@systemd/obsolete", systemd_obsolete},
	{"@systemd/privileged", systemd_privileged},
	{"@systemd/process", systemd_process},
	{"@systemd/raw-io", systemd_raw_io},
};

const char *seccomp_set(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (!strcmp(name, sets[i].name))
			return sets[i].calls;
	return NULL;
}
