/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtiofsd serves what it finds at its source, and confines itself to it: it makes the source its
 * root, in namespaces of its own, drops capabilities and filters its system calls. That is its word;
 * what the share may be at all is decided here, before it runs, by what is mounted:
 *
 *	the child is made in new mount, PID, IPC and UTS namespaces; of somebody who is not root
 *	also in a user namespace, where he is root;
 *	the source is cloned as a mount (with those below, or alone), which becomes read-only if it
 *	shall be, and without devices, set-user-ID and programs in any case: nothing is ever executed
 *	or opened as a device by its server;
 *	that mount is put over a directory every host has, and virtiofsd is started on it. A single
 *	file is put into an empty file system that stays read-only.
 *
 * The source is found once, by us: the child, which has to look it up again because a mount belongs to
 * a namespace, goes by the resolved path without following links, and wants the same inode.
 *
 * A user has one id in his namespace, himself, which the guest sees as root. virtiofsd takes on the ids
 * of the guest's users when they create files, and drops supplementary groups; neither is possible
 * there, and a filter makes both do nothing: all files are the user's, as everything he does is.
 */
#include "vmm/virtiofsd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/file.h"
#include "common/spawn.h"
#include "common/str.h"
#include "common/util.h"

#define PROGRAM	       "virtiofsd"
#define LISTEN_FD      3		/* in the child */
#define SOCKET_NAME    "virtiofsd.sock" /* for an instant, in the working directory */
#define LOG_MAX	       (64 * 1024) /* bytes it may say: a guest can make it complain for ever */
#define END_TIMEOUT_MS 2000

/*
 * Extended attributes: users' own pass; a file's capabilities can be read, but not written, as its
 * server lacks the capability to; others there are none.
 */
#define XATTRS "xattr,xattrmap=:ok:all:user.:::ok:all:security.capability:::unsupported:all:::"

/* What the child needs to know. */
struct source {
	const struct virtiofsd_share *share;
	char *path;	/* resolved */
	struct stat st; /* of it */
	const char *at; /* the directory that is covered */
	int log;
	bool user; /* not root: a user namespace is needed */
};

/* Distributions put it where no PATH leads. */
static int find_program(char **ret, struct error *err)
{
	static const char known[] = "/usr/lib/qemu:/usr/libexec";
	const char *path = getenv("PATH");
	cleanup_free char *dirs = xasprintf("%s:%s", path ? path : "/usr/bin:/bin", known);
	char *file = spawn_find(PROGRAM, dirs);

	if (!file)
		return error_set(err, -ENOENT,
				 PROGRAM " serves volumes, and is not installed (package "
					 "qemu-system-common)");
	*ret = file;
	return 0;
}

/* The child's part: in namespaces of its own, with one thread. */

static int write_map(const char *file, const char *text, struct error *err)
{
	cleanup_fd int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return error_errno(err, "user namespace: %s", file);
	return 0;
}

/* ids as they were outside */
static int map_ids(uid_t uid, gid_t gid, struct error *err)
{
	char text[32];
	int r = write_map("/proc/self/setgroups", "deny", err);

	snprintf(text, sizeof(text), "0 %u 1", uid);
	if (r == 0)
		r = write_map("/proc/self/uid_map", text, err);
	snprintf(text, sizeof(text), "0 %u 1", gid);
	return r < 0 ? r : write_map("/proc/self/gid_map", text, err);
}

/* The calls that can not succeed with one id do nothing. */
static int squash_ids(struct error *err)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setgroups, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setresuid, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setresgid, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
	};
	const struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return error_errno(err, "seccomp");
	return 0;
}

/* The source again, as this namespace has it. */
static int open_source(const struct source *source, int *ret, struct error *err)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	cleanup_fd int fd = (int)syscall(SYS_openat2, AT_FDCWD, source->path, &how, sizeof(how));
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "%s", source->path);
	if (st.st_dev != source->st.st_dev || st.st_ino != source->st.st_ino)
		return error_set(err, -ESTALE, "%s was replaced while the pod started",
				 source->path);
	*ret = take_fd(&fd);
	return 0;
}

/* A mount of the source, attached nowhere, with the share's attributes. */
static int clone_mount(const struct source *source, int *ret, struct error *err)
{
	unsigned recursive = source->share->recursive && !source->share->is_file ? AT_RECURSIVE : 0;
	/* what is mounted on the host later would come without these attributes */
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
		.propagation = MS_PRIVATE,
	};
	cleanup_fd int fd = -1, tree = -1;
	int r = open_source(source, &fd, err);

	if (r < 0)
		return r;
	tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);
	if (tree < 0 && errno == EINVAL && source->user && !recursive)
		return error_set(err, -EPERM,
				 "%s: something is mounted below it, which only root can leave out "
				 "(recursive=false)",
				 source->path);
	if (tree < 0)
		return error_errno(err, "%s: a mount of it", source->path);
	if (source->share->read_only)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (mount_setattr(tree, "", AT_EMPTY_PATH | recursive, &attr, sizeof(attr)) < 0)
		return error_errno(err, "%s: a %s mount of it", source->path,
				   source->share->read_only ? "read-only" : "confined");
	*ret = take_fd(&tree);
	return 0;
}

/* A directory with nothing but the file, to be mounted on. */
static int make_file_root(const char *at, struct error *err)
{
	cleanup_free char *path = xasprintf("%s/" VIRTIOFSD_FILE, at);
	cleanup_fd int file = -1;

	if (mount(PROGRAM, at, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4k,nr_inodes=4,mode=0755") < 0)
		return error_errno(err, "a file system on %s", at);
	file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return file < 0 ? error_errno(err, "%s", path) : 0;
}

static int attach(const struct source *source, int tree, struct error *err)
{
	struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
	cleanup_free char *file = xasprintf("%s/" VIRTIOFSD_FILE, source->at);
	bool is_file = source->share->is_file;
	int r = is_file ? make_file_root(source->at, err) : 0;

	if (r < 0)
		return r;
	if (move_mount(tree, "", AT_FDCWD, is_file ? file : source->at, MOVE_MOUNT_F_EMPTY_PATH) <
	    0)
		return error_errno(err, "%s: mounting it", source->path);
	if (is_file && mount_setattr(AT_FDCWD, source->at, 0, &read_only, sizeof(read_only)) < 0)
		return error_errno(err, "a read-only file system on %s", source->at);
	return 0;
}

/* As many as it gets; it raises the limit itself when it may. A dump would be of others' files. */
static int set_limits(struct error *err)
{
	const struct rlimit none = {0, 0};
	struct rlimit files;

	if (setrlimit(RLIMIT_CORE, &none) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_errno(err, "limits");
	files.rlim_cur = files.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &files) < 0 ? error_errno(err, "limits") : 0;
}

static int confine(const struct source *source, uid_t uid, gid_t gid, struct error *err)
{
	cleanup_fd int tree = -1;
	int r = source->user ? map_ids(uid, gid, err) : 0;

	if (r < 0)
		return r;
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return error_errno(err, "mount namespace");
	r = clone_mount(source, &tree, err);
	if (r == 0)
		r = attach(source, tree, err);
	if (r == 0)
		r = set_limits(err);
	if (r < 0)
		return r;
	/* not the terminal's: a Ctrl-C is for the apps. And no program it could run adds anything. */
	if (setsid() < 0 || chdir("/") < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "confining " PROGRAM);
	return source->user ? squash_ids(err) : 0;
}

struct child {
	const struct source *source;
	uid_t uid;
	gid_t gid;
};

static int prepare(void *ctx)
{
	const struct child *child = ctx;
	struct error err = ERROR_INIT;
	int r = confine(child->source, child->uid, child->gid, &err);

	if (r < 0)
		dprintf(child->source->log, "%s\n", err.msg);
	return r;
}

/* Our part */

static int find_source(struct source *source, struct error *err)
{
	static const char *const dirs[] = {"/mnt", "/media", "/srv", "/opt", "/tmp"};
	const char *path = source->share->path;
	struct stat st;

	source->path = realpath(path, NULL);
	if (!source->path || stat(source->path, &source->st) < 0)
		return error_errno(err, "%s", path);
	if (!(source->share->is_file ? S_ISREG(source->st.st_mode) : S_ISDIR(source->st.st_mode)))
		return error_set(err, -EINVAL, "%s is not a %s any more", path,
				 source->share->is_file ? "file" : "directory");
	for (size_t i = 0; i < ARRAY_SIZE(dirs) && !source->at; i++)
		if (lstat(dirs[i], &st) == 0 && S_ISDIR(st.st_mode))
			source->at = dirs[i];
	return source->at ? 0 : error_set(err, -ENOENT, "there is neither /mnt nor /tmp");
}

static int make_log(struct error *err)
{
	cleanup_fd int fd = memfd_create(PROGRAM, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, LOG_MAX) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return error_errno(err, PROGRAM ": memfd");
	return take_fd(&fd);
}

/*
 * It wants a socket that listens. Nobody but us can come to this one: it has a name, for our user
 * alone, only until we have.
 */
static int make_sockets(int *ret_ours, int *ret_theirs, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};
	cleanup_fd int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_fd int ours = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (listener < 0 || ours < 0)
		return error_errno(err, PROGRAM ": socket");
	unlink(SOCKET_NAME);
	if (fchmod(listener, 0600) < 0 ||
	    bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_errno(err, SOCKET_NAME);
	if (listen(listener, 1) < 0 || connect(ours, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		r = error_errno(err, SOCKET_NAME);
	unlink(SOCKET_NAME);
	if (r < 0)
		return r;
	*ret_ours = take_fd(&ours);
	*ret_theirs = take_fd(&listener);
	return 0;
}

/* What it said last, escaped; the log's offset is shared with it. False: nothing. */
static bool last_words(const struct virtiofsd *server, struct str *ret)
{
	off_t end = lseek(server->log, 0, SEEK_CUR);
	char text[512], *line;
	off_t from = MAX(end - (off_t)sizeof(text) + 1, 0);
	ssize_t n = pread(server->log, text, sizeof(text) - 1, from);

	n = MIN(n, end - from);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n <= 0)
		return false;
	text[n] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	str_add_escaped(ret, line, strlen(line));
	return true;
}

static int run(struct virtiofsd *server, const struct source *source, const char *program,
	       int listener, struct error *err)
{
	/* docs/volumes.md says why each of them */
	static const char *const options[] = {
		PROGRAM,
		"-f",
		"--fd=3",
		"-o",
		"sandbox=namespace,cache=auto,announce_submounts,log_level=warn",
		"-o",
		"modcaps=-mknod:-setfcap",
		"-o",
		XATTRS,
		"-o",
	};
	cleanup_strv struct strv argv = STRV_INIT;
	struct child child = {source, geteuid(), getegid()};
	const struct spawn_fd fds[] = {{.parent = listener, .child = LISTEN_FD},
				       {.parent = server->log, .child = STDERR_FILENO}};
	struct spawn_args args = {
		.path = program,
		.cwd = -1,
		.fds = fds,
		.nfds = ARRAY_SIZE(fds),
		.namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
			      (source->user ? CLONE_NEWUSER : 0),
		.prepare = prepare,
		.ctx = &child,
	};
	cleanup_str struct str words = STR_INIT;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		strv_add(&argv, options[i]);
	strv_add_owned(&argv, xasprintf("source=%s", source->at));
	args.argv = argv.v;
	r = spawn(&args, &server->pid, &server->pidfd, err);
	if (r < 0 && last_words(server, &words))
		return error_set(err, r, "%s", words.s);
	return r;
}

int virtiofsd_start(struct virtiofsd *server, const struct virtiofsd_share *share, int *ret_fd,
		    struct error *err)
{
	struct source source = {.share = share, .user = geteuid() != 0};
	cleanup_free char *program = NULL;
	cleanup_fd int ours = -1, theirs = -1;
	int r = find_program(&program, err);

	if (r == 0)
		r = find_source(&source, err);
	if (r == 0)
		r = make_sockets(&ours, &theirs, err);
	if (r == 0) {
		r = server->log = make_log(err);
		source.log = server->log;
	}
	if (r >= 0)
		r = run(server, &source, program, theirs, err);
	free(source.path);
	if (r == 0)
		*ret_fd = take_fd(&ours);
	return r;
}

int virtiofsd_why(struct virtiofsd *server, struct error *err)
{
	cleanup_str struct str words = STR_INIT;
	struct error ignored = ERROR_INIT;
	int status = 0;

	if (server->pidfd < 0 ||
	    spawn_wait(server->pid, server->pidfd, END_TIMEOUT_MS, &status, &ignored) < 0)
		return error_set(err, -EPIPE, PROGRAM " hung up");
	close_fd(&server->pidfd);
	server->pid = -1;
	if (last_words(server, &words))
		return error_set(err, -EPIPE, PROGRAM ": %s", words.s);
	if (status > 128)
		return error_set(err, -EPIPE, PROGRAM " was killed by signal %d", status - 128);
	return error_set(err, -EPIPE, PROGRAM " ended with status %d", status);
}

void virtiofsd_end(struct virtiofsd *server)
{
	struct error ignored = ERROR_INIT;
	int status;

	if (server->pidfd < 0 ||
	    spawn_wait(server->pid, server->pidfd, END_TIMEOUT_MS, &status, &ignored) < 0)
		return;
	close_fd(&server->pidfd);
	server->pid = -1;
}

void virtiofsd_free(struct virtiofsd *server)
{
	if (server->pidfd >= 0)
		spawn_kill(server->pid, server->pidfd);
	close_fd(&server->pidfd);
	close_fd(&server->log);
	server->pid = -1;
}
