/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting an app.
 *
 * The app's process is made with CLONE_VM and CLONE_VFORK: no page table is copied, init stands
 * still until the program runs or the process ends, and a failure is told through plain memory.
 * With CLONE_NEWNS it has its own mounts from the first instruction. Descriptors and signal mask
 * are copies, so what it does to them is its own affair.
 *
 * A terminal is a session's, and when a session's leader exits, the kernel throws away what was
 * written to the terminal and not read yet: the app's last words. So the leader is init, which never
 * exits, and the app is a process group in the foreground. That goes once; should a second app of a
 * pod have a terminal, it leads a session of its own.
 *
 * Nothing is left to undo when it fails: its mounts end with its namespace, and our ends of the
 * pipes are closed by whoever made them.
 */
#include "initrd/app.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "initrd/exec.h"
#include "initrd/limit.h"
#include "initrd/mount.h"
#include "initrd/tpm.h"
#include "initrd/ulimit.h"
#include "initrd/user.h"

/* Names of paths and tables of files lie in it on the way to an error message. */
#define STACK_SIZE (64 << 10)

/* What init and the app's process-to-be share. */
struct launch {
	const struct init_plan_app *plan;
	unsigned index;
	const struct init_plan *pod;
	int ns;			  /* the namespace to enter; -1: the app makes its own */
	int fd[INIT_APP_STREAMS]; /* the app's ends; all three are the terminal with PLAN_TTY */
	bool in_session;	  /* the terminal is init's session's */
	bool first;		  /* of the app: the terminal may be init's session's */
	bool aside;		  /* a handler: the terminal is the program's to control */
	int code;		  /* result: AGENT_EXIT_... once it failed */
	struct init_text *why;
};

static int fail(struct launch *launch, int code)
{
	launch->code = code;
	return -1;
}

static int set_groups(struct launch *launch, const struct init_user *user)
{
	static uint32_t groups[INIT_GROUPS_MAX];
	const struct init_plan_app *plan = launch->plan;
	unsigned n = plan->ngroups ? plan->ngroups : user->ngroups;

	if (plan->ngroups)
		memcpy(groups, plan->groups, n * sizeof(groups[0]));
	/* always, so that none of init's is left */
	if (syscall(SYS_setgroups, n, plan->ngroups ? groups : user->groups) < 0 ||
	    syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0) {
		init_text_fail(launch->why, -errno, "changing to group", plan->group);
		return fail(launch, AGENT_EXIT_GROUP);
	}
	return 0;
}

/* Drop what the plan does not name from the bounding set; inheritable and ambient are empty. */
static int set_caps(struct launch *launch)
{
	for (unsigned cap = 0; cap < 64; cap++) {
		if (launch->plan->caps >> cap & 1 || prctl(PR_CAPBSET_DROP, cap) == 0)
			continue;
		if (errno == EINVAL)
			break; /* past the kernel's last */
		init_text_set(launch->why, 0, "dropping a capability");
		init_text_add_errno(launch->why, errno);
		return fail(launch, AGENT_EXIT_CAPS);
	}
	return 0;
}

/* How likely the app is chosen when memory runs out; less than init's takes a privilege. */
static int set_oom(struct launch *launch)
{
	struct init_text text = {.len = 0};
	int fd;

	if (!launch->plan->has_oom)
		return 0;
	if (launch->plan->oom < 0)
		init_text_add(&text, "-");
	init_text_add_num(&text, (uint64_t)abs(launch->plan->oom));
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text.s, text.len) < 0) {
		init_text_set(launch->why, 0, "setting oom_score_adj");
		init_text_add_errno(launch->why, errno);
		return fail(launch, AGENT_EXIT_OOM);
	}
	close(fd);
	return 0;
}

/*
 * Filter the system calls from here on, and gain no privileges if that is wanted. A filter takes a
 * privilege or the promise to gain none: a user other than root has given the former up by now, and
 * makes the latter.
 */
static int set_filter(struct launch *launch, uint32_t uid)
{
	const struct init_plan_app *plan = launch->plan;
	struct sock_fprog filter = {.len = (unsigned short)plan->nfilter,
				    .filter = (void *)plan->filter};

	if ((plan->flags & PLAN_NO_NEW_PRIVS || (uid != 0 && plan->filter)) &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		init_text_set(launch->why, 0, "setting no-new-privileges");
		init_text_add_errno(launch->why, errno);
		return fail(launch, AGENT_EXIT_CAPS);
	}
	if (!plan->filter)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0) {
		init_text_set(launch->why, 0, "filtering system calls");
		init_text_add_errno(launch->why, errno);
		return fail(launch, AGENT_EXIT_SECCOMP);
	}
	return 0;
}

/* user: text is "name", group: the same, where a group equal to a user without one is its number */
static int resolve(struct launch *launch, struct init_user *user)
{
	const struct init_plan_app *plan = launch->plan;

	if (plan->flags & PLAN_NUMBERS_FIRST)
		return init_user_oci(plan->user,
				     plan->flags & PLAN_PRIMARY_GROUP ? NULL : plan->group, user,
				     launch->why) == 0
			       ? 0
			       : fail(launch,
				      user->group_failed ? AGENT_EXIT_GROUP : AGENT_EXIT_USER);
	if (init_user_resolve(plan->user, false, &user->uid, launch->why) < 0)
		return fail(launch, AGENT_EXIT_USER);
	if (init_user_resolve(plan->group, true, &user->gid, launch->why) < 0) {
		if (strcmp(plan->user, plan->group) != 0)
			return fail(launch, AGENT_EXIT_GROUP);
		user->gid = user->uid;
	}
	return 0;
}

/* Become leader of a session, with the terminal if any; or of the foreground of init's. */
static int set_session(const struct launch *launch)
{
	pid_t self;

	if (!launch->in_session)
		return setsid() < 0 || (launch->plan->flags & PLAN_TTY && !launch->aside &&
					ioctl(0, TIOCSCTTY, 0) < 0)
			       ? -errno
			       : 0;
	self = getpid();
	/* SIGTTOU is blocked still, so a process of the background may do that */
	return setpgid(0, 0) < 0 || ioctl(0, TIOCSPGRP, &self) < 0 ? -errno : 0;
}

/* Put the app's ends in their places. */
static int set_streams(const struct launch *launch, uint32_t uid, uint32_t gid)
{
	for (int i = 0; i < INIT_APP_STREAMS; i++) {
		/* /dev/stdout can be opened by the app only when it is its own */
		if ((uid | gid) != 0 && fchown(launch->fd[i], uid, gid) < 0)
			return -errno;
		if (dup2(launch->fd[i], i) < 0)
			return -errno;
	}
	return set_session(launch);
}

/* To the app's root: made, or entered where it was made before. */
static int go_to_root(struct launch *launch)
{
	if (launch->ns < 0)
		return init_mount_root(launch->plan, launch->index, launch->pod, launch->why);
	if (setns(launch->ns, CLONE_NEWNS) < 0)
		return init_text_fail(launch->why, -errno, "entering the root of",
				      launch->plan->name);
	return 0;
}

/* From a copy of init to the app's program. Returns only on failure, which it has recorded. */
static int become(struct launch *launch)
{
	const struct init_plan_app *plan = launch->plan;
	static struct init_user user;
	sigset_t none;
	int r;

	user = (struct init_user){.uid = 0}; /* an app before left its own */
	umask(0);
	if (init_limit_join(plan, launch->why) < 0)
		return fail(launch, AGENT_EXIT_CGROUP);
	if (set_oom(launch) < 0)
		return -1;
	if (go_to_root(launch) < 0)
		return fail(launch, AGENT_EXIT_ROOTFS);
	if (resolve(launch, &user) < 0)
		return -1;
	r = plan->flags & PLAN_TPM_DEVICE ? init_tpm_own(user.uid, user.gid) : 0;
	if (r < 0) {
		init_text_fail(launch->why, r, "giving the TPM to user", plan->user);
		return fail(launch, AGENT_EXIT_USER);
	}
	if (launch->fd[0] < 0)
		launch->fd[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	r = launch->fd[0] < 0 ? -errno : set_streams(launch, user.uid, user.gid);
	if (r < 0) {
		init_text_set(launch->why, 0, "setting up the streams");
		init_text_add_errno(launch->why, r);
		return fail(launch, AGENT_EXIT_STDIN);
	}
	if (chdir(plan->workdir) < 0) {
		init_text_fail(launch->why, -errno, "changing to directory", plan->workdir);
		return fail(launch, AGENT_EXIT_CHDIR);
	}
	if (init_ulimit_set(plan, launch->why) < 0)
		return fail(launch, AGENT_EXIT_LIMITS);
	if (set_caps(launch) < 0 || set_groups(launch, &user) < 0)
		return -1;
	if (user.uid != 0 && syscall(SYS_setresuid, user.uid, user.uid, user.uid) < 0) {
		init_text_fail(launch->why, -errno, "changing to user", plan->user);
		return fail(launch, AGENT_EXIT_USER);
	}
	umask(022);
	/* dispositions are init's, which are all default */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	syscall(SYS_close_range, INIT_APP_STREAMS, ~0U, 0);
	/* last: what comes before it need not be allowed */
	if (set_filter(launch, user.uid) < 0)
		return -1;
	init_exec(plan->argv, plan->envp, launch->why);
	return fail(launch, AGENT_EXIT_EXEC);
}

static int launched(void *arg)
{
	become(arg);
	_exit(1);
}

static _Alignas(16) char stack[STACK_SIZE];

/* A process that shares everything with init but its place among the mounts, for one open(2). */
struct look {
	int ns, fd;
};

static int open_ptmx(void *arg)
{
	struct look *look = arg;

	if (setns(look->ns, CLONE_NEWNS) < 0)
		look->fd = -errno;
	else if ((look->fd = open("/dev/pts/ptmx", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) < 0)
		look->fd = -errno;
	_exit(0);
}

/* The master of a new terminal in the namespace's own devpts. */
static int open_ptmx_in(int ns)
{
	struct look look = {.ns = ns, .fd = -EAGAIN};
	pid_t pid = clone(open_ptmx, stack + sizeof(stack),
			  CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &look);

	if (pid < 0)
		return -errno;
	waitpid(pid, NULL, 0);
	return look.fd;
}

/* A terminal: master at ret, the app's side three times in fd. */
static int make_terminal(const struct launch *launch, int fd[INIT_APP_STREAMS], int *ret)
{
	const struct init_plan_app *plan = launch->plan;
	struct winsize size = {.ws_row = plan->rows, .ws_col = plan->columns};
	int master, slave = -1, unlock = 0, r;

	if (launch->ns < 0) {
		r = init_mount_pts(launch->why);
		if (r < 0)
			return r;
		master = open("/pts/ptmx", O_RDWR | O_CLOEXEC | O_NOCTTY);
		if (master < 0)
			master = -errno;
	} else {
		master = open_ptmx_in(launch->ns);
	}
	r = master < 0 ? master : 0;
	if (master >= 0 &&
	    (ioctl(master, TIOCSPTLCK, &unlock) < 0 ||
	     (slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_CLOEXEC | O_NOCTTY)) < 0 ||
	     ((plan->rows | plan->columns) != 0 && ioctl(slave, TIOCSWINSZ, &size) < 0))) {
		r = -errno;
		if (slave >= 0)
			close(slave);
		close(master);
	}
	if (r < 0)
		return init_text_fail(launch->why, r, "making a terminal for", plan->name);
	*ret = master;
	for (int i = 0; i < INIT_APP_STREAMS; i++)
		fd[i] = slave;
	return 0;
}

/* Both ends of the app's streams: the app's in launch, ours in ret. */
static int make_streams(struct launch *launch, struct init_app_ends *ret)
{
	const struct init_plan_app *plan = launch->plan;
	int *fd = launch->fd;

	for (int i = 0; i < INIT_APP_STREAMS; i++)
		fd[i] = ret->fd[i] = -1;
	if (plan->flags & PLAN_TTY) {
		int r = make_terminal(launch, fd, &ret->fd[0]);

		if (r == 0 && (launch->ns < 0 || launch->first)) {
			setsid(); /* fails for the second, and then so does the next */
			launch->in_session = ioctl(fd[0], TIOCSCTTY, 0) == 0;
		}
		return r;
	}
	for (int i = plan->flags & PLAN_STDIN ? 0 : 1; i < INIT_APP_STREAMS; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0)
			return init_text_fail(launch->why, -errno, "making a pipe for", plan->name);
		fd[i] = ends[i == 0 ? 0 : 1];
		ret->fd[i] = ends[i == 0 ? 1 : 0];
	}
	return 0;
}

static void close_ends(const int fd[INIT_APP_STREAMS])
{
	for (int i = 0; i < INIT_APP_STREAMS; i++)
		if (fd[i] >= 0 && (i == 0 || fd[i] != fd[i - 1]))
			close(fd[i]);
}

/* Make the process, which becomes the program. Returns launch->code. */
static int launch_process(struct launch *launch, int namespaces, pid_t *ret_pid)
{
	int in = launch->fd[0];
	pid_t pid = clone(launched, stack + sizeof(stack),
			  CLONE_VM | CLONE_VFORK | namespaces | SIGCHLD, launch);

	launch->fd[0] = in; /* what the other process opened is not ours */
	if (pid < 0) {
		init_text_fail(launch->why, -errno, "making a process for", launch->plan->name);
		launch->code = AGENT_EXIT_ROOTFS;
	} else if (launch->code != 0) {
		waitpid(pid, NULL, 0);
	} else {
		*ret_pid = pid;
	}
	return launch->code;
}

/* The same with streams of its own. */
static int launch_streams(struct launch *launch, int namespaces, struct init_app_ends *ret,
			  pid_t *ret_pid)
{
	if (make_streams(launch, ret) < 0)
		launch->code = AGENT_EXIT_STDIN;
	else
		launch_process(launch, namespaces, ret_pid);
	close_ends(launch->fd);
	if (launch->code != 0)
		close_ends(ret->fd);
	return launch->code;
}

void init_app_prepare(struct init_app *app, const struct init_plan_app *plan, unsigned index)
{
	app->plan = plan;
	app->index = index;
	app->ns = app->notify = -1;
	for (unsigned i = 0; i < INIT_APP_STREAMS; i++)
		app->kept[i] = -1;
}

int init_app_start(struct init_app *app, const struct init_plan *pod, struct init_app_ends *ret,
		   struct init_text *why)
{
	struct launch launch = {
		.plan = app->plan, .index = app->index, .pod = pod, .ns = -1, .why = why};

	if (init_limit_make(app->plan, why) < 0)
		return AGENT_EXIT_CGROUP;
	return launch_streams(&launch, CLONE_NEWNS, ret, &app->pid);
}

/* A process of whose work only the namespace stays, and the descriptors, which are init's too. */
struct making {
	const struct init_plan_app *plan;
	unsigned index;
	const struct init_plan *pod;
	int ns, notify;
	struct init_text *why;
	int code;
};

/* The socket is for all users of the app. umask is 0. */
static int bind_notify(struct making *making)
{
	const struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = AGENT_NOTIFY_SOCKET};

	making->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (making->notify < 0 ||
	    bind(making->notify, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return init_text_fail(making->why, -errno, "making", AGENT_NOTIFY_SOCKET);
	/* where systemd has it; not in a read-only root, and nothing depends on it */
	(void)!symlink(AGENT_NOTIFY_SOCKET, "/run/systemd/notify");
	return 0;
}

static int make_root(void *arg)
{
	struct making *making = arg;
	int r = 0;

	umask(0);
	making->ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (making->ns < 0)
		r = init_text_fail(making->why, -errno, "holding the root of", making->plan->name);
	if (r == 0)
		r = init_mount_root(making->plan, making->index, making->pod, making->why);
	if (r == 0 && making->plan->flags & PLAN_NOTIFY)
		r = bind_notify(making);
	making->code = r < 0 ? AGENT_EXIT_ROOTFS : 0;
	_exit(0);
}

int init_app_make(struct init_app *app, const struct init_plan *pod, struct init_text *why)
{
	struct init_plan_app plan = *app->plan;
	struct making making = {.plan = &plan,
				.index = app->index,
				.pod = pod,
				.ns = -1,
				.notify = -1,
				.why = why,
				.code = AGENT_EXIT_ROOTFS};
	pid_t pid;

	plan.flags &=
		~(uint32_t)PLAN_TTY; /* the terminal comes later, from the root's own devpts */
	if (init_limit_make(app->plan, why) < 0)
		return AGENT_EXIT_CGROUP;
	pid = clone(make_root, stack + sizeof(stack),
		    CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWNS | SIGCHLD, &making);
	if (pid < 0)
		init_text_fail(why, -errno, "making a process for", plan.name);
	else
		waitpid(pid, NULL, 0);
	app->ns = making.ns;
	app->notify = making.notify;
	return making.code;
}

/* Whatever confines the app is in its plan, and stays when root executes something there. */
static void become_root(struct init_plan_app *plan)
{
	/* a user other than root promised to gain none with the filter; so does root in its place */
	if (plan->filter && strcmp(plan->user, "0") != 0 && strcmp(plan->user, "root") != 0)
		plan->flags |= PLAN_NO_NEW_PRIVS;
	plan->user = plan->group = "root";
	plan->ngroups = 0;
	plan->flags &= ~(uint32_t)(PLAN_NUMBERS_FIRST | PLAN_PRIMARY_GROUP);
	plan->flags &= ~(uint32_t)PLAN_TPM_DEVICE; /* it is given to the app's user, and stays so */
}

void init_app_release(struct init_app *app)
{
	close_ends(app->kept);
	for (unsigned i = 0; i < INIT_APP_STREAMS; i++)
		app->kept[i] = -1;
}

/* Close what the parts to come do not need, so that the ends of streams are seen. */
static void release_after(struct init_app *app, enum init_app_part part)
{
	if (part != INIT_APP_PROGRAM)
		return;
	if (!app->plan->npost) {
		init_app_release(app);
	} else if (!(app->plan->flags & PLAN_TTY) && app->kept[0] >= 0) {
		close(app->kept[0]);
		app->kept[0] = -1;
	}
}

int init_app_run(struct init_app *app, enum init_app_part part, struct init_app_ends *ret,
		 struct init_text *why)
{
	struct init_plan_app plan = *app->plan;
	struct launch launch = {.plan = &plan, .index = app->index, .ns = app->ns, .why = why};
	bool first = app->kept[1] < 0;

	if (part != INIT_APP_PROGRAM) {
		plan.argv = part == INIT_APP_PRE_START ? plan.pre_start : plan.post_stop;
		become_root(&plan);
		launch.aside = true;
	}
	memset(ret->fd, -1, sizeof(ret->fd));
	if (first) {
		launch.first = true;
		if (make_streams(&launch, ret) < 0) {
			close_ends(launch.fd);
			close_ends(ret->fd);
			return AGENT_EXIT_STDIN;
		}
		memcpy(app->kept, launch.fd, sizeof(app->kept));
		app->in_session = launch.in_session;
	}
	launch.in_session = app->in_session;
	memcpy(launch.fd, app->kept, sizeof(launch.fd));
	if (part != INIT_APP_PROGRAM && !(plan.flags & PLAN_TTY))
		launch.fd[0] = -1; /* input is the program's */
	if (launch_process(&launch, 0, &app->pid) == 0) {
		release_after(app, part);
		return 0;
	}
	if (first) {
		init_app_release(app);
		close_ends(ret->fd);
	}
	return launch.code;
}

/* Whether the environment sets the variable that var sets. */
static bool has_variable(char *const *env, const char *var)
{
	size_t len = strcspn(var, "=");

	for (; *env; env++)
		if (!strncmp(*env, var, len) && (*env)[len] == '=')
			return true;
	return false;
}

int init_app_enter(const struct init_app *app, const struct init_plan_app *request, char **pool,
		   struct init_app_ends *ret, pid_t *ret_pid, struct init_text *why)
{
	struct init_plan_app plan = *app->plan;
	struct launch launch = {.plan = &plan, .index = app->index, .ns = app->ns, .why = why};
	char **end = pool;

	become_root(&plan);
	plan.argv = request->argv;
	for (char **p = request->envp; *p; p++)
		*end++ = *p;
	for (char **p = app->plan->envp; *p; p++)
		if (!has_variable(request->envp, *p))
			*end++ = *p;
	*end = NULL;
	plan.envp = pool;
	plan.workdir = "/";
	plan.rows = request->rows;
	plan.columns = request->columns;
	plan.flags &= ~(uint32_t)PLAN_TTY;
	plan.flags |= PLAN_STDIN | (request->flags & PLAN_TTY);
	return launch_streams(&launch, 0, ret, ret_pid);
}
