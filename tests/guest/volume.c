/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process can do with files of a volume, a line "NAME=VALUE" each, found out by trying: run in a
 * guest by tests/e2e/volume_host.t, which compares it with a table.
 *
 *	volume RW RO OUTSIDE
 *
 * with a writable and a read-only volume, and the host's path of a directory that is neither.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define RACES 30 /* times the way to a file is changed under who opens it */

static const char *result(long r)
{
	static const struct {
		int code;
		const char *name;
	} names[] = {{EPERM, "EPERM"},	  {EACCES, "EACCES"}, {EROFS, "EROFS"},
		     {ENOENT, "ENOENT"},  {EXDEV, "EXDEV"},   {EOPNOTSUPP, "EOPNOTSUPP"},
		     {EEXIST, "EEXIST"},  {EINVAL, "EINVAL"}, {EBUSY, "EBUSY"},
		     {ENODATA, "ENODATA"}};
	static char number[16];

	if (r >= 0)
		return "ok";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].code == errno)
			return names[i].name;
	snprintf(number, sizeof(number), "%d", errno);
	return number;
}

static void say(const char *name, const char *value)
{
	printf("%s=%s\n", name, value);
}

static void tried(const char *name, long r)
{
	say(name, result(r));
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : 0;
}

static const char *get(int fd)
{
	static char text[64];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return result(-1);
	text[n] = '\0';
	return text;
}

static const char *look(const char *path)
{
	int fd = open(path, O_RDONLY);
	const char *text = fd < 0 ? result(-1) : get(fd);

	if (fd >= 0)
		close(fd);
	return text;
}

static void renaming(void)
{
	int fd;

	put("a", "one");
	put("b", "two");
	fd = open("b", O_RDONLY);
	tried("rename", rename("a", "b"));
	say("renamed", look("b"));
	say("replaced", get(fd)); /* who had it open has it still */
	close(fd);
	put("a", "three");
	tried("noreplace", syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 1));
	tried("exchange", syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 2));
	say("exchanged", look("a"));
	mkdir("d", 0755);
	put("d/f", "deep");
	tried("rename-dir", rename("d", "e"));
	say("renamed-dir", look("e/f"));
	fd = open("a", O_RDWR);
	unlink("a");
	say("unlinked", get(fd));
	close(fd);
}

static void mapping(const char *ro)
{
	char *p;
	int fd;

	put("map", "................");
	fd = open("map", O_RDWR);
	p = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	tried("mmap", p == MAP_FAILED ? -1 : 0);
	if (p == MAP_FAILED)
		return;
	memcpy(p, "mapped", 6);
	tried("msync", msync(p, 16, MS_SYNC));
	say("read-of-mapped", get(fd));
	(void)!pwrite(fd, "written", 7, 8);
	say("mapped-of-write", memcmp(p + 8, "written", 7) == 0 ? "ok" : "old");
	munmap(p, 16);
	close(fd);
	fd = open(ro, O_RDONLY);
	p = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	tried("mmap-readonly", p == MAP_FAILED ? -1 : 0);
	close(fd);
}

static void making(void)
{
	struct stat st;

	tried("mknod-char", mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	tried("mknod-block", mknod("disk", S_IFBLK | 0666, makedev(254, 0)));
	tried("mkfifo", mkfifo("fifo", 0644));
	tried("link", link("b", "hard"));
	tried("link-count", stat("hard", &st) == 0 && st.st_nlink == 2 ? 0 : -1);
	put("suid", "#!/bin/sh\n");
	tried("suid", chmod("suid", 04755));
	tried("chown", chown("map", 1234, 5678));
	tried("xattr-user", setxattr("b", "user.name", "value", 5, 0));
	tried("xattr-trusted", setxattr("b", "trusted.name", "value", 5, 0));
	tried("xattr-capability", setxattr("suid", "security.capability",
					   "\0\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0));
}

static void reading_only(const char *ro)
{
	char there[128];

	snprintf(there, sizeof(there), "%s/new", ro);
	tried("ro-create", put(there, "x"));
	tried("ro-mkdir", mkdir(there, 0755));
	tried("ro-symlink", symlink("x", there));
	tried("ro-link", link("b", there));
	snprintf(there, sizeof(there), "%s/file", ro);
	tried("ro-open", open(there, O_RDWR));
	tried("ro-chmod", chmod(there, 0777));
	tried("ro-unlink", unlink(there));
	tried("ro-rename", rename(there, "here"));
	tried("ro-xattr", setxattr(there, "user.name", "value", 5, 0));
	/* the guest may call its own mount writable: the host's is not */
	if (mount(NULL, ro, NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
		tried("ro-remounted", open(there, O_RDWR));
}

static void make_link(const char *to, const char *name)
{
	if (symlink(to, name) < 0) {
		perror(name);
		exit(1);
	}
}

/* The host's files, by links and by climbing: what is found is the guest's own, where there is none. */
static void climbing(const char *outside)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/secret", outside);
	say("outside", look(path));
	make_link(path, "absolute");
	say("absolute", look("absolute"));
	snprintf(path, sizeof(path), "../../../../../../../..%s/secret", outside);
	make_link(path, "relative");
	say("relative", look("relative"));
	say("hosts-link", look("hosts-link"));
	say("dots", look("../secret"));
	tried("dots-directory", open("../../proc/1/root/proc/self/status", O_RDONLY));
}

/* A directory that is a link to the host's own every other instant. */
static void racing(const char *outside)
{
	int found = 0;
	pid_t pid;

	mkdir("real", 0755);
	mkdir("way", 0755);
	make_link(outside, "trap");
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < RACES; i++)
			syscall(SYS_renameat2, AT_FDCWD, "way", AT_FDCWD, "trap", 2);
		_exit(0);
	}
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		int fd = open("way/secret", O_RDONLY);

		found += fd >= 0;
		close(fd);
		fd = open("way/planted", O_WRONLY | O_CREAT, 0644);
		close(fd);
	}
	say("race", found ? "out" : "in");
}

/* As somebody else; the last of all. */
static void being_nobody(void)
{
	struct stat st;

	put("private", "root's");
	chmod("private", 0600);
	mkdir("open", 0777);
	chmod("open", 01777);
	if (setgid(4321) < 0 || setuid(4321) < 0) {
		say("nobody", result(-1));
		return;
	}
	say("nobody-read", look("private"));
	tried("nobody-write", put("new", "x"));
	tried("nobody-create", put("open/mine", "x"));
	tried("nobody-owns", stat("open/mine", &st) == 0 && st.st_uid == 4321 ? 0 : -1);
	tried("nobody-chown", chown("open/mine", 0, 0));
}

int main(int argc, char **argv)
{
	char ro[128];

	if (argc != 4 || chdir(argv[1]) < 0)
		return 1;
	snprintf(ro, sizeof(ro), "%s/file", argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	renaming();
	mapping(ro);
	making();
	reading_only(argv[2]);
	climbing(argv[3]);
	racing(argv[3]);
	being_nobody();
	return 0;
}
