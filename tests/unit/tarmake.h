/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_TARMAKE_H
#define TESTS_UNIT_TARMAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Tar archives made by hand, so that they can be as wrong as a test wants. */

struct tarmake {
	uint8_t *p;
	size_t len;
};

struct tarent {
	const char *name;
	char type;	  /* '0' file, '1' hard link, '2' symbolic link, '3' char ... ; 0: '0' */
	const void *data; /* size bytes; NULL with a size: zeroes */
	size_t size;
	const char *link;
	unsigned mode;	   /* 0: 0644 */
	uint64_t uid, gid; /* up to 7 octal digits */
	uint64_t mtime;
	unsigned major, minor;
	const char *pax; /* records of a PAX header before it, pax_len bytes */
	size_t pax_len;
	bool no_data; /* the size is a lie: nothing follows */
	bool bad_sum;
};

void tar_add(struct tarmake *tar, const struct tarent *entry);
/* Two blocks of zeroes. */
void tar_end(struct tarmake *tar);
void tar_free(struct tarmake *tar);
void tar_raw(struct tarmake *tar, const void *bytes, size_t len);

/* Append a PAX record to a string of records; value may hold any bytes. */
void pax_add(struct tarmake *pax, const char *key, const void *value, size_t len);

/* The manifest, rootfs, and what an ACI's tests need most. */
#define TAR_MANIFEST                                                                               \
	"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"example.com/test\"}"
void tar_add_manifest(struct tarmake *tar);
void tar_add_dir(struct tarmake *tar, const char *name);
void tar_add_file(struct tarmake *tar, const char *name, const char *text);

/* A descriptor to read the bytes from. */
int tar_fd(const struct tarmake *tar);

#endif
