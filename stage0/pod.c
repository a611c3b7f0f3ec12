/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod is made in embryo, where nothing but its creator and gc look, locked, and renamed to
 * prepare; from then on whoever wants to change it takes the lock first. Between mkdir and flock an
 * embryo has no lock, so gc may take it for a dead one: the creator then finds its lock refused or
 * its directory gone, and begins anew.
 *
 * After a lock is taken the name is looked up again: another process may have moved or deleted the
 * pod between open and flock. A loser sees -ENOENT or -EWOULDBLOCK and treats that as normal.
 */
#include "stage0/pod.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/digests.h"

#define LOOKERS_MAX	 1000	    /* times 1 ms: that many instants in a row are no accident */
#define CREATE_TRIES_MAX 16	    /* a gc would have to win this many races in a row */
#define UUID_FILE_MAX	 128	    /* bytes: a UUID and white space */
#define MOUNTINFO_MAX	 (16 << 20) /* bytes of /proc/self/mountinfo */

static const char *const where_names[POD_WHERES] = {
	"embryo", "prepare", "prepared", "run", "exited-garbage", "garbage",
};

int pods_open(const char *data_dir, struct pods *ret, struct error *err)
{
	cleanup_free char *path = xasprintf("%s/pods", data_dir);
	cleanup_fd int fd = -1;

	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return error_errno(err, "%s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "%s", path);
	for (int i = 0; i < POD_WHERES; i++)
		if (mkdirat(fd, where_names[i], 0750) < 0 && errno != EEXIST)
			return error_errno(err, "%s/%s", path, where_names[i]);
	ret->data_dir = xstrdup(data_dir);
	ret->fd = take_fd(&fd);
	return 0;
}

void pods_close(struct pods *pods)
{
	free(pods->data_dir);
	pods->data_dir = NULL;
	close_fd(&pods->fd);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int pods_list(const struct pods *pods, enum pod_where where, struct strv *ret, struct error *err)
{
	int fd = openat(pods->fd, where_names[where], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = error_errno(err, "pods/%s", where_names[where]);
		close_fd(&fd);
		return r;
	}
	while ((errno = 0, entry = readdir(dir)))
		if (uuid_is_valid(entry->d_name))
			strv_add(ret, entry->d_name);
	if (errno != 0)
		r = error_errno(err, "pods/%s", where_names[where]);
	closedir(dir);
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_text);
	return r;
}

/* "run/UUID", relative to the pods. */
static char *pod_name(enum pod_where where, const char *uuid)
{
	return xasprintf("%s/%s", where_names[where], uuid);
}

char *pod_path(const struct pods *pods, const struct pod *pod)
{
	return xasprintf("%s/pods/%s/%s", pods->data_dir, where_names[pod->where], pod->uuid);
}

int pod_open(const struct pods *pods, enum pod_where where, const char *uuid, struct pod *ret,
	     struct error *err)
{
	cleanup_free char *name = pod_name(where, uuid);
	int fd = openat(pods->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, "pod %s", uuid);
	memcpy(ret->uuid, uuid, UUID_TEXT_LEN + 1);
	ret->where = where;
	ret->fd = fd;
	return 0;
}

void pod_close(struct pod *pod)
{
	close_fd(&pod->fd);
}

bool pod_is_in_place(const struct pods *pods, const struct pod *pod)
{
	cleanup_free char *name = pod_name(pod->where, pod->uuid);
	struct stat there, ours;

	return fstatat(pods->fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(pod->fd, &ours) == 0 && there.st_dev == ours.st_dev &&
	       there.st_ino == ours.st_ino;
}

bool pod_is_locked(const struct pod *pod)
{
	if (flock(pod->fd, LOCK_SH | LOCK_NB) < 0)
		return true;
	flock(pod->fd, LOCK_UN);
	return false;
}

/*
 * Who only looks (pod_is_locked()) holds the lock shared for an instant; that is waited out. While
 * somebody has it exclusively there is no waiting.
 */
static int lock_exclusively(const struct pod *pod)
{
	int r;

	for (int i = 0; i < LOOKERS_MAX; i++) {
		do
			r = flock(pod->fd, LOCK_EX | LOCK_NB);
		while (r < 0 && errno == EINTR);
		if (r == 0 || errno != EWOULDBLOCK)
			return r;
		if (pod_is_locked(pod))
			break;
		poll(NULL, 0, 1);
	}
	errno = EWOULDBLOCK;
	return -1;
}

int pod_try_lock(const struct pods *pods, struct pod *pod, struct error *err)
{
	int r = lock_exclusively(pod);

	if (r < 0 && errno == EWOULDBLOCK)
		return error_set(err, -EWOULDBLOCK, "pod %s is in use", pod->uuid);
	if (r < 0)
		return error_errno(err, "locking pod %s", pod->uuid);
	if (!pod_is_in_place(pods, pod)) {
		flock(pod->fd, LOCK_UN);
		return error_set(err, -ENOENT, "pod %s was moved meanwhile", pod->uuid);
	}
	return 0;
}

const char *pod_state(enum pod_where where, bool locked)
{
	static const char *const words[POD_WHERES][2] = {
		[POD_EMBRYO] = {"embryo", "embryo"},
		[POD_PREPARE] = {"aborted prepare", "preparing"},
		[POD_PREPARED] = {"prepared", "prepared"},
		[POD_RUN] = {"exited", "running"},
		[POD_EXITED_GARBAGE] = {"exited garbage", "exited deleting"},
		[POD_GARBAGE] = {"garbage", "deleting"},
	};

	return words[where][locked];
}

int pod_move(const struct pods *pods, struct pod *pod, enum pod_where where, struct error *err)
{
	cleanup_free char *from = pod_name(pod->where, pod->uuid);
	cleanup_free char *to = pod_name(where, pod->uuid);

	if (renameat(pods->fd, from, pods->fd, to) < 0)
		return error_errno(err, "moving pod %s to %s", pod->uuid, where_names[where]);
	pod->where = where;
	return 0;
}

/* One try at a new, locked pod in prepare. -EAGAIN: somebody came between. */
static int try_create(const struct pods *pods, struct pod *ret, struct error *err)
{
	cleanup_pod struct pod pod = POD_INIT;
	struct error ignored = ERROR_INIT;
	cleanup_free char *name = NULL;
	int r;

	uuid_generate(pod.uuid);
	pod.where = POD_EMBRYO;
	name = pod_name(POD_EMBRYO, pod.uuid);
	if (mkdirat(pods->fd, name, 0750) < 0)
		return error_errno(err, "creating pod %s", pod.uuid);
	pod.fd = openat(pods->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (pod.fd < 0)
		return errno == ENOENT ? -EAGAIN : error_errno(err, "creating pod %s", pod.uuid);
	r = pod_try_lock(pods, &pod, &ignored);
	if (r == -EWOULDBLOCK || r == -ENOENT)
		return -EAGAIN;
	if (r == 0)
		r = pod_write(&pod, "pod-created", "", err);
	else
		r = error_set(err, r, "%s", ignored.msg);
	if (r == 0)
		r = pod_move(pods, &pod, POD_PREPARE, err);
	if (r < 0) {
		remove_tree(pods->fd, name, &ignored);
		return r;
	}
	*ret = pod;
	pod.fd = -1;
	return 0;
}

int pod_create(const struct pods *pods, struct pod *ret, struct error *err)
{
	for (int i = 0; i < CREATE_TRIES_MAX; i++) {
		int r = try_create(pods, ret, err);

		if (r != -EAGAIN)
			return r;
	}
	return error_set(err, -EAGAIN, "creating a pod: another process removes each new one");
}

/* Every pod whose UUID begins with text, once: a pod that moves while we look may show up twice. */
static int find_matches(const struct pods *pods, const char *text, struct strv *ret,
			enum pod_where *ret_where, struct error *err)
{
	static const enum pod_where searched[] = {POD_PREPARE, POD_PREPARED, POD_RUN,
						  POD_EXITED_GARBAGE};

	for (size_t i = 0; i < ARRAY_SIZE(searched); i++) {
		cleanup_strv struct strv uuids = STRV_INIT;
		int r = pods_list(pods, searched[i], &uuids, err);

		if (r < 0)
			return r;
		for (size_t k = 0; k < uuids.n; k++) {
			if (strncasecmp(uuids.v[k], text, strlen(text)) != 0)
				continue;
			*ret_where = searched[i];
			if (!strv_contains(ret, uuids.v[k]))
				strv_add(ret, uuids.v[k]);
		}
	}
	return 0;
}

int pod_find(const struct pods *pods, const char *text, struct pod *ret, struct error *err)
{
	int r = 0;

	if (!*text)
		return error_set(err, -EINVAL, "UUID cannot be empty");
	/* a pod that is moved between the look-up and the opening is looked for again */
	for (int i = 0; i < POD_WHERES; i++) {
		cleanup_strv struct strv matches = STRV_INIT;
		struct error moved = ERROR_INIT;
		enum pod_where where = POD_RUN;

		r = find_matches(pods, text, &matches, &where, err);
		if (r < 0)
			return r;
		if (matches.n > 1)
			return error_set(err, -EINVAL, "ambiguous UUID: %zu matches for \"%s\"",
					 matches.n, text);
		if (matches.n == 0)
			break;
		r = pod_open(pods, where, matches.v[0], ret, &moved);
		if (r == 0)
			return 0;
		if (r != -ENOENT)
			return error_set(err, r, "%s", moved.msg);
	}
	return error_set(err, -ENOENT, "no matches found for \"%s\"", text);
}

/* Detach what is mounted below path, innermost first. Only root can have mounted there. */
static int detach_mounts(const char *path, struct error *err)
{
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *text = NULL, *below = xasprintf("%s/", path);
	size_t len;
	int r;

	if (geteuid() != 0)
		return 0;
	r = file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, &len, err);
	if (r < 0)
		return r;
	strv_split(&lines, text, '\n');
	for (size_t i = lines.n; i-- > 0;) {
		cleanup_strv struct strv words = STRV_INIT;
		cleanup_str struct str point = STR_INIT;

		strv_split(&words, lines.v[i], ' ');
		if (words.n < 5)
			continue;
		/* the fifth word is the mount point, blanks and the like as \ooo */
		for (const char *p = words.v[4]; *p; p++) {
			char c = *p;

			if (c == '\\' && p[1] && p[2] && p[3]) {
				c = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
				p += 3;
			}
			str_addn(&point, &c, 1);
		}
		if (!str_starts_with(str_get(&point), below))
			continue;
		if (umount2(str_get(&point), MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
			return error_errno(err, "detaching %s", str_get(&point));
	}
	return 0;
}

int pod_delete(const struct pods *pods, struct pod *pod, struct error *err)
{
	cleanup_free char *path = pod_path(pods, pod), *name = pod_name(pod->where, pod->uuid);
	cleanup_free char *digests = xasprintf("%s/" DIGESTS_FILE, pods->data_dir);
	cleanup_free struct digestcache_held *held = xcalloc(1, sizeof(*held));
	cleanup_digestcache struct digestcache cache = DIGESTCACHE_NONE;
	struct error ignored = ERROR_INIT;
	int r = detach_mounts(path, err);

	(void)digestcache_open(AT_FDCWD, digests, false, &cache, &ignored);
	if (r == 0) {
		digests_hold_pod(&cache, pod->fd, held);
		r = remove_tree(pod->fd, "stage1/rootfs", err);
		digestcache_release(held);
	}
	if (r == 0)
		r = remove_tree(pods->fd, name, err);
	if (r < 0)
		error_wrap(err, "deleting pod %s", pod->uuid);
	return r;
}

int pod_write(const struct pod *pod, const char *path, const char *text, struct error *err)
{
	cleanup_fd int fd =
		openat(pod->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	int r = fd < 0 ? -errno : write_all(fd, text, strlen(text));

	if (r < 0)
		return error_set(err, r, "pod %s: writing %s: %s", pod->uuid, path, strerror(-r));
	return 0;
}

int pod_read_uuid_file(const char *path, char **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	const char *begin;
	size_t len;
	int r = file_read(AT_FDCWD, path, UUID_FILE_MAX, &text, &len, err);

	if (r < 0)
		return error_wrap(err, "--uuid-file");
	begin = text + strspn(text, " \t\r\n");
	*ret = xstrndup(begin, strcspn(begin, " \t\r\n"));
	return 0;
}
