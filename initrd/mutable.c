/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An app that is added has its root made, which its namespace holds until it is removed, so that what
 * it has written outlives its program. Its records and what they point to are in a mapping of its own.
 *
 * The number is that of the disk, too. When the namespace is gone the kernel unmounts the image in its
 * own time; as long as it has not, the disk can not be opened exclusively, and the next image would be
 * shown as the last one.
 *
 * What an app has written is taken away without recursion, however deep its directories are: a
 * directory that is not empty is moved to the top and comes later.
 */
#include "initrd/mutable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "initrd/disk.h"
#include "initrd/fatal.h"
#include "initrd/limit.h"
#include "initrd/share.h"
#include "initrd/volume.h"

/* For the driver to hear of a new disk, and for the kernel to let go of the last. */
#define DISK_POLL_MS	1
#define DISK_TIMEOUT_MS 10000

/* Between the numbers of the volumes of one app and those of the next. */
#define VOLUMES_APART 1000
_Static_assert(VOLUMES_APART > PLAN_VOLUMES_MAX, "no two volumes have one number");

/* What belongs to an app as long as it is there. */
struct added {
	struct init_plan pod; /* as this app sees it */
	char *pool[AGENT_ADD_MAX / 8 + 8];
	uint8_t bytes[AGENT_ADD_MAX];
};

static struct added *added[PLAN_APPS_MAX];

static void answer(struct init_apps *apps, unsigned n, int code, const struct init_text *why)
{
	uint8_t payload[AGENT_TEXT_MAX];
	const uint32_t code32 = (uint32_t)code;
	size_t len = code ? why->len : 0;

	memcpy(payload, &code32, sizeof(code32));
	memcpy(payload + sizeof(code32), why->s, len);
	init_say(apps->control, AGENT_DONE, n, payload, sizeof(code32) + len);
}

/* Until the disk is as wanted: there is something on it, or nobody has it any more. */
static int wait_disk(const char *path, bool filled, struct init_text *why)
{
	const struct timespec pause = {.tv_nsec = DISK_POLL_MS * 1000000L};

	for (int waited = 0; waited < DISK_TIMEOUT_MS; waited += DISK_POLL_MS) {
		int fd = open(path, O_RDONLY | O_CLOEXEC | (filled ? 0 : O_EXCL));
		uint64_t size = 0;

		if (fd >= 0) {
			bool good = !filled || (ioctl(fd, BLKGETSIZE64, &size) == 0 && size > 0);

			close(fd);
			if (good)
				return 0;
		} else if (errno != EBUSY) {
			return init_text_fail(why, -errno, "opening", path);
		}
		nanosleep(&pause, NULL);
	}
	return init_text_fail(why, -ETIMEDOUT, "waiting for", path);
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* A pass over a directory, whose entries may go meanwhile. */
struct pass {
	int dir;
	long at, len;
	_Alignas(8) char buf[4096];
};

static const char *next_name(struct pass *pass)
{
	for (;;) {
		const struct dirent *entry;

		if (pass->at >= pass->len) {
			pass->len =
				syscall(SYS_getdents64, pass->dir, pass->buf, sizeof(pass->buf));
			pass->at = 0;
			if (pass->len <= 0)
				return NULL;
		}
		entry = (const struct dirent *)(pass->buf + pass->at);
		pass->at += entry->d_reclen;
		if (!is_dots(entry->d_name))
			return entry->d_name;
	}
}

static bool remove_one(int dir, const char *name)
{
	return unlinkat(dir, name, 0) == 0 || unlinkat(dir, name, AT_REMOVEDIR) == 0;
}

/*
 * Empty a directory: what can not be removed at once is moved to top. True if something has changed, or
 * will with the next number, as a name was taken.
 */
static bool lift(int dir, int top, unsigned *number)
{
	static struct pass pass;
	const char *name;
	bool changed = false;

	pass.dir = dir;
	pass.at = pass.len = 0;
	while ((name = next_name(&pass))) {
		struct init_text to = {.len = 0};

		if (remove_one(dir, name)) {
			changed = true;
			continue;
		}
		init_text_add(&to, "moved.");
		init_text_add_num(&to, (*number)++);
		changed |= renameat(dir, name, top, init_text_str(&to)) == 0 ||
			   errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR ||
			   errno == EISDIR;
	}
	return changed;
}

/* One pass over the top of a tree. True if something has changed. */
static bool reduce(int top, unsigned *number)
{
	static struct pass pass;
	const char *name;
	bool changed = false;

	lseek(top, 0, SEEK_SET);
	pass.dir = top;
	pass.at = pass.len = 0;
	while ((name = next_name(&pass))) {
		int dir;

		if (remove_one(top, name)) {
			changed = true;
			continue;
		}
		dir = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0)
			continue;
		changed |= lift(dir, top, number);
		close(dir);
	}
	return changed;
}

/* Remove a tree; what can not be removed stays and costs memory. */
static void remove_tree(const char *path)
{
	int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	unsigned number = 0;

	if (top < 0)
		return;
	while (reduce(top, &number))
		;
	close(top);
	rmdir(path);
}

static void forget(struct init_apps *apps, unsigned n)
{
	struct added *it = added[n];
	struct init_text path = {.len = 0};

	init_text_add(&path, "/upper/");
	init_text_add_num(&path, n);
	remove_tree(init_text_str(&path));
	for (unsigned i = 0; i < it->pod.nvolumes; i++) {
		if (init_plan_volume(&it->pod, i).flags & PLAN_VOLUME_HOST)
			continue;
		init_volume_path(&path, &it->pod, i);
		remove_tree(init_text_str(&path));
	}
	if (it->pod.napps) /* its records were understood */
		init_limit_remove(&it->pod.app[0]);
	munmap(it, sizeof(*it));
	added[n] = NULL;
	memset(&apps->app[n], 0, sizeof(apps->app[n]));
}

/* The namespace goes, and with it the mounts. */
static int let_go(struct init_app *app, struct init_text *why)
{
	if (app->ns >= 0)
		close(app->ns);
	if (app->notify >= 0)
		close(app->notify);
	app->ns = app->notify = -1;
	return wait_disk(app->plan->root, false, why);
}

/* What of it is not ours to keep. */
static int detach(struct init_app *app, unsigned n, struct init_text *why)
{
	int r = app->plan ? let_go(app, why) : 0;

	return r < 0 ? r : init_share_unbind(&added[n]->pod, why);
}

/* The pod as the app is told of it: all but the volumes, which are the app's own. */
static int decode(struct init_apps *apps, struct added *it, unsigned n, size_t len,
		  struct init_text *why)
{
	struct init_plan own;
	int r = init_plan_decode(it->bytes, len, it->pool, &own, why);

	if (r < 0)
		return r;
	it->pod = *apps->pod;
	it->pod.volumes = own.volumes;
	it->pod.nvolumes = own.nvolumes;
	it->pod.first_volume = (n + 1) * VOLUMES_APART;
	it->pod.napps = 1;
	it->pod.app[0] = own.app[0];
	r = init_share_bind(&it->pod, why);
	return r < 0 || !own.nvolumes ? r : init_volume_make(&it->pod, why);
}

int init_mutable_add(struct init_apps *apps, unsigned n, const uint8_t *payload, size_t len)
{
	struct init_text why = {.len = 0};
	struct init_app *app;
	struct added *it;
	int code = AGENT_EXIT_ROOTFS;

	if (n >= PLAN_APPS_MAX || added[n] || len > AGENT_ADD_MAX)
		return -EPROTO;
	it = mmap(NULL, sizeof(*it), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (it == MAP_FAILED) {
		init_text_set(&why, 0, "no memory for another app");
		answer(apps, n, code, &why);
		return 0;
	}
	memcpy(it->bytes, payload, len);
	added[n] = it;
	app = &apps->app[n];
	if (decode(apps, it, n, len, &why) == 0 &&
	    wait_disk(it->pod.app[0].root, true, &why) == 0) {
		init_app_prepare(app, &it->pod.app[0], n);
		if (apps->n <= n)
			apps->n = n + 1;
		code = init_apps_add(apps, n, &it->pod, &why);
	}
	if (code != 0) {
		struct init_text ignored;

		(void)!detach(app, n, &ignored);
		forget(apps, n);
	}
	answer(apps, n, code, &why);
	return 0;
}

int init_mutable_start(struct init_apps *apps, unsigned n)
{
	if (n >= apps->n || !added[n])
		return -EPROTO;
	return init_apps_again(apps, n);
}

int init_mutable_remove(struct init_apps *apps, unsigned n)
{
	struct init_text why = {.len = 0};
	struct init_app *app = &apps->app[n];

	if (n >= apps->n || !added[n] ||
	    (app->state != INIT_APP_WAITING && app->state != INIT_APP_ENDED))
		return -EPROTO;
	if (detach(app, n, &why) < 0) {
		answer(apps, n, AGENT_EXIT_ROOTFS, &why);
		return 0;
	}
	forget(apps, n);
	answer(apps, n, 0, &why);
	return 0;
}
