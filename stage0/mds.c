/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/mds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/util.h"

static void random_bytes(uint8_t *ret, size_t len)
{
	/* up to 256 bytes never fall short once the pool is initialised (getrandom(2)) */
	if (getrandom(ret, len, 0) != (ssize_t)len)
		abort();
}

void mds_make_token(char ret[MDS_TOKEN_LEN + 1])
{
	uint8_t bytes[MDS_TOKEN_LEN / 2];

	random_bytes(bytes, sizeof(bytes));
	hash_hex(bytes, sizeof(bytes), ret);
}

/* Of two who make one at a time the first counts: a link takes the place of no other. */
static int make_key(int data_dir, struct error *err)
{
	cleanup_free char *aside = xasprintf(MDS_KEY_FILE ".%d", (int)getpid());
	uint8_t key[MDS_KEY_SIZE];
	int r;

	random_bytes(key, sizeof(key));
	r = file_write(data_dir, aside, key, sizeof(key), 0600, err);
	if (r < 0)
		return r;
	if (linkat(data_dir, aside, data_dir, MDS_KEY_FILE, 0) < 0 && errno != EEXIST)
		r = error_errno(err, MDS_KEY_FILE);
	unlinkat(data_dir, aside, 0);
	return r;
}

static int read_key(int data_dir, uint8_t ret[MDS_KEY_SIZE], struct error *err)
{
	cleanup_fd int fd = openat(data_dir, MDS_KEY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT) {
		r = make_key(data_dir, err);
		if (r < 0)
			return r;
		fd = openat(data_dir, MDS_KEY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return error_errno(err, MDS_KEY_FILE);
	r = pread_all(fd, ret, MDS_KEY_SIZE, 0);
	return r < 0 ? error_set(err, r, MDS_KEY_FILE ": %s", strerror(-r)) : 0;
}

int mds_register(const struct pods *pods, const struct pod *pod, struct error *err)
{
	cleanup_fd int data_dir = open(pods->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint8_t key[MDS_KEY_SIZE];
	int r;

	if (data_dir < 0)
		return error_errno(err, "%s", pods->data_dir);
	r = read_key(data_dir, key, err);
	if (r == 0)
		r = file_write(pod->fd, MDS_POD_FILE, key, sizeof(key), 0600, err);
	return r < 0 ? error_wrap(err, "metadata service (see --mds-register)") : 0;
}
