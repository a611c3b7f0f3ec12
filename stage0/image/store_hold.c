/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who uses an image or a layer, and who may remove it.
 *
 * Theory of operation: cas/imagelocks/KEY is locked shared by everyone who relies on the key staying,
 * from the moment the key is found or about to be imported until the store is closed; it is locked
 * exclusively, without waiting, by who removes what the key names. Nobody waits for a lock while
 * holding one exclusively, so nothing can deadlock. Who removes has to look at everything that could
 * make the key needed only after the lock is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

static struct store_held *find_held(struct store *store, const char *key)
{
	for (size_t i = 0; i < store->nheld; i++)
		if (strcmp(store->held[i].key, key) == 0)
			return &store->held[i];
	return NULL;
}

int store_hold(struct store *store, const char *key, struct error *err)
{
	struct store_held held = {.lock = -1};
	bool known;

	if (!store_key_valid(key))
		return error_set(err, -ENOENT, "no image has the key \"%.100s\"", key);
	if (store->peek)
		return 0;
	pthread_mutex_lock(&store->mutex);
	known = find_held(store, key) != NULL;
	pthread_mutex_unlock(&store->mutex);
	if (known)
		return 0;
	held.lock = store_lock(store, STORE_HOLDS, key, false, err);
	if (held.lock < 0)
		return held.lock;
	snprintf(held.key, sizeof(held.key), "%s", key);
	/* another thread may have been as fast: two holds are as good as one */
	pthread_mutex_lock(&store->mutex);
	store->held = xrealloc(store->held, store->nheld + 1, sizeof(*store->held));
	store->held[store->nheld++] = held;
	pthread_mutex_unlock(&store->mutex);
	return 0;
}

void store_give_back(struct store *store, const char *key)
{
	struct store_held *held;

	pthread_mutex_lock(&store->mutex);
	while ((held = find_held(store, key))) {
		close_fd(&held->lock);
		*held = store->held[--store->nheld];
	}
	pthread_mutex_unlock(&store->mutex);
}

int store_try_lock(struct store *store, const char *dir, const char *name, struct error *err)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (;;) {
		cleanup_fd int fd =
			openat(store->cas, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

		if (fd < 0)
			return error_errno(err, "locking %s", path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ? error_set(err, -EBUSY, "%s is in use", name)
						    : error_errno(err, "locking %s", path);
		/* somebody may have removed the file between */
		if (store_lock_is(fd, store->cas, path))
			return take_fd(&fd);
	}
}

int store_lock_key(struct store *store, const char *key, struct error *err)
{
	store_give_back(store, key);
	return store_try_lock(store, STORE_HOLDS, key, err);
}
