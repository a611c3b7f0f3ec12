/* SPDX-License-Identifier: Apache-2.0 */
/* One process at a time fetches from a URL: a lock named by the URL's digest. */
#include <stdio.h>
#include <string.h>

#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

#define LOCKS "filelocks"

static void lock_name(const char *url, char ret[STORE_PATH_MAX])
{
	cleanup_hash struct hash *hash = hash_new(HASH_SHA256);
	uint8_t digest[HASH_MAX_SIZE];
	char hex[HASH_HEX_MAX];

	hash_update(hash, url, strlen(url));
	hash_final(hash, digest);
	hash_hex(digest, hash_size(HASH_SHA256), hex);
	snprintf(ret, STORE_PATH_MAX, "url-%.64s", hex);
}

int store_lock_url(struct store *store, const char *url, bool *ret_waited, struct error *err)
{
	char name[STORE_PATH_MAX];
	struct error busy = ERROR_INIT;
	int fd;

	lock_name(url, name);
	fd = store_try_lock(store, LOCKS, name, &busy);
	if (fd < 0 && fd != -EBUSY)
		*err = busy;
	if (fd >= 0)
		*ret_waited = false;
	if (fd != -EBUSY)
		return fd;
	fd = store_lock(store, LOCKS, name, true, err);
	if (fd >= 0)
		*ret_waited = true;
	return fd;
}

void store_unlock_url(struct store *store, const char *url, int *lock)
{
	char name[STORE_PATH_MAX];

	if (*lock < 0)
		return;
	lock_name(url, name);
	store_lock_drop(store, LOCKS, name, lock);
}
