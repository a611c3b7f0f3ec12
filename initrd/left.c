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
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The mount namespace of a process, as /proc names it. False when it has ended. */
static bool read_ns(int proc, const char *pid, char *ret, size_t size)
{
	char path[32];
	size_t len = strlen(pid);
	ssize_t n;

	if (len > 10)
		return false;
	memcpy(path, pid, len);
	memcpy(path + len, "/ns/mnt", sizeof("/ns/mnt"));
	n = readlinkat(proc, path, ret, size - 1);
	if (n <= 0)
		return false;
	ret[n] = '\0';
	return true;
}

static int open_proc(void)
{
	return open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void init_left_note(struct init_app *app)
{
	struct init_text pid = {.len = 0};
	int proc = open_proc();

	init_text_add_num(&pid, (uint64_t)app->pid);
	pid.s[pid.len] = '\0';
	if (proc < 0 || !read_ns(proc, pid.s, app->ns, sizeof(app->ns)))
		app->ns[0] = '\0';
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
static unsigned kill_ns(int proc, const char *ns)
{
	static _Alignas(8) char buf[4096];
	unsigned killed = 0;
	long n;

	while ((n = syscall(SYS_getdents64, proc, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent *entry = (const struct dirent *)(buf + at);
			pid_t pid = parse_pid(entry->d_name);
			char its[32];

			at += entry->d_reclen;
			if (pid > 1 && read_ns(proc, entry->d_name, its, sizeof(its)) &&
			    !strcmp(its, ns) && kill(pid, SIGKILL) == 0)
				killed++;
		}
	}
	return killed;
}

bool init_left_kill(const struct init_app *app, bool alone)
{
	unsigned killed;
	siginfo_t info;
	int proc;

	if (alone) {
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD)
			return true;
		kill(-1, SIGKILL);
		return false;
	}
	if (app->ns[0] == '\0')
		return true;
	proc = open_proc();
	if (proc < 0)
		return true;
	killed = kill_ns(proc, app->ns);
	close(proc);
	return killed == 0;
}
