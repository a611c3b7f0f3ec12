/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything in the pod descends from init, and an orphan becomes init's child, so with no app
 * running the question what is left is answered by wait(2): no children, no processes. With others
 * running the app's processes are told from theirs by mount namespace, which only a process with
 * CAP_SYS_ADMIN can leave.
 */
#include "initrd/left.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* "PID/ns/mnt", relative to /proc. */
static const char *ns_path(struct init_text *path, pid_t pid)
{
	path->len = 0;
	init_text_add_num(path, (uint64_t)pid);
	init_text_add(path, "/ns/mnt");
	return init_text_str(path);
}

static int open_proc(void)
{
	return open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void init_left_hold(struct init_app *app)
{
	struct init_text path;
	int proc = open_proc();

	app->ns = proc < 0 ? -1 : openat(proc, ns_path(&path, app->pid), O_RDONLY | O_CLOEXEC);
	if (proc >= 0)
		close(proc);
}

static pid_t parse_pid(const char *name)
{
	pid_t pid = 0;

	for (; *name >= '0' && *name <= '9' && pid < 100000000; name++)
		pid = pid * 10 + (*name - '0');
	return *name == '\0' ? pid : 0;
}

/* Kill every process in the namespace. Returns how many there were. */
static unsigned kill_ns(int proc, const struct stat *ns)
{
	static _Alignas(8) char buf[4096];
	unsigned killed = 0;
	long n;

	while ((n = syscall(SYS_getdents64, proc, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent *entry = (const struct dirent *)(buf + at);
			pid_t pid = parse_pid(entry->d_name);
			struct init_text path;
			struct stat its;

			at += entry->d_reclen;
			if (pid > 1 && fstatat(proc, ns_path(&path, pid), &its, 0) == 0 &&
			    its.st_ino == ns->st_ino && its.st_dev == ns->st_dev &&
			    kill(pid, SIGKILL) == 0)
				killed++;
		}
	}
	return killed;
}

bool init_left_kill(const struct init_app *app, bool alone)
{
	unsigned killed;
	siginfo_t info;
	struct stat ns;
	int proc;

	if (alone) {
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD)
			return true;
		kill(-1, SIGKILL);
		return false;
	}
	proc = app->ns >= 0 && fstat(app->ns, &ns) == 0 ? open_proc() : -1;
	if (proc < 0)
		return true;
	killed = kill_ns(proc, &ns);
	close(proc);
	return killed == 0;
}
